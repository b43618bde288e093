import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

/** A submission as `export` and `explain` show it. */
export interface SubmissionView {
  id: number;
  batch: string;
  key: string;
  line: number;
  state: State;
  /** The row as read, JSON text. */
  input: string;
  /** What was or would be sent, JSON text. */
  request: string | null;
  model: string | null;
  mode: string | null;
  /** Of the row and its batch together. */
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
  queued: boolean;
  updatedAt: Date;
  /** Its earlier tasks, which failed at the provider and were made again, or are to be. */
  earlierTaskIds: string[];
  /** What it costs at most; the amount as text. Null: not known. */
  price: { amount: string; currency: string } | null;
}

interface Row {
  id: number;
  batch: string;
  row_key: string;
  line: number;
  state: State;
  input: string;
  request: string | null;
  model: string | null;
  mode: string | null;
  priority: number;
  task_id: string | null;
  provider_status: string | null;
  result_url: string | null;
  http_status: number | null;
  error_code: string | null;
  error: string | null;
  attempts: number;
  spent: number;
  submitted_at: Date | null;
  not_before: Date | null;
  deadline: Date | null;
  queued: boolean;
  updated_at: Date;
  earlier: string[] | null;
  price: string | null;
  currency: string | null;
}

const SELECT = select('s.input, s.request');

/** `texts`: the two columns that may be megabytes long. */
function select(texts: string): string {
  return `
  select s.id, b.name as batch, s.row_key, s.line, s.state, ${texts}, s.model, s.mode, s.task_id, s.priority + b.priority as priority,
         s.provider_status, s.result_url, s.http_status, s.error_code, s.error, s.attempts, s.spent,
         s.submitted_at, case when isfinite(s.not_before) then s.not_before end as not_before, s.deadline,
         s.lane is not null as queued, s.updated_at, trim_scale(s.price)::text as price, s.currency,
         case when s.remade > 0 then
           (select array_agg(a.task_id order by a.number) from vidbatch.attempt a
             where a.submission_id = s.id and a.remade_at is not null) end as earlier
    from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id`;
}

function toView(row: Row): SubmissionView {
  return {
    id: row.id,
    batch: row.batch,
    key: row.row_key,
    line: row.line,
    state: row.state,
    input: row.input,
    request: row.request,
    model: row.model,
    mode: row.mode,
    priority: row.priority,
    taskId: row.task_id,
    providerStatus: row.provider_status,
    resultUrl: row.result_url,
    httpStatus: row.http_status,
    errorCode: row.error_code,
    error: row.error,
    attempts: row.attempts,
    spent: row.spent,
    submittedAt: row.submitted_at,
    notBefore: row.not_before,
    deadline: row.deadline,
    queued: row.queued,
    updatedAt: row.updated_at,
    earlierTaskIds: row.earlier ?? [],
    price: row.price === null || row.currency === null ? null : { amount: row.price, currency: row.currency },
  };
}

