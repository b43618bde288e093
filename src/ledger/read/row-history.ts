import type { Queryable } from '../../database/database.ts';

/** One HTTP call for a row. */
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
  /** The headers of the answer. */
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

/** Oldest first. */
export async function readEventLog(db: Queryable, submissionId: number): Promise<LoggedEvent[]> {
  const { rows } = await db.query<LoggedEvent>(
    'select at, event, who, detail from vidbatch.event_log where submission_id = $1 order by id',
    [submissionId],
  );
  return rows;
}
