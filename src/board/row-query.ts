import { usageError } from '../core/errors.ts';
import { STATES } from '../core/states.ts';
import {
  ORDER_NAMES,
  TASK_FILTERS,
  type Order,
  type Place,
  type RowFilter,
} from '../ledger/read/row-list.ts';

/** Which rows of a batch a page shows, and in which order. */
export interface RowsQuery extends RowFilter {
  order: Order;
  descending: boolean;
  after: Place | undefined;
  before: Place | 'end' | undefined;
  /** How many rows are before this page; undefined: not known. */
  skipped: number | undefined;
}

/** @throws VidbatchError exit 2 for a value that is not allowed. */
export function parseRowsQuery(query: unknown): RowsQuery {
  const given = query as Record<string, unknown>;
  const text = (name: string): string | undefined => {
    const value = given[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const { order, descending } = parseSort(text('sort'));
  const before = text('before');
  const after = text('after');
  return {
    state: parseWord('BAD_STATE', 'state', text('state'), STATES),
    task: parseWord('BAD_TASK', 'task', text('task'), TASK_FILTERS),
    error: storable('error', text('error')),
    key: text('key'),
    order,
    descending,
    after: after === undefined ? undefined : parsePlace('after', after, order),
    before: before === undefined || before === 'end' ? before : parsePlace('before', before, order),
    skipped: parseSkipped(text('skipped'), after ?? before),
  };
}

function parseWord<Word extends string>(
  code: string,
  name: string,
  text: string | undefined,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((one) => one === text);
  if (text === undefined || word !== undefined) return word;
  throw usageError(code, `${name}: is not one of ${words.join(', ')}`);
}

/** `changed`, or `-changed` for the latest first. */
function parseSort(text = 'line'): { order: Order; descending: boolean } {
  const order = ORDER_NAMES.find((one) => one === text.replace(/^-/, ''));
  if (order === undefined) {
    throw usageError(
      'BAD_SORT',
      `sort: is not one of ${ORDER_NAMES.join(', ')}, with - before it for descending order`,
    );
  }
  return { order, descending: text.startsWith('-') };
}

/** Postgres refuses text that contains NUL. */
function storable(name: string, text: string | undefined): string | undefined {
  if (text?.includes('\0') === true) throw usageError('BAD_TEXT', `${name}: contains NUL`);
  return text;
}

/** What a value may look like: Postgres refuses anything else, and a page would fail. */
const VALUES: Readonly<Record<Order, RegExp>> = {
  line: /^\d{1,9}$/,
  attempts: /^\d{1,9}$/,
  cost: /^\d{1,30}(\.\d{1,30})?$/,
  changed: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  state: /^[a-z]{1,20}$/,
  // oxlint-disable-next-line no-control-regex -- NUL is what is refused
  key: /^[^\u0000]*$/,
};

function parsePlace(name: string, text: string, order: Order): Place {
  const match = /^(.*)-(\d{1,15})$/su.exec(text);
  const value = match?.[1];
  if (value === undefined || !VALUES[order].test(value) || (order === 'changed' && !isMoment(value))) {
    throw usageError(
      'BAD_PLACE',
      `${name}: is not a place such as 200-1200, as a link to the next page has it`,
    );
  }
  return { value, id: Number(match?.[2]) };
}

/** False for a day that the calendar does not have, such as `2026-02-30`. */
function isMoment(text: string): boolean {
  const at = new Date(text);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text.slice(0, 19));
}

function parseSkipped(text: string | undefined, place: string | undefined): number | undefined {
  if (place === undefined) return 0;
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Where a page begins or ends, as in `RowsQuery`. */
export interface PagePlace {
  after?: string;
  before?: string;
  skipped?: number | undefined;
}

/** The query of a link to these rows, with `?`; empty: all rows, in the order of the manifest. */
export function rowsSearch(
  { state, task, error, key, order = 'line', descending = false }: Partial<RowsQuery>,
  { after, before, skipped }: PagePlace,
): string {
  const query = new URLSearchParams();
  const sort = `${descending ? '-' : ''}${order}`;
  const given = { state, task, error, key, sort: sort === 'line' ? undefined : sort, after, before, skipped };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}
