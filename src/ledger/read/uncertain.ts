import type { Evidence } from '../../core/outcome.ts';
import type { Queryable } from '../../database/database.ts';
import type { AttemptView } from './rows.ts';
import { pageByPage, readOne } from './query.ts';

/** The last phase that a call reached. `none`: no phase is recorded. */
export type Reached = Evidence['phase'] | 'none';

/** Which uncertain rows of a batch: rows must match all fields that are given. Times are those of the claim. */
export interface Choice {
  batchId: number;
  submissionId?: number;
  /** Null: rows without a code. */
  errorCode?: string | null;
  /** Null: rows without a status. */
  httpStatus?: number | null;
  phase?: Reached;
  after?: Date;
  before?: Date;
  /** Rows to which no answer may come after this moment, in the database's format. */
  readyAt?: string;
}

/**
 * Uncertain rows, each with its `evidence`: the latest attempt with an unknown outcome, or else the latest attempt. An
 * answer may come until `deadline`, the last deadline of the attempts with unknown outcomes. `waits`: it is still to come.
 */
export const UNCERTAIN = `
  select submission.id, submission.batch_id, submission.attempt_id, submission.updated_at, submission.price, submission.currency,
         batch.name as batch, batch.state as batch_state, evidence.id as evidence_id, evidence.code,
         coalesce(evidence.phase, 'none') as phase, evidence.http_status, evidence.message, evidence.claimed_at,
         last.deadline, coalesce(last.deadline > now(), false) as waits
    from vidbatch.submission
    join vidbatch.batch on batch.id = submission.batch_id
    left join lateral (
      select attempt.id, attempt.http_status, attempt.claimed_at, attempt.phase, attempt.error as message,
             coalesce(attempt.error_code, case when attempt.outcome is null then 'NO_ANSWER_RECORDED' end) as code
        from vidbatch.attempt
       where attempt.submission_id = submission.id
       order by attempt.outcome is null or attempt.outcome = 'uncertain' desc, attempt.number desc, attempt.claimed_at desc
       limit 1
    ) evidence on true
    left join lateral (
      select max(attempt.deadline) as deadline from vidbatch.attempt
       where attempt.submission_id = submission.id and (attempt.outcome is null or attempt.outcome = 'uncertain')
    ) last on true
   where submission.state = 'uncertain'`;

/** The chosen rows, as SQL. Its parameters are $1 to $8 of `choiceValues`. */
export const CHOSEN = `${UNCERTAIN}
     and submission.batch_id = $1 and ($2::bigint is null or submission.id = $2)
     and ($3::text is null or coalesce(evidence.code, '') = $3) and ($4::int is null or coalesce(evidence.http_status, 0) = $4)
     and ($5::text is null or coalesce(evidence.phase, 'none') = $5)
     and ($6::timestamptz is null or evidence.claimed_at >= $6) and ($7::timestamptz is null or evidence.claimed_at < $7)
     and ($8::timestamptz is null or last.deadline is null or last.deadline <= $8)`;

export function choiceValues(choice: Choice): unknown[] {
  return [
    choice.batchId,
    choice.submissionId ?? null,
    choice.errorCode === null ? '' : (choice.errorCode ?? null),
    choice.httpStatus === null ? 0 : (choice.httpStatus ?? null),
    choice.phase ?? null,
    choice.after ?? null,
    choice.before ?? null,
    choice.readyAt ?? null,
  ];
}

/** Now, by the database's clock and in its format: for `Counted.asOf`. */
export async function readAsOf(db: Queryable): Promise<string> {
  return (await readOne<{ asOf: string }>(db, 'select now()::text as "asOf"')).asOf;
}

export interface Counted {
  rows: number;
  /** Rows among them whose deadline is still to come. */
  waiting: number;
  /** The last of these deadlines: from then on, all may be resolved as not sent. */
  until: Date | null;
  /** When they were counted, by the database's clock and in its format. */
  asOf: string;
}

export function countChosen(db: Queryable, choice: Choice): Promise<Counted> {
  return readOne<Counted>(
    db,
    `select count(*)::int as rows, (count(*) filter (where waits))::int as waiting,
            max(deadline) filter (where waits) as until, now()::text as "asOf"
       from (${CHOSEN}) c`,
    choiceValues(choice),
  );
}

/** A row that needs a person, with its evidence. */
export interface Unsettled {
  kind: 'uncertain' | 'surplus';
  submissionId: number;
  batch: string;
  source: string;
  key: string;
  line: number;
  /** The exact JSON text of the body. */
  request: string;
  /** With the id of the row, it makes the idempotency key. */
  refusals: number;
  attempts: number;
  /** The task id of a surplus row, and the ids that came later. */
  taskId: string | null;
  surplus: string[];
  /** The evidence. Null: the ledger has lost it. */
  attempt: Heard | null;
}

/** The attempt that is the evidence. An answer may come until `deadline`. `body` is the beginning of the body. */
export interface Heard extends Pick<
  AttemptView,
  | 'id'
  | 'number'
  | 'worker'
  | 'origin'
  | 'claimedAt'
  | 'finishedAt'
  | 'sweptAt'
  | 'intendedAt'
  | 'deadline'
  | 'httpStatus'
  | 'requestId'
  | 'headers'
  | 'body'
