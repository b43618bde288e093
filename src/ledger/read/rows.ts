import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { pageByPage, readOne } from './query.ts';

/** A row as `export` and `explain` show it. */
export interface SubmissionView {
  id: number;
  batch: string;
  key: string;
  line: number;
  state: State;
  /** The row as read, JSON text. */
  input: string;
  /** The body to send, JSON text. */
  request: string | null;
  model: string | null;
  mode: string | null;
  /** The sum of the priorities of the row and its batch. */
  priority: number;
  taskId: string | null;
  providerStatus: string | null;
  resultUrl: string | null;
  httpStatus: number | null;
  errorCode: string | null;
  error: string | null;
  attempts: number;
  spent: number;
  submittedAt: Date | null;
  notBefore: Date | null;
  deadline: Date | null;
  updatedAt: Date;
  /** Its earlier tasks, which failed and were made again or will be. */
  earlierTaskIds: string[];
  /** The most that it can cost, the amount as text; null: unknown. */
  price: { amount: string; currency: string } | null;
}

/** Rows of one query: a row may have megabytes. */
const PAGE = 200;

const SELECT = select('r.input, r.request');

/** `texts`: the columns `input` and `request`, which may have megabytes. */
function select(texts: string): string {
  return `
  select s.id, b.name as batch, r.row_key as key, r.line, s.state, ${texts}, s.model, r.mode, s.task_id as "taskId",
         s.priority + b.priority as priority, s.provider_status as "providerStatus", s.result_url as "resultUrl",
         s.http_status as "httpStatus", s.error_code as "errorCode", s.error, s.attempts, s.spent,
         s.submitted_at as "submittedAt", case when isfinite(s.not_before) then s.not_before end as "notBefore", s.deadline,
         s.updated_at as "updatedAt",
         case when s.price is not null then
           json_build_object('amount', trim_scale(s.price)::text, 'currency', s.currency) end as price,
         case when s.remade > 0 then array(
           select a.task_id from vidbatch.attempt a
            where a.submission_id = s.id and a.remade_at is not null order by a.number) else '{}' end as "earlierTaskIds"
    from vidbatch.row r join vidbatch.row_state s on s.id = r.id join vidbatch.batch b on b.id = r.batch_id`;
}

/** The rows of a batch in input order. */
export function readSubmissions(db: Queryable, batchId: number): AsyncGenerator<SubmissionView> {
  return pageByPage(PAGE, async (after: SubmissionView | undefined) => {
    const { rows } = await db.query<SubmissionView>(
      `${SELECT} where r.batch_id = $1 and (r.line, r.id) > ($2::int, $3::bigint) order by r.line, r.id limit $4`,
      [batchId, after?.line ?? -1, after?.id ?? -1, PAGE],
    );
    return rows;
  });
}

type InputPlace = Pick<SubmissionView, 'line' | 'id' | 'input'>;

/** Only the inputs of a batch, as JSON text, in input order. */
export async function* readInputs(db: Queryable, batchId: number): AsyncGenerator<string> {
  const pages = pageByPage(PAGE, async (after: InputPlace | undefined) => {
    const { rows } = await db.query<InputPlace>(
      `select line, id, input from vidbatch.row
        where batch_id = $1 and (line, id) > ($2::int, $3::bigint) order by line, id limit $4`,
      [batchId, after?.line ?? -1, after?.id ?? -1, PAGE],
    );
    return rows;
  });
  for await (const { input } of pages) yield input;
}

/** A row as it was read; `input` is JSON text. */
export type KnownInput = Pick<SubmissionView, 'key' | 'line' | 'input'>;

/** The rows of a batch that have these keys, by key. */
export async function readInputsOf(
  db: Queryable,
  batchId: number,
  keys: readonly string[],
): Promise<Map<string, KnownInput>> {
  const { rows } = await db.query<KnownInput>(
    'select row_key as key, line, input from vidbatch.row where batch_id = $1 and row_key = any($2::text[])',
    [batchId, keys],
  );
  return new Map(rows.map((row) => [row.key, row]));
}

/** The row of a batch with this key. If there is no such row: at most five rows whose key begins with it. */
export async function findSubmissions(
  db: Queryable,
  batchId: number,
  key: string,
): Promise<SubmissionView[]> {
  const exact = await db.query<SubmissionView>(`${SELECT} where r.batch_id = $1 and r.row_key = $2`, [
    batchId,
    key,
  ]);
  if (exact.rows.length > 0) return exact.rows;
  const { rows } = await db.query<SubmissionView>(
    `${SELECT} where r.batch_id = $1 and starts_with(r.row_key, $2) order by r.line, r.id limit 5`,
    [batchId, key],
  );
  return rows;
}

