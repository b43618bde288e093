import { usageError } from '../core/errors.ts';
import type { Place } from '../ledger/read/rows.ts';
import { STATES } from '../core/submission.ts';
import type { State } from '../core/submission.ts';

/** What a page is asked, in its URL. */
export interface Question {
  state: State | undefined;
  after: Place | undefined;
  /** Rows whose task has failed at the provider. */
  task: 'failed' | undefined;
  page: number;
  /** Of a row, or how it begins. */
  key: string | undefined;
}

/** @throws VidbatchError exit 2, for a value that is not one of the allowed. */
export function readQuestion(query: unknown): Question {
  const { state, after, page, key, task } = query as Record<string, unknown>;
  return {
    state: readState(state),
    after: readPlace(after),
    task: readTask(task),
    page: readPageNumber(page),
    key: typeof key === 'string' && key !== '' ? key : undefined,
  };
}

function readState(text: unknown): State | undefined {
  if (text === undefined || text === '') return undefined;
  const state = STATES.find((one) => one === text);
  if (state === undefined) throw usageError('BAD_STATE', `state: is not one of ${STATES.join(', ')}`);
  return state;
}

function readTask(text: unknown): 'failed' | undefined {
  if (text === undefined || text === '') return undefined;
  if (text !== 'failed') throw usageError('BAD_TASK', 'task: only "failed" is allowed');
  return text;
}

function readPlace(text: unknown): Place | undefined {
  if (text === undefined || text === '') return undefined;
  // As wide as the columns: a line is a 32-bit integer.
  const match = typeof text === 'string' ? /^(\d{1,10})-(\d{1,15})$/.exec(text) : null;
  const place = { line: Number(match?.[1]), id: Number(match?.[2]) };
  if (!(place.line < 2 ** 31)) throw usageError('BAD_PLACE', 'after: is not a place such as 200-1200');
  return place;
}

function readPageNumber(text: unknown): number {
  if (text === undefined || text === '') return 1;
  if (typeof text !== 'string' || !/^[1-9]\d{0,6}$/.test(text)) {
    throw usageError('BAD_PAGE', 'page: is not a number from 1');
  }
  return Number(text);
}
