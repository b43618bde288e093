import { STATES } from '../core/states.ts';
import type { State } from '../core/states.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import { formatSpeed, formatUnfed } from '../operate/summary.ts';
import type { BatchStatus } from './page-data.ts';
import { batchPath } from './url.ts';

/** Text that is markup already. Any other value is escaped before it goes into a page. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

export const NOTHING = new Html('');

type Piece = string | number | null | undefined | Html | readonly Html[];

/** A template whose values cannot become markup. Only `Html`, alone or in a list, goes in unescaped. */
export function html(strings: TemplateStringsArray, ...values: readonly Piece[]): Html {
  let markup = strings[0] ?? '';
  for (const [index, value] of values.entries()) markup += render(value) + (strings[index + 1] ?? '');
  return new Html(markup);
}

function render(value: Piece): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Html) return value.markup;
  return typeof value === 'object' ? value.map((one) => one.markup).join('') : escape(String(value));
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for quoted attributes. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** A whole page. `refreshS`: seconds after which the browser loads it again; undefined: never. */
export function page(
  title: string,
  body: Html,
  { place, refreshS }: { place?: string; refreshS?: number } = {},
): string {
  const live =
    refreshS === undefined
      ? NOTHING
      : html`<script src="/live.js" data-seconds="${refreshS}" defer></script>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/style.css" />
        ${live}
      </head>
      <body>
        <header>
          <strong>vidbatch</strong>
          <a href="/">Batches</a>
          <a href="/failures">Failures</a>
          <a href="/cost">Cost</a>
          <a href="/workers">Workers</a>
          <a href="/schedules">Schedules</a>
          <a href="/queues">Queues</a>
          <form class="search" action="/find" method="get" role="search">
            <input
              name="q"
              type="search"
              aria-label="find a row by any text"
              placeholder="find a row"
              required
            />
          </form>
          <span class="place">${place}</span>
        </header>
        <main>${body}</main>
      </body>
    </html>`.markup;
}

/** The state of a batch: a bar, its counts as links to the rows, and what keeps rows waiting. */
export function batchStanding(status: BatchStatus, current?: State): Html {
  const { batch, counts, failedTasks, surplus, budget, gates } = status;
  const states = STATES.filter((state) => counts[state] > 0);
  const chips = states.map(
    (state) =>
      html`<li>
        <a href="${batchPath(batch, { state })}" ${state === current ? html` aria-current="true"` : NOTHING}
          ><span class="dot ${state}"></span>${state} ${formatCount(counts[state])}</a
        >
      </li>`,
  );
  if (failedTasks > 0) {
    chips.push(
      html`<li>
        <a href="${batchPath(batch, { task: 'failed' })}"
          ><span class="dot task-failed"></span>failed at the provider ${formatCount(failedTasks)}</a
        >
      </li>`,
    );
  }
  const unfed = formatUnfed(status);
  return html`${bar(status, states)}
    <ul class="chips">
      ${chips}
    </ul>
    ${unfed === undefined ? NOTHING : html`<p class="gate">${unfed}</p>`}
    ${budget === null ? NOTHING : html`<p class="soft">budget: ${budget.told}</p>`}
    ${
      surplus === 0
        ? NOTHING
        : html`<p class="gate"><strong>paid twice:</strong> ${plural(surplus, 'surplus task id')}</p>`
    }
    ${gates.map(({ gate, reason }) => html`<p class="gate"><strong>waiting, ${gate}:</strong> ${reason}</p>`)}`;
}

function bar({ rows, counts, failedTasks }: BatchStatus, states: readonly State[]): Html {
  const pieces = states.flatMap((state): [string, number][] => {
    const failed = state === 'submitted' ? failedTasks : 0;
    return [
      [state, counts[state] - failed],
      ['task-failed', failed],
    ];
  });
  let x = 0;
  const drawn = pieces.map(([name, n]) => {
    const width = (100 * n) / rows;
    const piece = html`<rect class="${name}" x="${x}" y="0" width="${width}" height="4" />`;
    x += width;
    return n === 0 ? NOTHING : piece;
  });
  return html`<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
    ${drawn}
  </svg>`;
}

/** `50,000 rows · 49,988 task ids · 12.5 accepted/s · ETA 3m 20s` */
export function formatPace(status: BatchStatus): string {
  const parts = [plural(status.rows, 'row'), plural(status.taskIds, 'task id')];
  if (status.rate > 0) parts.push(formatSpeed(status.lately));
  if (status.etaSeconds !== null) parts.push(`ETA ${formatDuration(status.etaSeconds * 1000)}`);
  return parts.join(' · ');
}
