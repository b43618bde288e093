import { STATES } from '../core/submission.ts';
import type { State } from '../core/submission.ts';
import { speedOf, formatUnfed } from '../operate/pace.ts';
import { count, duration } from '../core/format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import type { Question } from './question.ts';
import type { BatchStatus } from './reading.ts';

/** A whole page. `refreshS`: seconds until the browser asks again; absent: never. */
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
          <a href="/schedules">Schedules</a>
          <a href="/queues">Queues</a>
          <span class="place">${place}</span>
        </header>
        <main>${body}</main>
      </body>
    </html>`.markup;
}

export function batchPath(
  name: string,
  question: Partial<Pick<Question, 'state' | 'task' | 'key'>> & { after?: string } = {},
): string {
  const query = new URLSearchParams();
  if (question.state !== undefined) query.set('state', question.state);
  if (question.task !== undefined) query.set('task', question.task);
  if (question.key !== undefined) query.set('key', question.key);
  if (question.after !== undefined) query.set('after', question.after);
  return `/batches/${encodeURIComponent(name)}${query.size === 0 ? '' : `?${query.toString()}`}`;
}

/** Where a batch stands: a bar, its counts as links to the rows, and what keeps it waiting. */
export function standing(status: BatchStatus, current?: State): Html {
  const states = STATES.filter((state) => status.counts[state] > 0);
  let x = 0;
  const pieces = states.map((state) => {
    const draw = (name: string, rows: number): Html => {
      const width = (100 * rows) / status.rows;
      const piece = html`<rect class="${name}" x="${x}" y="0" width="${width}" height="4" />`;
      x += width;
      return piece;
    };
    const failed = state === 'submitted' ? status.failedTasks : 0;
    return html`${draw(state, status.counts[state] - failed)}${failed > 0 ? draw('task-failed', failed) : NOTHING}`;
  });
  const chips = states.map(
    (state) =>
      html`<li>
        <a
          href="${batchPath(status.batch, { state })}"
          ${state === current ? html` aria-current="true"` : NOTHING}
          ><span class="dot ${state}"></span>${state} ${count(status.counts[state])}</a
        >
      </li>`,
  );
  if (status.failedTasks > 0) {
    chips.push(
      html`<li>
        <a href="${batchPath(status.batch, { task: 'failed' })}"
          ><span class="dot task-failed"></span>failed at the provider ${count(status.failedTasks)}</a
        >
      </li>`,
    );
  }
  const surplus =
    status.surplus === 0
      ? NOTHING
      : html`<p class="gate">
          <strong>paid twice:</strong> ${count(status.surplus)} task ids beyond one a row
        </p>`;
  const unfed = formatUnfed(status);
  const worker = unfed === undefined ? NOTHING : html`<p class="gate">${unfed}</p>`;
  const budget = status.budget === null ? NOTHING : html`<p class="soft">budget: ${status.budget.told}</p>`;
  const gates = status.gates.map(
    ({ gate, reason }) => html`<p class="gate"><strong>waiting, ${gate}:</strong> ${reason}</p>`,
  );
  return html`<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      ${pieces}
    </svg>
    <ul class="chips">
      ${chips}
    </ul>
    ${worker}${budget}${surplus}${gates}`;
}

/** `50,000 rows · 49,988 task ids · 12.5 accepted/s · ETA 3m 20s` */
export function pace(status: BatchStatus): string {
  const parts = [
    `${count(status.rows)} ${status.rows === 1 ? 'row' : 'rows'}`,
    `${count(status.taskIds)} task ${status.taskIds === 1 ? 'id' : 'ids'}`,
  ];
  if (status.rate > 0) parts.push(speedOf(status.lately));
  if (status.etaSeconds !== null) parts.push(`ETA ${duration(status.etaSeconds * 1000)}`);
  return parts.join(' · ');
}
