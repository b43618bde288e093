import { html, NOTHING, type Html } from '../../core/html.ts';
import { STATES } from '../../core/states.ts';
import { shorten } from '../../core/text.ts';
import { formatCount } from '../../core/units.ts';
import { TASK_FILTERS, type Order } from '../../ledger/read/row-list.ts';
import type { Series } from '../../ledger/read/attempt-series.ts';
import { batchActions } from '../acts/buttons.ts';
import { batchStanding, formatPace, standingBadge } from './batch-standing.ts';
import { charts } from './charts.ts';
import type { KnownBatch } from '../page-data.ts';
import { page } from '../page.ts';
import { pager } from './pager.ts';
import { ordersOf, ROWS_A_PAGE, type RowsPage } from '../row-pages.ts';
import type { RowsQuery } from '../row-query.ts';
import { rowTable } from './row-table.ts';
import { batchPath, videosPath } from '../url.ts';
import type { View } from '../view.ts';

export interface BatchPage {
  known: KnownBatch;
  series: Series | null;
  rows: RowsPage;
  query: RowsQuery;
  now: number;
}

/** `/batches/<name>`: how far its videos are, what happened over time, and its rows, page by page. */
export function batchPage(view: View, { known, series, rows, query, now }: BatchPage): string {
  const { status, codes } = known;
  const orders = ordersOf(rows.total ?? status.rows);
  const body = html`<div class="named">
      <h1>${status.batch}</h1>
      ${standingBadge(view, status)}
    </div>
    <section class="card">
      <p class="soft">${formatPace(view, status, now)}</p>
      ${batchStanding(view, status, query)}
      <p class="soft">
        ${
          status.taskIds === 0
            ? NOTHING
            : html`<a href="${view.href(videosPath(status.batch))}">${view.say('Videos')}</a> · `
        }${view.say('from {source}', { source: status.source })}${
          status.priority === 0
            ? NOTHING
            : html` · ${view.say('priority {n}', { n: formatCount(status.priority) })}`
        }
      </p>
      ${batchActions(view, status)}
    </section>
    ${series === null ? NOTHING : charts(view, series)}
    ${filterForm(view, status.batch, query, codes, orders)}
    ${
      rows.items.length === 0
        ? html`<p>${view.say('No row fits.')}</p>`
        : rowTable(view, rows.items, { batch: status.batch, query, orders, now })
    }
    ${pager(view, rows, ROWS_A_PAGE, (place) => batchPath(status.batch, query, place))}`;
  return page(view, status.batch, body);
}

/** The filters and the order, as a form without a script. */
function filterForm(
  view: View,
  batch: string,
  query: RowsQuery,
  codes: KnownBatch['codes'],
  orders: readonly Order[],
): Html {
  const sort = `${query.descending ? '-' : ''}${query.order}`;
  const isFiltered = [query.state, query.task, query.error, query.key].some((one) => one !== undefined);
  const shown = new Set([
    ...codes.slice(0, MOST_CODES).map(({ code }) => code),
    ...(query.error === undefined ? [] : [query.error]),
  ]);
  return html`<form class="find" action="${view.href(batchPath(batch))}" method="get">
    <input
      name="key"
      value="${query.key}"
      aria-label="${view.say('key of a row or its beginning, or a task id')}"
      placeholder="${view.say('key or task id')}"
    />
    ${choice('state', view.say('state'), query.state ?? '', [['', view.say('any state')], ...STATES.map((state) => [state, view.say(state)] as const)])}
    ${choice('task', view.say('task'), query.task ?? '', [['', view.say('any task')], ...TASK_FILTERS.map((task) => [task, view.say(TASK_WORDS[task])] as const)])}
    ${
      shown.size === 0
        ? NOTHING
        : choice('error', view.say('error'), query.error ?? '', [
            ['', view.say('any error')],
            ...[...shown].map((code) => [code, shorten(code, 60)] as const),
          ])
    }
    ${choice(
      'sort',
      view.say('order'),
      sort === 'line' ? '' : sort,
      orders.flatMap((order) => [
        [
          order === 'line' ? '' : order,
          view.say('by {column}', { column: view.say(ORDER_WORDS[order]) }),
        ] as const,
        [`-${order}`, view.say('by {column}, descending', { column: view.say(ORDER_WORDS[order]) })] as const,
      ]),
    )}
    <button>${view.say('Show')}</button>
    ${isFiltered ? html`<a href="${view.href(batchPath(batch))}">${view.say('all rows')}</a>` : NOTHING}
  </form>`;
}

const MOST_CODES = 30;

const TASK_WORDS = {
  sent: 'sent',
  rendering: 'rendering',
  completed: 'completed',
  'not-downloaded': 'completed, not downloaded',
  downloaded: 'downloaded',
  failed: 'failed at the provider',
  missing: 'not known to the provider',
} as const;

const ORDER_WORDS = {
  line: 'line',
  key: 'key',
  state: 'state',
  changed: 'last change',
  attempts: 'attempts',
  cost: 'cost',
} as const;

function choice(
  name: string,
  label: string,
  current: string,
  options: readonly (readonly [value: string, text: string])[],
): Html {
  return html`<select name="${name}" aria-label="${label}">
    ${options.map(
      ([value, text]) =>
        html`<option value="${value}" ${value === current ? html` selected` : NOTHING}>${text}</option>`,
    )}
  </select>`;
}
