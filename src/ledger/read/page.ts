import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

/** What a list shows of a submission: never its whole input, which may be megabytes. */
export interface PageRow {
  id: number;
  key: string;
  line: number;
  state: State;
  /** Whether its job is in the queue. */
  queued: boolean;
  taskId: string | null;
  providerStatus: string | null;
  resultUrl: string | null;
  httpStatus: number | null;
  errorCode: string | null;
  /** At most 500 characters. */
  error: string | null;
  /** The beginning of the prompt; null for a row that is not sendable. */
  prompt: string | null;
}

/** Where a page ended: the next one begins after this row. */
export interface Place {
  line: number;
  id: number;
}

/**
 * The beginning of the prompt. Of a request that is megabytes long, as it stands in the JSON: reading the whole of each
 * for a page of two hundred would keep the ledger from its work.
 */
const PROMPT = `left(case when octet_length(request) < 65536 then request::json ->> 'prompt'
                     else substr(request, strpos(request, '"prompt":"') + 10, 160) end, 160)`;

/** Which rows of a batch are asked for; all that is said holds for each. */
export interface RowsAsked {
  state?: State | undefined;
  /** Those whose task has failed at the provider. */
  task?: 'failed' | undefined;
  /** How the key begins. */
  key?: string | undefined;
  /** Those behind this one. */
  after?: Place | undefined;
}

/** One page of a batch in input order. */
export async function readPage(
  db: Queryable,
  batchId: number,
  { state, task, key, after, limit }: RowsAsked & { limit: number },
): Promise<PageRow[]> {
  const { rows } = await db.query<{
    id: number;
    row_key: string;
    line: number;
    state: State;
    queued: boolean;
    task_id: string | null;
    provider_status: string | null;
    result_url: string | null;
    http_status: number | null;
    error_code: string | null;
    error: string | null;
    prompt: string | null;
  }>(
    `select id, row_key, line, state, lane is not null as queued, task_id, provider_status, result_url, http_status,
            error_code, left(error, 500) as error, ${PROMPT} as prompt
       from vidbatch.submission
      where batch_id = $1 and (line, id) > ($2::int, $3::bigint) and ($4::text is null or state = $4)
        and ($6::text is null or (state = 'submitted' and provider_status = $6))
        and ($7::text is null or starts_with(row_key, $7))
      order by line, id
      limit $5`,
    [batchId, after?.line ?? -1, after?.id ?? -1, state ?? null, limit, task ?? null, key ?? null],
  );
  return rows.map((row) => ({
    id: row.id,
    key: row.row_key,
    line: row.line,
    state: row.state,
    queued: row.queued,
    taskId: row.task_id,
    providerStatus: row.provider_status,
    resultUrl: row.result_url,
    httpStatus: row.http_status,
    errorCode: row.error_code,
    error: row.error,
    prompt: row.prompt,
  }));
}

/** Rows whose task has failed at the provider. */
export async function countFailedTasks(db: Queryable, batchId: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.submission
      where batch_id = $1 and state = 'submitted' and provider_status = 'failed'`,
    [batchId],
  );
  return rows[0]?.n ?? 0;
}

/**
 * Numbers of the rows of a batch whose key or task id is `key`; else of those, at most twenty, whose keys begin with it.
 */
export async function rowsNamed(db: Queryable, batchId: number, key: string): Promise<number[]> {
  const { rows: exact } = await db.query<{ id: number }>(
    `select id from vidbatch.submission where batch_id = $1 and (row_key = $2 or task_id = $2)
      union
     select submission_id from vidbatch.task where batch_id = $1 and task_id = $2`,
    [batchId, key],
  );
  if (exact.length > 0) return exact.map(({ id }) => id);
  const { rows } = await db.query<{ id: number }>(
    `select id from vidbatch.submission where batch_id = $1 and starts_with(row_key, $2) order by line, id limit 20`,
    [batchId, key],
  );
  return rows.map(({ id }) => id);
}
