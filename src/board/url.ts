import { usageError } from '../core/errors.ts';
import { STATES } from '../core/states.ts';
import type { State } from '../core/states.ts';
import type { Place } from '../ledger/read/rows.ts';

/** The query of a page's URL. */
export interface PageQuery {
  state: State | undefined;
  after: Place | undefined;
  /** Rows whose task has failed at the provider. */
  task: 'failed' | undefined;
  page: number;
  /** A row's key or its beginning, or a task id. */
  key: string | undefined;
}

/** @throws VidbatchError exit 2 for a value that is not allowed. */
export function parseQuery(query: unknown): PageQuery {
  const { state, after, page, key, task } = query as Record<string, unknown>;
  return {
    state: parseState(state),
    after: parsePlace(after),
    task: parseTask(task),
    page: parsePageNumber(page),
    key: typeof key === 'string' && key !== '' ? key : undefined,
  };
}

/** One text of a query; undefined: it is not given. */
export function parseText(query: unknown, name: string): string | undefined {
  const text = (query as Record<string, unknown>)[name];
  return typeof text === 'string' && text.trim() !== '' ? text.trim() : undefined;
}

function parseState(text: unknown): State | undefined {
  if (text === undefined || text === '') return undefined;
  const state = STATES.find((one) => one === text);
  if (state === undefined) throw usageError('BAD_STATE', `state: is not one of ${STATES.join(', ')}`);
  return state;
}

function parseTask(text: unknown): 'failed' | undefined {
  if (text === undefined || text === '') return undefined;
  if (text !== 'failed') throw usageError('BAD_TASK', 'task: only "failed" is allowed');
  return text;
}

function parsePlace(text: unknown): Place | undefined {
  if (text === undefined || text === '') return undefined;
  // The limits of the columns: a line is a 32-bit integer.
  const match = typeof text === 'string' ? /^(\d{1,10})-(\d{1,15})$/.exec(text) : null;
  const place = { line: Number(match?.[1]), id: Number(match?.[2]) };
  if (!(place.line < 2 ** 31)) throw usageError('BAD_PLACE', 'after: is not a place such as 200-1200');
  return place;
}

function parsePageNumber(text: unknown): number {
  if (text === undefined || text === '') return 1;
  if (typeof text !== 'string' || !/^[1-9]\d{0,6}$/.test(text)) {
    throw usageError('BAD_PAGE', 'page: is not a number from 1');
  }
  return Number(text);
}

export function batchPath(
  name: string,
  { state, task, key, after }: Partial<Pick<PageQuery, 'state' | 'task' | 'key'>> & { after?: string } = {},
): string {
  const query = new URLSearchParams();
  for (const [parameter, value] of Object.entries({ state, task, key, after })) {
    if (value !== undefined) query.set(parameter, value);
  }
  return `/batches/${encodeURIComponent(name)}${query.size === 0 ? '' : `?${query.toString()}`}`;
}

export function rowPath(id: number): string {
  return `/rows/${id}`;
}
