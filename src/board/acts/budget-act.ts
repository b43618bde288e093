import { formatPlain, parseBudget } from '../../batch/budget.ts';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatMoney, type Amount, type Money } from '../../core/money/money.ts';
import { formatCount } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { readBudgetMark, readBudgetStatus, type BudgetStatus } from '../../ledger/money/budget.ts';
import { changeBudget } from '../../operate/budget.ts';
import { stakeOf, type Stake } from '../../operate/stake.ts';
import { batchPath } from '../url.ts';
import type { View } from '../view.ts';
import type { Text } from '../words/zh.ts';
import { costText, stakeTable, type Act } from './act.ts';
import { SEEN_FIELD } from './page.ts';

/** Another budget of a batch: more rows are paid for, or fewer. */
export const budgetAct: Act = async (view, { db, who }, asked) => {
  const batch = await requireBatch(db, asked['batch'] ?? '');
  const mark = await readBudgetMark(db, batch.id);
  const status = await readBudgetStatus(db, batch.id);
  const before = status === undefined ? null : { amount: status.budget, currency: status.currency };
  const stake = await stakeOf(db, { batchId: batch.id, models: [] });
  const { say, count } = view;
  return {
    title: say('Budget of {what}', { what: batch.name }),
    body: html`${
        status === undefined
          ? html`${stakeTable(view, stake)}
              <p>${say('The batch has no budget: nothing limits what it may cost.')}</p>`
          : html`${budgetTable(view, status, stake)} ${neededText(view, status)}`
      }
      <p>
        ${say(
          'Rows are sent as far as the budget pays for them, as soon as it is raised. A budget below what is spent and held stops all sending; rows in flight finish.',
        )}
      </p>
      <p>
        <label
          >${say('New budget, with its currency, or none')}
          <input
            name="budget"
            required
            maxlength="60"
            autocomplete="off"
            spellcheck="false"
            placeholder="120CNY"
            value="${before === null ? '' : formatPlain(before)}"
          />
        </label>
      </p>`,
    button: say('Change the budget'),
    fields: { batch: batch.name },
    back: batchPath(batch.name),
    seen: mark,
    async run() {
      const budget = parseBudget('budget', asked['budget'] ?? '');
      // A program that posts JSON has seen no page.
      await changeBudget(db, who, batch, budget, asked[SEEN_FIELD] === undefined ? undefined : mark);
      const now = await readBudgetStatus(db, batch.id);
      const words = (money: Money | null): string => (money === null ? say('none') : formatMoney(money));
      const waiting = stake.waiting.rows;
      return [
        say('{what}: budget {before} → {now}', {
          what: batch.name,
          before: words(before),
          now: words(budget),
        }),
        ...(now === undefined || now.beyond === 0
          ? []
          : [
              now.reached
                ? say('It pays for no waiting row: {rows} wait.', { rows: count(waiting, 'row') })
                : say('It does not pay for {rows}.', { rows: count(now.beyond, 'row') }),
            ]),
      ];
    },
  };
};

/** The budget now, what it was used for, and what waits for it. */
function budgetTable(view: View, { currency, ...status }: BudgetStatus, { waiting }: Stake): Html {
  const { say } = view;
  const money = (amount: Amount): string => formatMoney({ amount, currency });
  const lines: [Text, string][] = [
    ['budget now', money(status.budget)],
    ['spent: accepted rows', money(status.spent)],
    ['held: in flight or uncertain', money(status.reserved)],
    ['left', money(status.left)],
  ];
  return html`<table class="stake">
    <thead>
      <tr>
        <th scope="col">${say('money of the batch')}</th>
        <th scope="col" class="number">${say('rows')}</th>
        <th scope="col" class="number">${say('money')}</th>
      </tr>
    </thead>
    <tbody>
      ${lines.map(
        ([name, told]) =>
          html`<tr>
            <td>${say(name)}</td>
            <td class="number"></td>
            <td class="number" data-name="${say('money')}">${told}</td>
          </tr>`,
      )}
      <tr>
        <td>${say('waiting: not sent yet')}</td>
        <td class="number" data-name="${say('rows')}">${formatCount(waiting.rows)}</td>
        <td class="number" data-name="${say('money')}">${costText(view, waiting.cost)}</td>
      </tr>
    </tbody>
  </table>`;
}

/** The budget that pays for all rows, and rows that no budget pays for. */
function neededText({ say, count }: View, { beyond, unpriced, needed, currency }: BudgetStatus): Html {
  if (beyond === 0) return html`<p>${say('The budget pays for all rows that wait.')}</p>`;
  const money = formatMoney({ amount: needed, currency });
  return html`${
    beyond === unpriced
      ? NOTHING
      : html`<p>${say('A budget of {money} pays for all rows that wait.', { money })}</p>`
  }
  ${
    unpriced === 0
      ? NOTHING
      : html`<p class="gate">
          ${say('No budget pays for rows without a known price: {rows}.', { rows: count(unpriced, 'row') })}
        </p>`
  }`;
}