/** At most five rows of a batch that have this task id, themselves or on an attempt. */
export async function findByTask(db: Queryable, batchId: number, taskId: string): Promise<SubmissionView[]> {
  const { rows } = await db.query<SubmissionView>(
    `${SELECT} where r.batch_id = $1
       and (s.task_id = $2 or exists (select from vidbatch.attempt a where a.submission_id = s.id and a.task_id = $2))
     order by r.line, r.id limit 5`,
    [batchId, taskId],
  );
  return rows;
}

/** A row with at most `most` characters of its input and of its request. */
export async function findSubmissionById(
  db: Queryable,
  id: number,
  most: number,
): Promise<SubmissionView | undefined> {
  const texts = 'left(r.input, $2::int) as input, left(r.request, $2::int) as request';
  const { rows } = await db.query<SubmissionView>(`${select(texts)} where s.id = $1`, [id, most]);
  return rows[0];
}

/** The lines of these rows in the manifest, by their ids. */
export async function readLines(db: Queryable, ids: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await db.query<{ id: number; line: number }>(
    'select id, line from vidbatch.row where id = any($1::bigint[])',
    [ids],
  );
  return new Map(rows.map(({ id, line }) => [id, line]));
}

/**
 * Ids of the rows of a batch whose key or task id is `key`. If there is no such row: at most twenty whose key begins
 * with it.
 */
export async function findRowIds(db: Queryable, batchId: number, key: string): Promise<number[]> {
  const { rows: exact } = await db.query<{ id: number }>(
    `select id from vidbatch.submission where batch_id = $1 and (row_key = $2 or task_id = $2)
      union
     select submission_id from vidbatch.task where batch_id = $1 and task_id = $2`,
    [batchId, key],
  );
  if (exact.length > 0) return exact.map(({ id }) => id);
  const { rows } = await db.query<{ id: number }>(
    `select id from vidbatch.row where batch_id = $1 and starts_with(row_key, $2) order by line, id limit 20`,
    [batchId, key],
  );
  return rows.map(({ id }) => id);
}

export async function readLedgerId(db: Queryable): Promise<string> {
  return (await readOne<{ id: string }>(db, 'select ledger_id as id from vidbatch.meta')).id;
}

export interface AttemptView {
  id: string;
  number: number;
  worker: string;
  origin: string;
  claimedAt: Date;
  finishedAt: Date | null;
  sweptAt: Date | null;
  /** A dead worker's journal holds its intent: the request may have left. */
  intendedAt: Date | null;
  deadline: Date;
  outcome: string | null;
  phase: string | null;
  httpStatus: number | null;
  errorCode: string | null;
  error: string | null;
  requestId: string | null;
  headers: Record<string, string> | null;
  taskId: string | null;
  surplus: boolean;
  /** Its task failed, and a person agreed to pay for the row again. */
  remadeAt: Date | null;
  body: string | null;
}

/** The attempts of a row, or only the `last` ones; oldest first. */
export async function readAttempts(
  db: Queryable,
  submissionId: number,
  last: number | null = null,
): Promise<AttemptView[]> {
  const { rows } = await db.query<AttemptView>(
    `select id, number, worker, origin, claimed_at as "claimedAt", finished_at as "finishedAt", swept_at as "sweptAt",
            intended_at as "intendedAt", deadline, outcome, phase, http_status as "httpStatus", error_code as "errorCode",
            error, request_id as "requestId", headers::json as headers, task_id as "taskId", surplus,
            remade_at as "remadeAt", body
       from vidbatch.attempt where submission_id = $1 order by number desc, claimed_at desc limit $2::bigint`,
    [submissionId, last],
  );
  return rows.toReversed();
}

/** What a person did to a row, and why. */
export interface LoggedEvent {
  at: Date;
  event: string;
  who: string | null;
  detail: string;
}

export async function readEventLog(db: Queryable, submissionId: number): Promise<LoggedEvent[]> {
  const { rows } = await db.query<LoggedEvent>(
    'select at, event, who, detail from vidbatch.event_log where submission_id = $1 order by id',
    [submissionId],
  );
  return rows;
}
