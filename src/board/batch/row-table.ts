import { formatMoney } from '../../core/money/money.ts';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { shorten } from '../../core/text.ts';
import { formatCount } from '../../core/units.ts';
import { stageOf } from '../../core/video-stage.ts';
import { amountOf } from '../../ledger/money/budget.ts';
import type { ListedRow, Order } from '../../ledger/read/row-list.ts';
import type { RowsQuery } from '../row-query.ts';
import { table, timeCell, type Column } from '../table.ts';
import { batchPath, rowPath } from '../url.ts';
import type { View } from '../view.ts';

/** The rows of one page. `orders`: those in which the rows of this batch may be sorted. */
export function rowTable(
  view: View,
  rows: readonly ListedRow[],
  { batch, query, orders, now }: { batch: string; query: RowsQuery; orders: readonly Order[]; now: number },
): Html {
  const any = (has: (row: ListedRow) => boolean, column: Column<ListedRow>): Column<ListedRow>[] =>
    rows.some(has) ? [column] : [];
  const sort = (order: Order): Column<ListedRow>['sort'] => {
    if (!orders.includes(order)) return undefined;
    const isCurrent = query.order === order;
    return {
      href: view.href(batchPath(batch, { ...query, order, descending: isCurrent && !query.descending })),
      by: !isCurrent ? undefined : query.descending ? 'descending' : 'ascending',
    };
  };
  const columns: Column<ListedRow>[] = [
    { title: 'line', sort: sort('line'), of: ({ line }) => formatCount(line), kind: 'number' },
    {
      title: 'key',
      sort: sort('key'),
      of: ({ id, key }) => html`<a href="${view.href(rowPath(id))}">${shorten(key, 200)}</a>`,
      kind: 'code',
    },
    { title: 'state', sort: sort('state'), of: (row) => stateCell(view, row), kind: 'state' },
    ...any(({ taskId }) => taskId !== null, { title: 'task id', of: taskCell, kind: 'id' }),
    { title: 'model', of: ({ model }) => model ?? '', kind: 'state' },
    {
      title: 'attempts',
      sort: sort('attempts'),
      of: ({ attempts }) => formatCount(attempts),
      kind: 'number',
    },
    ...any(({ cost }) => cost !== null, {
      title: 'cost',
      sort: sort('cost'),
      of: ({ cost, unpriced }) => {
        if (cost === null) return unpriced ? view.say('not known') : '';
        return formatMoney({ amount: amountOf(cost.amount), currency: cost.currency });
      },
      kind: 'number',
    }),
    {
      title: 'last change',
      sort: sort('changed'),
      of: ({ updatedAt }) => timeCell(view, updatedAt, now),
      kind: 'time',
    },
    ...any(({ error, errorCode }) => error !== null || errorCode !== null, {
      title: 'error',
      of: formatRowError,
      kind: 'text',
    }),
    { title: 'prompt', of: ({ prompt }) => prompt ?? '', kind: 'text' },
  ];
  return table(view, columns, rows, { name: 'rows' });
}

/**
 * The state, and beside it the status of the task. The colour tells how far its video is: a failed task is not green,
 * although its row was submitted.
 */
export function stateCell(view: View, row: Pick<ListedRow, 'state' | 'providerStatus' | 'downloaded'>): Html {
  const { state, providerStatus: task } = row;
  return html`<span class="dot ${stageOf(row)}"></span>${view.say(state)}${
      task === null ? NOTHING : html`<span class="soft"> · ${view.sentence(task)}</span>`
    }`;
}

/** One line: the whole id is in its title, and in what a person copies. */
export function taskCell({ taskId }: Pick<ListedRow, 'taskId'>): Html {
  return taskId === null
    ? NOTHING
    : html`<span title="${shorten(taskId, 200)}">${shorten(taskId, 200)}</span>`;
}

function formatRowError({ httpStatus, errorCode, error }: ListedRow): string {
  if (error === null && errorCode === null) return '';
  // The error of an answer without a body begins with its status.
  const isTold = httpStatus === null || error === null || error.startsWith(`${httpStatus} `);
  const status = isTold ? '' : `HTTP ${httpStatus} `;
  return `${status}${errorCode === null ? '' : `${errorCode}: `}${error ?? ''}`;
}
