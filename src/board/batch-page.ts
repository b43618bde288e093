import type { PageRow } from '../ledger/read/rows.ts';
import { shorten } from '../operate/life.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { batchPath, pace, page, standing } from './page.ts';
import { formatTasks } from '../operate/summary.ts';
import { rowPath } from './job.ts';
import { openOf } from '../core/task.ts';
import type { Question } from './question.ts';
import type { BatchStatus, RowsPage } from './reading.ts';

const REFRESH_S = 10;

/** `/batches/<name>`: its rows, page by page. */
export function batchPage(
  status: BatchStatus,
  { items, next }: RowsPage,
  question: Question,
  place: string,
): string {
  const { state, task, key } = question;
  const asked = { state, task, key };
  const shown = [
    state === undefined ? 'rows' : `rows that are ${state}`,
    ...(task === undefined ? [] : ['whose task failed at the provider']),
    ...(key === undefined ? [] : [`whose keys begin with ${shorten(key, 200)}`]),
  ].join(' ');
  const some = state !== undefined || task !== undefined || key !== undefined;
  const all = !some ? NOTHING : html` · <a href="${batchPath(status.batch)}">all rows</a>`;
  const first =
    question.after === undefined ? NOTHING : html`<a href="${batchPath(status.batch, asked)}">first page</a>`;
  const more =
    next === null
      ? NOTHING
      : html`<a href="${batchPath(status.batch, { ...asked, after: next })}">next page</a>`;
  const table = html`<div class="wide">
    <table>
      <thead>
        <tr>
          <th>line</th>
          <th>key</th>
          <th>state</th>
          <th>task id</th>
          <th>error</th>
          <th>prompt</th>
        </tr>
      </thead>
      <tbody>
        ${items.map(tableRow)}
      </tbody>
    </table>
  </div>`;
  const body = html`<h1>${status.batch}</h1>
    <section class="card">
      <p class="soft">${pace(status)}</p>
      ${standing(status, state)}
      ${status.tasks === null ? NOTHING : html`<p>${formatTasks(status.tasks)}</p>`}
      <p class="soft">
        from ${status.source}${status.priority === 0 ? '' : ` · priority ${status.priority}`}
      </p>
    </section>
    <form class="find" action="${batchPath(status.batch)}" method="get">
      <input
        name="key"
        aria-label="key of a row, how it begins, or a task id"
        placeholder="key or task id"
        required
      />
      <button>Find</button>
    </form>
    <p class="soft">Showing ${some ? shown : 'all rows'}, in the order of the manifest${all}</p>
    ${items.length === 0 ? html`<p>None.</p>` : table}
    <nav class="pages">${first}${more}</nav>`;
  // A batch at rest stays still: reading and copying from it is what the page is for.
  const open = status.tasks === null ? 0 : openOf(status.tasks);
  const moving = status.counts.pending + status.counts.submitting + open > 0;
  return page(`${status.batch} · vidbatch`, body, { place, ...(moving ? { refreshS: REFRESH_S } : {}) });
}

function tableRow(row: PageRow): Html {
  return html`<tr>
    <td class="number" data-name="line">${row.line}</td>
    <td class="code" data-name="key"><a href="${rowPath(row.id)}">${shorten(row.key, 200)}</a></td>
    <td class="state" data-name="state"><span class="dot ${row.state}"></span>${row.state}</td>
    <td class="code" data-name="task id">${taskOf(row)}</td>
    <td class="text" data-name="error">${errorOf(row)}</td>
    <td class="text" data-name="prompt">${row.prompt}</td>
  </tr>`;
}

function taskOf(row: PageRow): string | null {
  return row.taskId !== null && row.providerStatus !== null
    ? `${row.taskId} (${row.providerStatus})`
    : row.taskId;
}

function errorOf(row: PageRow): string {
  const status = row.httpStatus === null || row.error === null ? '' : `HTTP ${row.httpStatus} `;
  const code = row.errorCode === null ? '' : `${row.errorCode}: `;
  return row.error === null && row.errorCode === null ? '' : `${status}${code}${row.error ?? ''}`;
}
