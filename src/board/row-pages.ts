import { usageError } from '../core/errors.ts';
import type { Counts } from '../core/states.ts';
import type { StageCounts } from '../core/video-stage.ts';
import { formatCount } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import {
  isIndexed,
  listRows,
  ORDER_NAMES,
  type ListedRow,
  type Order,
  type RowFilter,
} from '../ledger/read/row-list.ts';
import type { RowsQuery } from './row-query.ts';

/** More rows at once are too long for a telephone. */
export const ROWS_A_PAGE = 50;

/** To sort more rows than these takes longer than a person should wait for a page. */
const SORTED_ROWS = 50_000;

export interface RowsPage {
  items: ListedRow[];
  /** How many rows are before these; null: not known. */
  skipped: number | null;
  /** How many rows there are in all, by the counters of the batch; null: not known. */
  total: number | null;
  /** The value of `?before=` for the previous page; null on the first one. */
  previous: string | null;
  /** The value of `?after=` for the next page; null on the last one. */
  next: string | null;
}

/** The counters of a batch. */
export interface KnownCounts {
  rows: number;
  counts: Counts;
  stages: StageCounts;
  codes: readonly { code: string; rows: number }[];
}

/** How many rows fit, if a counter says so; null: none does. */
function knownTotal({ state, task, error, key }: RowFilter, known: KnownCounts): number | null {
  const { rows, counts, stages, codes } = known;
  if (key !== undefined) return null;
  const given = [state, task, error].filter((one) => one !== undefined).length;
  if (given === 0) return rows;
  if (given > 1) return null;
  if (state !== undefined) return counts[state];
  if (error !== undefined) return codes.find(({ code }) => code === error)?.rows ?? 0;
  if (task === 'completed') return stages.completed + stages.downloaded;
  return stages[task === 'not-downloaded' ? 'completed' : (task ?? 'sent')];
}

/** The orders in which these rows may be sorted. */
export function ordersOf(rows: number): readonly Order[] {
  return rows <= SORTED_ROWS ? ORDER_NAMES : ORDER_NAMES.filter(isIndexed);
}

/** @throws VidbatchError exit 2 for an order that would sort too many rows. */
export async function readRowsPage(
  db: Queryable,
  batchId: number,
  query: RowsQuery,
  known: KnownCounts,
  size = ROWS_A_PAGE,
): Promise<RowsPage> {
  const total = knownTotal(query, known);
  if (!ordersOf(total ?? known.rows).includes(query.order)) {
    throw usageError(
      'TOO_MANY_TO_SORT',
      `sort: only ${ORDER_NAMES.filter(isIndexed).join(' and ')} are possible for more than ${formatCount(SORTED_ROWS)} rows`,
      'Filter by a state first.',
    );
  }
  const { after, before } = query;
  // The last page has as many rows as the last of the pages that are counted from the first.
  const wanted = before === 'end' && total !== null ? total % size || size : size;
  const found = await listRows(db, batchId, { ...query, limit: wanted + 1 });
  const hasMore = found.length > wanted;
  const rows = before === undefined ? found.slice(0, wanted) : found.slice(-wanted);
  const [first, last] = [rows[0], rows.at(-1)];
  const placeOf = (row: typeof first): string | null => (row === undefined ? null : `${row.place}-${row.id}`);
  const hasPrevious = before === undefined ? after !== undefined : hasMore;
  const hasNext = before === undefined ? hasMore : before !== 'end';
  return {
    items: rows.map(({ place: _place, ...row }) => row),
    skipped: before === 'end' && total !== null ? Math.max(0, total - rows.length) : (query.skipped ?? null),
    total,
    previous: hasPrevious ? placeOf(first) : null,
    next: hasNext ? placeOf(last) : null,
  };
}
