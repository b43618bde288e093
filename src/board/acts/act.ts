import type { Estimate } from '../../batch/estimate.ts';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatMoney } from '../../core/money/money.ts';
import { formatCount } from '../../core/units.ts';
import type { Database } from '../../database/database.ts';
import type { Held, Stake } from '../../operate/stake.ts';
import type { View } from '../view.ts';
import type { Text } from '../words/zh.ts';

/** Where an act is done, and by whom. */
export interface Place {
  db: Database;
  /** The name in the event log. */
  who: string;
  /** The provider of this configuration. */
  origin: string | undefined;
}

/** The query of a confirmation page, or the fields of its form. */
export type Asked = Readonly<Record<string, string>>;

/** What an act would do now, and the way to do it. */
export interface Plan {
  title: string;
  /** What it concerns: rows and money. */
  body: Html;
  button: string;
  /** The hidden fields of the form. */
  fields: Asked;
  /** Where the person goes afterwards. */
  back: string;
  /** An act that pays: what the person saw. It is not done if something else is seen by then. */
  seen?: string;
  /** What the person must type to agree to a second payment. */
  typed?: string;
  /** A program must say `"yes": true`, as a script says `--yes` to the command. */
  asks?: boolean;
  /** There is nothing to do, or it is not possible now. */
  idle?: boolean;
  /** Does it, and says what happened. */
  run: () => Promise<string[]>;
}

/** An act of the console. @throws VidbatchError as the command of the CLI does. */
export type Act = (view: View, place: Place, asked: Asked) => Promise<Plan>;

/** A link to the confirmation page of an act. It looks like a button. */
export function actLink(view: View, act: string, asked: Asked, text: Text): Html {
  return linkTo(view, act, asked, view.say(text));
}

/** The same for what is named, such as a model. */
export function resumeLink(view: View, asked: Asked, what: string): Html {
  return linkTo(view, 'resume', asked, view.say('Resume {what}', { what }));
}

function linkTo({ href }: View, act: string, asked: Asked, text: string): Html {
  return html`<a class="act" href="${href(actPath(act, asked))}">${text}</a>`;
}

export function actPath(act: string, asked: Asked): string {
  const query = new URLSearchParams(asked).toString();
  return `/act/${act}${query === '' ? '' : `?${query}`}`;
}

/** `12.50 CNY + 3.00 USD`, with the rows whose amount is not known. */
export function knownText({ say, count }: View, { held, unpriced }: Pick<Held, 'held' | 'unpriced'>): string {
  const money = held.map(formatMoney).join(' + ');
  if (unpriced === 0 && money !== '') return money;
  if (money === '') return say('not known');
  return say('{money}, and an unknown amount for {rows}', { money, rows: count(unpriced, 'row') });
}

/** What rows can cost at most, in words. */
export function costText({ say, count }: View, { totals, unknown }: Estimate): string {
  const known = totals.map(formatMoney).join(' + ');
  if (unknown === 0) return known === '' ? say('nothing') : say('at most {money}', { money: known });
  if (known === '') return say('an unknown amount');
  return say('at most {money}, and an unknown amount for {rows}', {
    money: known,
    rows: count(unknown, 'row'),
  });
}

/** Rows and money of a batch, or of all: what waits, what is under way, and what is paid. */
export function stakeTable(view: View, { waiting, inFlight, uncertain, paid }: Stake): Html {
  const { say } = view;
  const rows: [Text, number, string][] = [
    ['waiting: not sent yet', waiting.rows, costText(view, waiting.cost)],
    ['in flight: held', inFlight.rows, knownText(view, inFlight)],
    ['uncertain, may have been paid: held', uncertain.rows, knownText(view, uncertain)],
    ['accepted: spent', paid.rows, knownText(view, paid)],
  ];
  return html`<table class="stake">
    <thead>
      <tr>
        <th scope="col">${say('state')}</th>
        <th scope="col" class="number">${say('rows')}</th>
        <th scope="col" class="number">${say('money')}</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(([name, n, money]) =>
        n === 0 && name !== 'waiting: not sent yet'
          ? NOTHING
          : html`<tr>
              <td>${say(name)}</td>
              <td class="number" data-name="${say('rows')}">${formatCount(n)}</td>
              <td class="number" data-name="${say('money')}">${money}</td>
            </tr>`,
      )}
    </tbody>
  </table>`;
}

function narrowed(view: View, name: Html, n: number, cost: Estimate | undefined): Html {
  const rows = view.count(n, 'row');
  return cost === undefined
    ? view.tell('{what}: {detail}', { what: name, detail: rows })
    : view.tell('{name}: {rows}, {cost}', { name, rows, cost: costText(view, cost) });
}

/** Links that narrow an act down: each to some of its rows. */
export function narrower(
  view: View,
  act: string,
  of: Text,
  choices: readonly { asked: Asked; name: string; rows: number; cost: Estimate | undefined }[],
): Html {
  if (choices.length < 2) return NOTHING;
  return html`<p>${view.say(of)}</p>
    <ul>
      ${choices.map(
        ({ asked, name, rows, cost }) =>
          html`<li>
            ${narrowed(view, html`<a href="${view.href(actPath(act, asked))}">${name}</a>`, rows, cost)}
          </li>`,
      )}
    </ul>`;
}