> {
  /** By the database's clock. */
  deadlinePassed: boolean;
  phase: Reached;
  code: string | null;
  message: string | null;
  bodyLength: number;
}

/** How many characters of a body a person sees. */
const EXCERPT = 2000;

/** A row of the query: `id` to `bodyLength` belong to the attempt. */
type Found = Omit<Unsettled, 'kind' | 'attempt'> & { batchId: number } & (Heard | { id: null });

/** `deadline` and `passed` are SQL: until when an answer may come, and whether that time is over. */
const select = (deadline: string, passed: string): string => `
  select submission.id as "submissionId", submission.batch_id as "batchId", batch.name as batch, batch.source,
         submission.row_key as key, submission.line, submission.request, submission.refusals, submission.attempts, submission.task_id as "taskId",
         array(select other.task_id from vidbatch.attempt other
                where other.submission_id = submission.id and other.surplus order by other.number, other.finished_at) as surplus,
         attempt.id, attempt.number, attempt.worker, attempt.origin, attempt.claimed_at as "claimedAt",
         attempt.finished_at as "finishedAt", attempt.swept_at as "sweptAt", attempt.intended_at as "intendedAt",
         ${deadline} as deadline, ${passed} as "deadlinePassed",
         coalesce(attempt.phase, 'none') as phase, attempt.http_status as "httpStatus",
         coalesce(attempt.error_code, case when attempt.outcome is null then 'NO_ANSWER_RECORDED' end) as code,
         attempt.error as message, attempt.request_id as "requestId", attempt.headers::json as headers,
         left(attempt.body, ${EXCERPT}) as body, coalesce(length(attempt.body), 0) as "bodyLength"`;

const KINDS = {
  uncertain: `${select('coalesce(chosen.deadline, attempt.deadline)', 'not chosen.waits')}
    from (${UNCERTAIN} and submission.id = any(array(
            -- The page comes first, so that no plan reads more of its index.
            select page.id from vidbatch.submission page
             where page.state = 'uncertain' and ($1::bigint is null or page.batch_id = $1)
               and (page.batch_id, page.id) > ($2::bigint, $3::bigint) and ($5::bigint is null or page.id = $5)
             order by page.batch_id, page.id limit $4))) chosen
    join vidbatch.submission on submission.id = chosen.id
    join vidbatch.batch on batch.id = submission.batch_id
    left join vidbatch.attempt on attempt.id = chosen.evidence_id
   order by submission.batch_id, submission.id`,
  surplus: `${select('attempt.deadline', 'attempt.deadline <= now()')}
    from (select submission.id from vidbatch.submission
           where ($1::bigint is null or submission.batch_id = $1)
             and (submission.batch_id, submission.id) > ($2::bigint, $3::bigint) and ($5::bigint is null or submission.id = $5)
             and submission.id in (select submission_id from vidbatch.attempt where surplus)
           order by submission.batch_id, submission.id limit $4) chosen
    join vidbatch.submission on submission.id = chosen.id
    join vidbatch.batch on batch.id = submission.batch_id
    join lateral (select * from vidbatch.attempt other where other.submission_id = submission.id and other.surplus
                   order by other.number desc, other.finished_at desc limit 1) attempt on true
   order by submission.batch_id, submission.id`,
} as const;

/** The rows that need a person. `batchId` null: of all batches. */
export async function* readUnsettled(
  db: Queryable,
  batchId: number | null,
  pageSize = 50,
): AsyncGenerator<Unsettled> {
  for (const kind of ['uncertain', 'surplus'] as const) {
    const found = pageByPage(pageSize, async (after: Found | undefined) => {
      const place = [after?.batchId ?? -1, after?.submissionId ?? -1];
      return (await db.query<Found>(KINDS[kind], [batchId, ...place, pageSize, null])).rows;
    });
    for await (const row of found) yield toUnsettled(kind, row);
  }
}

/** One uncertain row; undefined: there is no such row, or it is no longer uncertain. */
export async function findUncertain(db: Queryable, submissionId: number): Promise<Unsettled | undefined> {
  const { rows } = await db.query<Found>(KINDS.uncertain, [null, -1, -1, 1, submissionId]);
  return rows[0] && toUnsettled('uncertain', rows[0]);
}

/** Rows that were paid twice. `batchId` null: of all batches. */
export async function listSurplus(
  db: Queryable,
  batchId: number | null,
  limit: number,
): Promise<Unsettled[]> {
  const { rows } = await db.query<Found>(KINDS.surplus, [batchId, -1, -1, limit, null]);
  return rows.map((row) => toUnsettled('surplus', row));
}

function toUnsettled(kind: Unsettled['kind'], { batchId: _batchId, ...row }: Found): Unsettled {
  const { submissionId, batch, source, key, line, request, refusals, attempts, taskId, surplus, ...attempt } =
    row;
  const found = {
    kind,
    submissionId,
    batch,
    source,
    key,
    line,
    request,
    refusals,
    attempts,
    taskId,
    surplus,
  };
  return { ...found, attempt: attempt.id === null ? null : attempt };
}
