import { html, NOTHING } from '../../core/html.ts';
import { defined } from '../../core/json.ts';
import { formatCount } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import type { Chosen } from '../../ledger/operator/retry.ts';
import { readRemaking, remakeTasks } from '../../operate/remake.ts';
import { parseStates, readRetryable, retryRows } from '../../operate/retry.ts';
import { batchPath } from '../url.ts';
import type { View } from '../view.ts';
import { costText, narrower, type Act, type Asked } from './act.ts';

/** Rejected, exhausted and cancelled rows are sent again. None of them was paid. */
export const retryAct: Act = async (view, place, asked) => {
  const { db, who } = place;
  const batch = await requireBatch(db, asked['batch'] ?? '');
  const { state, code } = asked;
  const chosen: Chosen = defined({
    states: state === undefined ? undefined : parseStates([state]),
    errorCodes: code === undefined ? undefined : [code],
  });
  const found = await readRetryable(db, batch, chosen);
  const { say, count } = view;
  const fields: Asked = defined({ batch: batch.name, state, code });
  const rows = count(found.rows, 'row');
  const money = costText(view, found.cost);
  return {
    title: say('Retry {what}', { what: batch.name }),
    body: html`<p>
        ${
          found.rows === 0
            ? say('No such row is rejected, exhausted or cancelled: there is nothing to retry.')
            : say(
                'Rows that were never paid are sent again: {rows}. Sending costs {money}: the price of these rows, and nothing more.',
                { rows, money },
              )
        }
      </p>
      <ul>
        ${found.ended.map(
          (one) =>
            html`<li>
              ${withCode(view, say('{n} {state}', { n: formatCount(one.rows), state: say(one.state) }), one.errorCode)}
            </li>`,
        )}
      </ul>
      ${narrower(
        view,
        'retry',
        'Only some of them:',
        found.ended.map((one) => ({
          asked: defined({ batch: batch.name, state: one.state, code: one.errorCode ?? undefined }),
          name: withCode(view, say(one.state), one.errorCode),
          rows: one.rows,
          cost: undefined,
        })),
      )}`,
    button: say('Send {rows} again', { rows }),
    fields,
    back: batchPath(batch.name),
    asks: true,
    seen: `${rows}, ${money}`,
    idle: found.rows === 0,
    async run() {
      const retried = await retryRows(db, who, batch, chosen, found);
      return [say('{what}: {rows} pending again', { what: batch.name, rows: count(retried, 'row') })];
    },
  };
};

/** Failed tasks are made again. This pays a second time, so a person types the name of the batch. */
export const remakeAct: Act = async (view, place, asked) => {
  const { db, who } = place;
  const batch = await requireBatch(db, asked['batch'] ?? '');
  const choice = { keys: null, prices: new Map<never, never>() };
  const remaking = await readRemaking(db, batch, choice);
  const { tasks, cost, isShort, found } = remaking;
  const { say, count } = view;
  const money = costText(view, cost);
  return {
    title: say('Make failed tasks of {what} again', { what: batch.name }),
    body:
      tasks === 0
        ? html`<p>${say('No task has failed: there is nothing to make again.')}</p>`
        : html`<p class="gate">
              <strong>
                ${say('Failed at the provider: {tasks}. To make them again, you pay again: {money}.', {
                  tasks: count(tasks, 'task'),
                  money,
                })}
              </strong>
            </p>
            ${isShort ? html`<p>${say('The budget of the batch does not pay for all of them.')}</p>` : NOTHING}
            <ul>
              ${found.reasons.map((one) => html`<li>${say('{what}: {detail}', { what: formatCount(one.tasks), detail: one.reason })}</li>`)}
            </ul>
            <p>${say('Each failed task is made again once. Its id and its price stay in the ledger.')}</p>`,
    button: say('Pay again for {tasks}', { tasks: count(tasks, 'task') }),
    fields: { batch: batch.name },
    back: batchPath(batch.name),
    // Other tasks in the same number are another decision: each of them was paid already.
    seen: `${tasks}, ${money}, ${found.mark}`,
    typed: batch.name,
    idle: tasks === 0,
    async run() {
      const made = await remakeTasks(db, who, batch, choice, remaking);
      const left = found.otherwise + found.another;
      return [
        say('{what}: {rows} pending again, and will be paid again', {
          what: batch.name,
          rows: count(made, 'row'),
        }),
        ...(left === 0
          ? []
          : [
              say('{rows} left alone: another task or request of them may have brought the video', {
                rows: count(left, 'row'),
              }),
            ]),
      ];
    },
  };
};

function withCode({ say }: View, what: string, code: string | null): string {
  return code === null ? what : say('{what}: {detail}', { what, detail: code });
}
