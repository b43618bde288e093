import { STATES } from '../core/states.ts';
import { openOf } from '../core/task-status.ts';
import { shorten } from '../core/text.ts';
import { formatCount } from '../core/units.ts';
import type { Attention } from '../operate/attention.ts';
import type { PageRow } from '../ledger/read/rows.ts';
import { formatTasks } from '../operate/summary.ts';
import type { SeenRun, SeenSchedule } from '../schedule/view.ts';
import type { BatchStatus, Overview, RowsPage } from './page-data.ts';
import { batchStanding, formatPace, html, NOTHING, page } from './page.ts';
import type { Html } from './page.ts';
import { batchPath, rowPath } from './url.ts';
import type { PageQuery } from './url.ts';

const LIST_REFRESH_S = 5;
const ROWS_REFRESH_S = 10;

/** `/`: every batch, newest first. `away`: why the queue does not answer. */
export function batchesPage(
  { attention, batches, page: number, pages }: Overview,
  place: string,
  away: string | undefined,
): string {
  const none = number === 1 ? ' yet. `vidbatch submit` or `vidbatch run` adds one' : ' on this page';
  const body = html`<h1>Batches</h1>
    ${away === undefined ? NOTHING : html`<p class="gate" role="status">${away}</p>`}
    ${number === 1 && batches.length > 0 ? attentionList(attention) : NOTHING}
    ${batches.length === 0 ? html`<p>No batches${none}.</p>` : batches.map(batchCard)}${pager(number, pages)}`;
  return page('Batches · vidbatch', body, { place, refreshS: LIST_REFRESH_S });
}

function attentionList(attention: readonly Attention[]): Html {
  if (attention.length === 0) return html`<p class="soft">Nothing needs attention.</p>`;
  return html`<section class="card" aria-label="Attention">
    <h2>Attention</h2>
    <ul class="attention">
      ${attention.map(
        ({ kind, what, command, batch }) =>
          html`<li class="${kind}">
            ${what}<br />
            <code>${command}</code
            >${batch === undefined ? NOTHING : html` · <a href="${batchPath(batch)}">${batch}</a>`}
          </li>`,
      )}
    </ul>
  </section>`;
}

function batchCard(status: BatchStatus): Html {
  return html`<section class="card">
    <h2><a href="${batchPath(status.batch)}">${status.batch}</a></h2>
    <p class="soft">${formatPace(status)}</p>
    ${batchStanding(status)}
    <p class="soft">from ${status.source}</p>
  </section>`;
}

function pager(number: number, pages: number): Html {
  const links: Html[] = [];
  if (number > 1) links.push(html`<a href="/?page=${number - 1}">newer</a>`);
  if (number < pages) links.push(html`<a href="/?page=${number + 1}">older</a>`);
  return html`<nav class="pages">${links}</nav>`;
}

