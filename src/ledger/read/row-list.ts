import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { mayBePaid } from '../money/budget.ts';
import type { SubmissionView } from './rows.ts';
import { TASK_FAILED } from '../tasks/tasks.ts';

/** What a list shows about a row. `error`: at most 500 characters. */
export interface ListedRow extends Pick<
  SubmissionView,
  | 'id'
  | 'key'
  | 'line'
  | 'state'
  | 'taskId'
  | 'providerStatus'
  | 'resultUrl'
  | 'httpStatus'
  | 'errorCode'
  | 'error'
  | 'model'
  | 'attempts'
  | 'updatedAt'
> {
  /** The video of its task is in a folder. */
  downloaded: boolean;
  /** What it cost or may cost, the amount as text; null: nothing, or the price is not known. */
  cost: { amount: string; currency: string } | null;
  /** It was paid or may have been paid, and its price is not known. */
  unpriced: boolean;
  /** The beginning of the prompt; null: the row cannot be sent. */
  prompt: string | null;
}

/**
 * The beginning of the prompt, as SQL. It searches a long request as text: to parse hundreds of them for a page would
 * block the ledger.
 */
const PROMPT = `left(case when octet_length(r.request) < 65536 then r.request::json ->> 'prompt'
                     else substr(r.request, strpos(r.request, '"prompt":"') + 10, 160) end, 160)`;

/** Filters by how far the task of a row is, as SQL. The words are a part of URLs. */
const TASKS = {
  // Each part can use the index of states: `coalesce` could not.
  sent: `(s.state = 'submitting'
          or s.state = 'submitted' and s.provider_status is null
          or s.state = 'submitted' and s.provider_status in ('queued', 'unknown'))`,
  rendering: `s.state = 'submitted' and s.provider_status = 'in_progress'`,
  completed: `s.state = 'submitted' and s.provider_status = 'completed'`,
  'not-downloaded': `s.state = 'submitted' and s.provider_status = 'completed' and not s.stored`,
  downloaded: `s.state = 'submitted' and s.provider_status = 'completed' and s.stored`,
  failed: TASK_FAILED,
  missing: `s.state = 'submitted' and s.provider_status = 'missing'`,
} as const;

export type TaskFilter = keyof typeof TASKS;
export const TASK_FILTERS = Object.keys(TASKS) as TaskFilter[];

/** Orders of a list: the column, its type, and its value as text. */
const ORDERS = {
  line: ['r.line', 'int', 'r.line::text'],
  key: ['r.row_key', 'text', 'r.row_key'],
  state: ['s.state', 'text', 's.state'],
  changed: [
    's.updated_at',
    'timestamptz',
    `to_char(s.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
  ],
  attempts: ['s.attempts', 'int', 's.attempts::text'],
  cost: ['s.held', 'numeric', 's.held::text'],
} as const;

export type Order = keyof typeof ORDERS;
export const ORDER_NAMES = Object.keys(ORDERS) as Order[];

/** An index has this order, so that a page of a large batch costs no more than one of a small batch. Others sort it. */
export function isIndexed(order: Order): boolean {
  return order === 'line' || order === 'key';
}

/** Rows must match all fields that are given. */
export interface RowFilter {
  state?: State | undefined;
  task?: TaskFilter | undefined;
  /** The code of their error. */
  error?: string | undefined;
  /** The beginning of their keys. */
  key?: string | undefined;
}

/** A row in an order: the value by which it is sorted, as text, and its id. */
export interface Place {
  value: string;
  id: number;
}

export interface RowsAsked extends RowFilter {
  order: Order;
  descending: boolean;
  limit: number;
  /** Rows after this one. */
  after?: Place | undefined;
  /** The nearest rows before this one; `end`: the last rows. */
  before?: Place | 'end' | undefined;
}

/** The rows of a batch that are asked for, each with its place. */
export async function listRows(
  db: Queryable,
  batchId: number,
  { state, task, error, key, order, descending, limit, after, before }: RowsAsked,
): Promise<(ListedRow & { place: string })[]> {
  const params: unknown[] = [batchId];
  const given = (value: unknown, type: string): string => `$${params.push(value)}::${type}`;
  const [column, type, place] = ORDERS[order];
  const backward = before !== undefined;
  const from = before === 'end' ? undefined : (before ?? after);
  const down = descending !== backward;
  const conditions = ['r.batch_id = $1', 's.batch_id = $1'];
  if (state !== undefined) conditions.push(`s.state = ${given(state, 'text')}`);
  if (task !== undefined) conditions.push(`(${TASKS[task]})`);
  if (error !== undefined) conditions.push(`s.error_code = ${given(error, 'text')}`);
  if (key !== undefined) conditions.push(`starts_with(r.row_key, ${given(key, 'text')})`);
  if (from !== undefined) {
    const limits = `(${given(from.value, type)}, ${given(from.id, 'bigint')})`;
    conditions.push(`(${column}, r.id) ${down ? '<' : '>'} ${limits}`);
  }
  const direction = down ? 'desc' : 'asc';
  const { rows } = await db.query<ListedRow & { place: string }>(
    `select r.id, r.row_key as key, r.line, s.state, s.task_id as "taskId", s.provider_status as "providerStatus",
            s.result_url as "resultUrl", s.http_status as "httpStatus", s.error_code as "errorCode",
            left(s.error, 500) as error, s.model, s.attempts, s.updated_at as "updatedAt", s.stored as downloaded,
            case when s.held > 0 then json_build_object('amount', trim_scale(s.held)::text, 'currency', s.currency) end as cost,
            s.price is null and ${mayBePaid('s')} as unpriced,
            ${PROMPT} as prompt, ${place} as place
       -- The rows of the page first: a sort of all would parse the request of each.
       from (select r.id
               from vidbatch.row r join vidbatch.row_state s on s.id = r.id
              where ${conditions.join(' and ')}
              order by ${column} ${direction}, r.id ${direction}
              limit ${given(limit, 'int')}) chosen
       join vidbatch.row r on r.id = chosen.id
       join vidbatch.row_state s on s.id = chosen.id
      order by ${column} ${direction}, r.id ${direction}`,
    params,
  );
  return backward ? rows.toReversed() : rows;
}
