import type { Evidence } from '../../core/outcome.ts';
import type { Queryable } from '../../database/database.ts';
import type { AttemptView } from './rows.ts';
import { pageByPage, readOne } from './query.ts';

/** How far a call came. `none`: nothing is recorded. */
export type Reached = Evidence['phase'] | 'none';

/** Which uncertain rows of a batch: rows must match all fields that are given. Times are those of the claim. */
export interface Choice {
  batchId: number;
  submissionId?: number;
  errorCode?: string;
  httpStatus?: number;
  phase?: Reached;
  after?: Date;
  before?: Date;
}

/**
 * Uncertain rows, each with its evidence `e`: the latest attempt with an unknown outcome, or else the latest attempt. An
 * answer may come until `deadline`, the last deadline of the attempts with unknown outcomes. `waits`: it is still to come.
 */
const UNCERTAIN = `
  select s.id, s.batch_id, s.attempt_id, s.updated_at, b.name as batch, b.state as batch_state,
         e.id as evidence_id, e.code, e.phase, e.http_status, e.claimed_at, d.deadline, coalesce(d.deadline > now(), false) as waits
    from vidbatch.submission s
    join vidbatch.batch b on b.id = s.batch_id
    left join lateral (
      select a.id, a.http_status, a.claimed_at, coalesce(a.phase, 'none') as phase,
             coalesce(a.error_code, case when a.outcome is null then 'NO_ANSWER_RECORDED' end) as code
        from vidbatch.attempt a
       where a.submission_id = s.id
       order by a.outcome is null or a.outcome = 'uncertain' desc, a.number desc, a.claimed_at desc
       limit 1
    ) e on true
    left join lateral (
      select max(a.deadline) as deadline from vidbatch.attempt a
       where a.submission_id = s.id and (a.outcome is null or a.outcome = 'uncertain')
    ) d on true
   where s.state = 'uncertain'`;

/** The chosen rows, as SQL. Its parameters are $1 to $7 of `choiceValues`. */
export const CHOSEN = `${UNCERTAIN}
     and s.batch_id = $1 and ($2::bigint is null or s.id = $2)
     and ($3::text is null or e.code = $3) and ($4::int is null or e.http_status = $4)
     and ($5::text is null or e.phase = $5)
     and ($6::timestamptz is null or e.claimed_at >= $6) and ($7::timestamptz is null or e.claimed_at < $7)`;

export function choiceValues(choice: Choice): unknown[] {
  return [
    choice.batchId,
    choice.submissionId ?? null,
    choice.errorCode ?? null,
    choice.httpStatus ?? null,
    choice.phase ?? null,
    choice.after ?? null,
    choice.before ?? null,
  ];
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

export interface Group {
  batch: string;
  code: string | null;
  httpStatus: number | null;
  phase: Reached | null;
  rows: number;
}

/** The largest groups of uncertain rows. `batchId` null: of all batches. */
export async function groupUncertain(db: Queryable, batchId: number | null, limit: number): Promise<Group[]> {
  const { rows } = await db.query<Group>(
    `select batch, code, http_status as "httpStatus", phase, count(*)::int as rows
       from (${UNCERTAIN} and ($1::bigint is null or s.batch_id = $1)) u
      group by batch, code, http_status, phase order by rows desc, batch, code limit $2`,
    [batchId, limit],
  );
  return rows;
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
  select s.id as "submissionId", s.batch_id as "batchId", b.name as batch, b.source, s.row_key as key, s.line, s.request,
         s.refusals, s.attempts, s.task_id as "taskId",
         array(select x.task_id from vidbatch.attempt x
                where x.submission_id = s.id and x.surplus order by x.number, x.finished_at) as surplus,
         a.id, a.number, a.worker, a.origin, a.claimed_at as "claimedAt", a.finished_at as "finishedAt",
         a.swept_at as "sweptAt", a.intended_at as "intendedAt", ${deadline} as deadline, ${passed} as "deadlinePassed",
         coalesce(a.phase, 'none') as phase, a.http_status as "httpStatus",
         coalesce(a.error_code, case when a.outcome is null then 'NO_ANSWER_RECORDED' end) as code, a.error as message,
         a.request_id as "requestId", a.headers::json as headers, left(a.body, ${EXCERPT}) as body, coalesce(length(a.body), 0) as "bodyLength"`;

const KINDS = {
  uncertain: `${select('coalesce(u.deadline, a.deadline)', 'not u.waits')}
    from (${UNCERTAIN} and s.id = any(array(
            -- The page comes first, so that no plan reads more of its index.
            select p.id from vidbatch.submission p
             where p.state = 'uncertain' and ($1::bigint is null or p.batch_id = $1)
               and (p.batch_id, p.id) > ($2::bigint, $3::bigint)
             order by p.batch_id, p.id limit $4))) u
    join vidbatch.submission s on s.id = u.id
    join vidbatch.batch b on b.id = s.batch_id
    left join vidbatch.attempt a on a.id = u.evidence_id
   order by s.batch_id, s.id`,
  surplus: `${select('a.deadline', 'a.deadline <= now()')}
    from (select s.id from vidbatch.submission s
           where ($1::bigint is null or s.batch_id = $1) and (s.batch_id, s.id) > ($2::bigint, $3::bigint)
             and s.id in (select submission_id from vidbatch.attempt where surplus)
           order by s.batch_id, s.id limit $4) u
    join vidbatch.submission s on s.id = u.id
    join vidbatch.batch b on b.id = s.batch_id
    join lateral (select * from vidbatch.attempt x where x.submission_id = s.id and x.surplus
                   order by x.number desc, x.finished_at desc limit 1) a on true
   order by s.batch_id, s.id`,
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
      return (await db.query<Found>(KINDS[kind], [batchId, ...place, pageSize])).rows;
    });
    for await (const row of found) yield toUnsettled(kind, row);
  }
}

function toUnsettled(kind: Unsettled['kind'], row: Found): Unsettled {
  const {
    batchId: _batchId,
    submissionId,
    batch,
    source,
    key,
    line,
    request,
    refusals,
    attempts,
    taskId,
    ...more
  } = row;
  const { surplus, ...attempt } = more;
  const told = { kind, submissionId, batch, source, key, line, request, refusals, attempts, taskId, surplus };
  return { ...told, attempt: attempt.id === null ? null : attempt };
}