/** `/batches/<name>`: its rows, page by page. */
export function batchPage(
  status: BatchStatus,
  { items, next }: RowsPage,
  { state, task, key, after }: PageQuery,
  place: string,
): string {
  const asked = { state, task, key };
  const isFiltered = state !== undefined || task !== undefined || key !== undefined;
  const shown = [
    state === undefined ? 'rows' : `rows that are ${state}`,
    ...(task === undefined ? [] : ['whose task failed at the provider']),
    ...(key === undefined ? [] : [`whose keys begin with ${shorten(key, 200)}`]),
  ].join(' ');
  const all = isFiltered ? html` · <a href="${batchPath(status.batch)}">all rows</a>` : NOTHING;
  const first =
    after === undefined ? NOTHING : html`<a href="${batchPath(status.batch, asked)}">first page</a>`;
  const more =
    next === null
      ? NOTHING
      : html`<a href="${batchPath(status.batch, { ...asked, after: next })}">next page</a>`;
  const body = html`<h1>${status.batch}</h1>
    <section class="card">
      <p class="soft">${formatPace(status)}</p>
      ${batchStanding(status, state)}
      ${status.tasks === null ? NOTHING : html`<p>${formatTasks(status.tasks)}</p>`}
      <p class="soft">
        from ${status.source}${status.priority === 0 ? '' : ` · priority ${status.priority}`}
      </p>
    </section>
    <form class="find" action="${batchPath(status.batch)}" method="get">
      <input
        name="key"
        aria-label="key of a row or its beginning, or a task id"
        placeholder="key or task id"
        required
      />
      <button>Find</button>
    </form>
    <p class="soft">Showing ${isFiltered ? shown : 'all rows'}, in the order of the manifest${all}</p>
    ${items.length === 0 ? html`<p>None.</p>` : rowTable(items)}
    <nav class="pages">${first}${more}</nav>`;
  // A page is not reloaded if its batch does not change, so that a person can read and copy.
  const open = status.tasks === null ? 0 : openOf(status.tasks);
  const moving = status.counts.pending + status.counts.submitting + open > 0;
  return page(`${status.batch} · vidbatch`, body, { place, ...(moving ? { refreshS: ROWS_REFRESH_S } : {}) });
}

function rowTable(rows: readonly PageRow[]): Html {
  return html`<div class="wide">
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
        ${rows.map(
          (row) =>
            html`<tr>
              <td class="number" data-name="line">${row.line}</td>
              <td class="code" data-name="key"><a href="${rowPath(row.id)}">${shorten(row.key, 200)}</a></td>
              <td class="state" data-name="state"><span class="dot ${row.state}"></span>${row.state}</td>
              <td class="code" data-name="task id">${formatTaskId(row)}</td>
              <td class="text" data-name="error">${formatRowError(row)}</td>
              <td class="text" data-name="prompt">${row.prompt}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function formatTaskId({ taskId, providerStatus }: PageRow): string | null {
  return taskId !== null && providerStatus !== null ? `${taskId} (${providerStatus})` : taskId;
}

function formatRowError({ httpStatus, errorCode, error }: PageRow): string {
  if (error === null && errorCode === null) return '';
  const status = httpStatus === null || error === null ? '' : `HTTP ${httpStatus} `;
  return `${status}${errorCode === null ? '' : `${errorCode}: `}${error ?? ''}`;
}

/** `/schedules`: each with its next ticks and the state of its last run. */
export function schedulesPage(schedules: readonly SeenSchedule[], place: string): string {
  const none = html`<p>No schedules. \`vidbatch schedule add\` makes one.</p>`;
  const body = html`<h1>Schedules</h1>
    ${schedules.length === 0 ? none : schedules.map(scheduleCard)}`;
  return page('Schedules · vidbatch', body, { place, refreshS: LIST_REFRESH_S });
}

function scheduleCard({ name, cron, zone, manifest, next, paused, last }: SeenSchedule): Html {
  return html`<section class="card">
    <h2>${name}</h2>
    <p class="soft">${cron} in ${zone} · from ${manifest}</p>
    ${paused ? html`<p class="gate"><strong>paused:</strong> no ticks until it is resumed</p>` : NOTHING}
    <ul class="chips">
      ${next.map((tick) => html`<li>${tick}</li>`)}
    </ul>
    ${last === null ? html`<p class="soft">no run yet</p>` : lastRun(last)}
  </section>`;
}

function lastRun({ batch, state, reason, code, counts }: SeenRun): Html {
  if (counts === null) {
    return html`<p class="gate">
      <strong>last run ${state}:</strong> ${batch}: ${reason}${code === null ? NOTHING : html` [${code}]`}
    </p>`;
  }
  const parts = STATES.filter((one) => counts[one] > 0).map((one) => `${formatCount(counts[one])} ${one}`);
  return html`<p>last run <a href="${batchPath(batch)}">${batch}</a>: ${parts.join(', ')}</p>`;
}
