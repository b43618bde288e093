import { shorten } from '../../core/text.ts';
import { formatCount } from '../../core/units.ts';
import type { Group, Grouped, Risk } from '../../ledger/read/uncertain-groups.ts';
import type { Unsettled } from '../../ledger/read/uncertain.ts';
import { REACHED } from '../../operate/row-life.ts';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { costText } from '../acts/act.ts';
import { page } from '../page.ts';
import { groupPath, uncertainPath } from './form.ts';
import { batchPath, rowPath } from '../url.ts';
import type { View } from '../view.ts';
import type { Text } from '../words/zh.ts';

/** How the rows ended that a person settled just now. */
export interface Settled {
  pending: number;
  cancelled: number;
  abandoned: number;
  /** Rows that an answer has settled meanwhile. */
  meanwhile: number;
  /** Rows that must wait for their deadline. */
  early: number;
}

/** `/uncertain` and `/batches/<name>/uncertain`: uncertain rows, grouped by what happened to them. */
export function uncertainPage(
  view: View,
  { groups, rows, groupCount }: Grouped,
  batch: string | undefined,
  surplus: readonly Unsettled[],
): string {
  const { say, href, tell, count } = view;
  const title = batch === undefined ? say('Uncertain rows') : say('Uncertain rows of {batch}', { batch });
  const hidden = groupCount - groups.length;
  const link = batch === undefined ? NOTHING : html`<p><a href="${href(batchPath(batch))}">${batch}</a></p>`;
  const none = html`<p>${say('No row is uncertain.')}</p>`;
  const body = html`<h1>${title}</h1>
    ${link} ${surplus.length === 0 ? NOTHING : surplusCard(view, surplus)}
    ${
      rows === 0
        ? none
        : html`<p>
              ${tell(
                '{rows} may have been paid, or not: only the provider knows. Nothing sends them again by itself.',
                {
                  rows: count(rows, 'row'),
                },
              )}
            </p>
            ${groups.map((group) => groupCard(view, group))}
            ${hidden === 0 ? NOTHING : html`<p class="soft">${say('{n} smaller groups are not shown.', { n: formatCount(hidden) })}</p>`}`
    }`;
  return page(view, title, body);
}

/** The page shows at most this many of the rows that were paid twice. */
export const MOST_SURPLUS = 50;

function surplusCard({ say, href }: View, surplus: readonly Unsettled[]): Html {
  const shown = surplus.slice(0, MOST_SURPLUS);
  return html`<section class="card">
    <h2>${say('Paid twice')}</h2>
    <p>${say('Cancel one of the tasks at the provider, or use both.')}</p>
    <ul>
      ${shown.map(
        ({ batch, submissionId, key, taskId, surplus: others }) =>
          html`<li>
            <a href="${href(rowPath(submissionId))}">${shorten(key, 200)}</a> · ${batch} ·
            ${[taskId, ...others].filter((task) => task !== null).map((task) => html`<code>${task}</code> `)}
          </li>`,
      )}
    </ul>
    ${shown.length === surplus.length ? NOTHING : html`<p class="soft">${say('There are more.')}</p>`}
  </section>`;
}

/** How the rows ended, for the notice on the next page. */
export function settledLines(
  { say, count }: View,
  { pending, cancelled, abandoned, meanwhile, early }: Settled,
): string[] {
  const lines: readonly (readonly [number, Text])[] = [
    [pending, '{rows} are pending and are sent again.'],
    [cancelled, '{rows} are cancelled, as their batch is.'],
    [abandoned, '{rows} are given up.'],
    [meanwhile, '{rows} got an answer meanwhile, which counts.'],
    [early, '{rows} stay uncertain until their deadline.'],
  ];
  const told = lines.flatMap(([n, text]) => (n === 0 ? [] : [say(text, { rows: count(n, 'row') })]));
  return told.length === 0 ? [say('No row was changed.')] : told;
}

function groupCard(view: View, group: Group): Html {
  const { say, href, count } = view;
  const { batch, code, httpStatus, phase, rows } = group;
  const path = groupPath(batch, { errorCode: code, httpStatus, phase });
  return html`<section class="card">
    <h2>
      <a href="${href(path)}"
        >${say('{what}: {detail}', { what: count(rows, 'row'), detail: causeText(group) })}</a
      >
    </h2>
    <p>${reachedText(view, phase)}</p>
    <p class="soft">
      ${say('batch')} <a href="${href(uncertainPath(batch))}">${batch}</a> · ${moneyText(view, group)}
      ${group.oldest === null ? NOTHING : html` · ${say('the oldest:')} ${view.time(group.oldest)}`}
    </p>
    ${waitNote(view, group)}
  </section>`;
}

/** The code, the HTTP status and what one of the answers said. An answer often says its status itself. */
function causeText({ code, httpStatus, example }: Group): string {
  const told = example === null ? null : shorten(example, 200);
  const status = httpStatus === null ? null : `HTTP ${httpStatus}`;
  const isTold = status !== null && told?.startsWith(status) === true;
  // A worker that died left none of them.
  return [code, isTold ? null : status, told].filter((part) => part !== null).join(' · ') || '–';
}

/** Until when rows of a group cannot be called not sent. */
export function waitNote(
  { tell, time, count }: View,
  { waiting, until }: Pick<Group, 'waiting' | 'until'>,
): Html {
  if (waiting === 0 || until === null) return NOTHING;
  return html`<p class="gate">
    ${tell('An answer to {rows} may still come, to the last until {time}.', {
      rows: count(waiting, 'row'),
      time: time(until),
    })}
  </p>`;
}

export function reachedText({ say }: View, phase: Group['phase']): string {
  return phase === 'none' ? say('no answer was recorded') : say(REACHED[phase]);
}

/** The most that rows may have cost. What is not known is never left out. */
export function moneyText(view: View, { atRisk, unpriced }: Risk): string {
  if (atRisk.length === 0) return view.say('the price is not known');
  return costText(view, { totals: atRisk, unknown: unpriced });
}

/** What a decision about one row means for the money. */
export function consequence({ say }: View, decision: 'not-sent' | 'abandon'): string {
  return decision === 'not-sent'
    ? say(
        'The row is sent again. If the provider accepted it after all, it is paid twice: be sure that it is not in the list of the provider.',
      )
    : say(
        'The row is given up, paid or not: it is not sent again, and what it may have cost stays in the cost.',
      );
}