/** Every submission of a batch in input order, page by page: memory stays constant, and no cursor is held open. */
export async function* readSubmissions(
  db: Queryable,
  batchId: number,
  pageSize = 200,
): AsyncGenerator<SubmissionView> {
  let line = -1;
  let id = -1;
  for (;;) {
    const { rows } = await db.query<Row>(
      `${SELECT} where s.batch_id = $1 and (s.line, s.id) > ($2::int, $3::bigint) order by s.line, s.id limit $4`,
      [batchId, line, id, pageSize],
    );
    for (const row of rows) yield toView(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    line = last.line;
    id = last.id;
  }
}

/** The inputs of a batch alone, as JSON text, in input order. */
export async function* readInputs(db: Queryable, batchId: number, pageSize = 200): AsyncGenerator<string> {
  let after: [line: number, id: number] = [-1, -1];
  for (;;) {
    const { rows } = await db.query<{ line: number; id: number; input: string }>(
      `select s.line, s.id, s.input from vidbatch.submission s
        where s.batch_id = $1 and (s.line, s.id) > ($2::int, $3::bigint) order by s.line, s.id limit $4`,
      [batchId, ...after, pageSize],
    );
    for (const row of rows) yield row.input;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = [last.line, last.id];
  }
}

export interface KnownInput {
  key: string;
  line: number;
  /** JSON text. */
  input: string;
}

/** The rows of a batch that have these keys, by key. */
export async function readInputsOf(
  db: Queryable,
  batchId: number,
  keys: readonly string[],
): Promise<Map<string, KnownInput>> {
  const { rows } = await db.query<{ row_key: string; line: number; input: string }>(
    'select row_key, line, input from vidbatch.submission where batch_id = $1 and row_key = any($2::text[])',
    [batchId, keys],
  );
  return new Map(rows.map(({ row_key: key, line, input }) => [key, { key, line, input }]));
}

/** Submissions of a batch whose key is `key`, or begins with it (at most five). */
export async function findSubmissions(
  db: Queryable,
  batchId: number,
  key: string,
): Promise<SubmissionView[]> {
  const { rows: exact } = await db.query<Row>(`${SELECT} where s.batch_id = $1 and s.row_key = $2`, [
    batchId,
    key,
  ]);
  if (exact.length > 0) return exact.map(toView);
  const { rows } = await db.query<Row>(
    `${SELECT} where s.batch_id = $1 and starts_with(s.row_key, $2) order by s.line, s.id limit 5`,
    [batchId, key],
  );
  return rows.map(toView);
}

/** The submission of a batch that has this task id, now or on an attempt of it; in the order of a manifest, five at most. */
export async function findByTask(db: Queryable, batchId: number, taskId: string): Promise<SubmissionView[]> {
  const { rows } = await db.query<Row>(
    `${SELECT} where s.batch_id = $1
       and (s.task_id = $2 or exists (select from vidbatch.attempt a where a.submission_id = s.id and a.task_id = $2))
     order by s.line, s.id limit 5`,
    [batchId, taskId],
  );
  return rows.map(toView);
}

/** The same by its number; of input and request no more than so many characters. */
export async function findSubmissionById(
  db: Queryable,
  id: number,
  most: number,
): Promise<SubmissionView | undefined> {
  const { rows } = await db.query<Row>(
    `${select('left(s.input, $2::int) as input, left(s.request, $2::int) as request')} where s.id = $1`,
    [id, most],
  );
  return rows[0] && toView(rows[0]);
}

export interface AttemptView {
  id: string;
  number: number;
  worker: string;
  origin: string;
  claimedAt: Date;
  finishedAt: Date | null;
  sweptAt: Date | null;
  /** A dead worker's journal holds its intent: it may have left. */
  intendedAt: Date | null;
  deadline: Date;
  outcome: string | null;
  phase: string | null;
  httpStatus: number | null;
  errorCode: string | null;
  error: string | null;
  requestId: string | null;
  /** Of the answer. */
  headers: Record<string, string> | null;
  taskId: string | null;
  surplus: boolean;
  /** Its task failed, and a person wanted another: the second payment of the row was wanted. */
  remadeAt: Date | null;
  body: string | null;
}

/** Every HTTP call for a submission, or the `last` ones, oldest first. */
export async function readAttempts(
  db: Queryable,
  submissionId: number,
  last: number | null = null,
): Promise<AttemptView[]> {
  const { rows } = await db.query<{
    id: string;
    number: number;
    worker: string;
    origin: string;
    claimed_at: Date;
    finished_at: Date | null;
    swept_at: Date | null;
    intended_at: Date | null;
    deadline: Date;
    outcome: string | null;
    phase: string | null;
    http_status: number | null;
    error_code: string | null;
    error: string | null;
    request_id: string | null;
    headers: string | null;
    task_id: string | null;
    surplus: boolean;
    remade_at: Date | null;
    body: string | null;
  }>(
    `select * from (
       select * from vidbatch.attempt where submission_id = $1 order by number desc, claimed_at desc limit $2::bigint
     ) a order by number, claimed_at`,
    [submissionId, last],
  );
  return rows.map((row) => ({
    id: row.id,
    number: row.number,
    worker: row.worker,
    origin: row.origin,
    claimedAt: row.claimed_at,
    finishedAt: row.finished_at,
    sweptAt: row.swept_at,
    intendedAt: row.intended_at,
    deadline: row.deadline,
    outcome: row.outcome,
    phase: row.phase,
    httpStatus: row.http_status,
    errorCode: row.error_code,
    error: row.error,
    requestId: row.request_id,
    headers: row.headers === null ? null : (JSON.parse(row.headers) as Record<string, string>),
    taskId: row.task_id,
    surplus: row.surplus,
    remadeAt: row.remade_at,
    body: row.body,
  }));
}

/** What a person did to a submission, and why. */
export interface TrailView {
  at: Date;
  event: string;
  who: string | null;
  detail: string;
}

/** Oldest first. */
export async function readTrail(db: Queryable, submissionId: number): Promise<TrailView[]> {
  const { rows } = await db.query<TrailView>(
    'select at, event, who, detail from vidbatch.trail where submission_id = $1 order by id',
    [submissionId],
  );
  return rows.map(({ at, event, who, detail }) => ({ at, event, who, detail }));
}

export async function ledgerId(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ ledger_id: string }>('select ledger_id from vidbatch.meta');
  const id = rows[0]?.ledger_id;
  if (id === undefined) throw new Error('the ledger has no meta row; run `vidbatch migrate`');
  return id;
}
