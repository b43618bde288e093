import { add, compare, formatMoney, ZERO } from '../core/money/money.ts';
import type { Amount } from '../core/money/money.ts';
import { shorten } from '../core/text.ts';
import { formatCount, formatDuration } from '../core/units.ts';
import type { Cost } from '../ledger/money/costs.ts';
import type { FailureGroup } from '../ledger/read/failures.ts';
import type { FoundRow } from '../ledger/read/find.ts';
import type { SeenWorker } from '../ledger/workers.ts';
import { nextSteps } from '../operate/failure-steps.ts';
import { html, NOTHING, page } from './page.ts';
import type { Html } from './page.ts';
import { batchPath, rowPath } from './url.ts';

const REFRESH_S = 5;

interface Column<Row> {
  title: string;
  of: (row: Row) => Html | string;
  kind?: 'number' | 'code' | 'text' | 'state';
}

function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  return html`<div class="wide">
    <table>
      <thead>
        <tr>
          ${columns.map(({ title }) => html`<th>${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${columns.map(
                ({ title, of, kind = 'text' }) =>
                  html`<td class="${kind}" data-name="${title}">${of(row)}</td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const batchLink = (name: string): Html => html`<a href="${batchPath(name)}">${name}</a>`;

/** `/workers`: which workers are alive, where, and what they do. */
export function workersPage(workers: readonly SeenWorker[], place: string, now: number): string {
  const alive = workers.some((worker) => worker.alive);
  const columns: Column<SeenWorker>[] = [
    { title: 'worker', of: ({ id }) => id, kind: 'code' },
    { title: 'host', of: ({ host, pid }) => `${host}, pid ${pid}` },
    { title: 'state', of: (worker) => stateOf(worker, now), kind: 'state' },
    { title: 'up', of: ({ startedAt }) => formatDuration(now - startedAt.getTime()) },
    {
      title: 'open calls',
      of: ({ inFlight, concurrency }) => `${inFlight} of ${concurrency}`,
      kind: 'number',
    },
    { title: 'rows', of: ({ recorded }) => formatCount(recorded), kind: 'number' },
    {
      title: 'rows/s',
      of: ({ perSecond, alive: lives }) => (lives ? perSecond.toFixed(1) : ''),
      kind: 'number',
    },
    { title: 'version', of: ({ version }) => version },
    { title: 'provider', of: ({ origin }) => origin },
    { title: 'batches', of: ({ batches }) => batches?.join(', ') ?? 'all' },
  ];
  const body = html`<h1>Workers</h1>
    ${alive ? NOTHING : html`<p class="gate">No worker is alive. <code>vidbatch work</code> starts one.</p>`}
    ${workers.length === 0 ? NOTHING : table(columns, workers)}`;
  return page('Workers · vidbatch', body, { place, refreshS: REFRESH_S });
}

function stateOf({ alive, draining, seenAt }: SeenWorker, now: number): string {
  if (!alive) return `gone, last seen ${formatDuration(now - seenAt.getTime())} ago`;
  return draining ? 'stopping' : 'working';
}

/** `/failures`: rows and tasks that failed, grouped by cause. */
export function failuresPage(
  groups: readonly FailureGroup[],
  since: string | undefined,
  place: string,
): string {
  const columns: Column<FailureGroup>[] = [
    { title: 'batch', of: ({ batch }) => batchLink(batch) },
    {
      title: 'what',
      of: ({ kind, rows }) => `${formatCount(rows)} ${kind === 'task' ? 'tasks failed' : kind}`,
    },
    {
      title: 'cause',
      of: ({ code, httpStatus }) =>
        [code, httpStatus === null ? null : `HTTP ${httpStatus}`].filter(Boolean).join(' · '),
    },
    { title: 'model', of: ({ model }) => model ?? '' },
    { title: 'reason', of: ({ reason }) => shorten(reason ?? '', 200) },
    { title: 'last', of: ({ last }) => last.toISOString() },
    {
      title: 'rows',
      of: ({ examples, rows }) => `${examples.join(', ')}${rows > examples.length ? ' …' : ''}`,
    },
    {
      title: 'what to do',
      of: (group) =>
        html`${nextSteps(group).map(({ what, command }) => html`<div>${what}: <code>${command}</code></div>`)}`,
    },
  ];
  const body = html`<h1>Failures</h1>
    ${sinceLinks('/failures', since)}
    ${groups.length === 0 ? html`<p>No row and no task failed.</p>` : table(columns, groups)}`;
  return page('Failures · vidbatch', body, { place });
}

/** `/cost`: what rows cost, by batch and model. */
export function costPage(costs: readonly Cost[], since: string | undefined, place: string): string {
  const columns: Column<Cost>[] = [
    { title: 'batch', of: ({ batch = '' }) => batchLink(batch) },
    { title: 'model', of: ({ model }) => model ?? '' },
    { title: 'rows', of: ({ rows }) => formatCount(rows), kind: 'number' },
    {
      title: 'spent',
      of: (cost) => (cost.currency === null ? 'the price is not known' : amountIn(cost, cost.spent)),
      kind: 'number',
    },
    { title: 'in flight', of: (cost) => amountIn(cost, cost.inFlight), kind: 'number' },
    { title: 'at risk', of: (cost) => amountIn(cost, cost.atRisk), kind: 'number' },
    { title: 'billed', of: (cost) => amountIn(cost, cost.billed), kind: 'number' },
  ];
  const spent = [...Map.groupBy(costs, ({ currency }) => currency)].flatMap(([currency, some]) =>
    currency === null
      ? []
      : [formatMoney({ amount: some.reduce((sum, cost) => add(sum, cost.spent), ZERO), currency })],
  );
  const body = html`<h1>Cost</h1>
    ${sinceLinks('/cost', since)}
    ${
      costs.length === 0
        ? html`<p>Nothing was spent.</p>`
        : html`<p>Spent: ${spent.length === 0 ? 'not known' : spent.join(' and ')}</p>
            ${table(columns, costs)}
            <p class="soft">
              At risk: uncertain rows, which may have been paid. Billed: by the provider's bills.
            </p>`
    }`;
  return page('Cost · vidbatch', body, { place });
}

function amountIn({ currency }: Cost, amount: Amount | null): string {
  if (amount === null || currency === null || compare(amount, ZERO) === 0) return '';
  return formatMoney({ amount, currency });
}

const SPANS = { '1h': 'last hour', '12h': 'last 12 hours', '1d': 'last day', '7d': 'last week' };

function sinceLinks(path: string, since: string | undefined): Html {
  const current = html` aria-current="true"`;
  const links = Object.entries(SPANS).map(
    ([span, name]) => html`<a href="${path}?since=${span}" ${since === span ? current : NOTHING}>${name}</a>`,
  );
  return html`<nav class="pages" aria-label="since">
    <a href="${path}" ${since === undefined ? current : NOTHING}>all</a>${links}
  </nav>`;
}

/** `/find?q=`: rows of all batches. `more`: there are more rows than these. */
export function findPage(query: string, rows: readonly FoundRow[], more: boolean, place: string): string {
  const columns: Column<FoundRow>[] = [
    { title: 'batch', of: ({ batch }) => batchLink(batch) },
    {
      title: 'key',
      of: ({ id, key }) => html`<a href="${rowPath(id)}">${shorten(key, 200)}</a>`,
      kind: 'code',
    },
    { title: 'state', of: ({ state }) => html`<span class="dot ${state}"></span>${state}`, kind: 'state' },
    { title: 'model', of: ({ model }) => model ?? '' },
    {
      title: 'task id',
      of: ({ taskId, providerStatus: status }) => `${taskId ?? ''}${status === null ? '' : ` (${status})`}`,
      kind: 'code',
    },
    { title: 'error', of: ({ errorCode, error }) => [errorCode, error].filter(Boolean).join(': ') },
    { title: 'prompt', of: ({ prompt }) => prompt ?? '' },
  ];
  const hint = 'There are more rows. Add a word, or one of state: model: batch: error: after: before:';
  const body = html`<h1>Find: ${shorten(query, 200)}</h1>
    ${rows.length === 0 ? html`<p>No row fits.</p>` : table(columns, rows)}
    ${more ? html`<p class="soft">${hint}</p>` : NOTHING}`;
  return page('Find · vidbatch', body, { place });
}
