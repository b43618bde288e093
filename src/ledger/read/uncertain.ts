import type { Evidence } from '../../core/outcome.ts';
import type { Queryable } from '../../database/database.ts';

/** How far an exchange came; `none`: nothing was ever heard of it. */
export type Reached = Evidence['phase'] | 'none';

/** Which uncertain rows of a batch; what is left out does not choose. Times are those of the claim. */
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
 * Uncertain rows, each with its evidence `e`: the latest attempt of which nobody knows, else the latest one. `deadline`
 * is the last one of those attempts: until then an answer may come. `waits`: by the database's clock, that is so.
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

/** The chosen rows as SQL, with the parameters $1 to $7 of `choiceValues`. */
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
  /** Of these, rows whose deadline is still to come. */
  waiting: number;
  /** When the last of them may be called not sent. */
  until: Date | null;
  /** The database's time of counting, as it writes it: rows that became uncertain later were not counted. */
  asOf: string;
}

export async function countChosen(db: Queryable, choice: Choice): Promise<Counted> {
  const { rows } = await db.query<{ n: number; waiting: number; until: Date | null; as_of: string }>(
    `select count(*)::int as n, (count(*) filter (where waits))::int as waiting,
            max(deadline) filter (where waits) as until, now()::text as as_of
       from (${CHOSEN}) c`,
    choiceValues(choice),
  );
  const row = rows[0];
  if (row === undefined) throw new Error('a count has one row');
  return { rows: row.n, waiting: row.waiting, until: row.until, asOf: row.as_of };
}

/** Rows of which the same is known. */
export interface Group {
  batch: string;
  code: string | null;
  httpStatus: number | null;
  phase: Reached | null;
  rows: number;
}

/** The largest groups of uncertain rows, of a batch or of all. */
export async function groupUncertain(db: Queryable, batchId: number | null, limit: number): Promise<Group[]> {
  const { rows } = await db.query<{
    batch: string;
    code: string | null;
    http_status: number | null;
    phase: Reached | null;
    n: number;
  }>(
    `select batch, code, http_status, phase, count(*)::int as n
       from (${UNCERTAIN} and ($1::bigint is null or s.batch_id = $1)) u
      group by batch, code, http_status, phase order by n desc, batch, code limit $2`,
    [batchId, limit],
  );
  return rows.map(({ batch, code, http_status: httpStatus, phase, n }) => ({
    batch,
    code,
    httpStatus,
    phase,
    rows: n,
  }));
}

/** A row that needs a person, with what is known of it. */
export interface Unsettled {
  kind: 'uncertain' | 'surplus';
  submissionId: number;
  batch: string;
  /** The manifest's path. */
  source: string;
  key: string;
  line: number;
  /** The exact JSON text of the body. */
  request: string;
  /** Known refusals: with the submission id, the idempotency key. */
  refusals: number;
  attempts: number;
  /** Of a surplus row: the id that it has, and those that came beside it. */
  taskId: string | null;
  surplus: string[];
  /** The attempt that made it so. Null only when the ledger has lost it. */
  attempt: Heard | null;
}

export interface Heard {
  id: string;
  number: number;
  worker: string;
  origin: string;
  claimedAt: Date;
  /** When an answer, or the lack of one, was recorded. */
  finishedAt: Date | null;
  sweptAt: Date | null;
  intendedAt: Date | null;
  /** Until then, an answer may still come. */
  deadline: Date;
  /** By the database's clock. */
  deadlinePassed: boolean;
  phase: Reached;
  httpStatus: number | null;
  code: string | null;
  message: string | null;
  requestId: string | null;
  headers: Record<string, string> | null;
  /** The beginning of the raw body. */
  body: string | null;
  bodyLength: number;
}

/** What a person sees of a body, in characters; all of it is in the ledger. */
const EXCERPT = 2000;

interface Row {
  id: number;
  batch_id: number;
  batch: string;
  source: string;
  row_key: string;
  line: number;
  request: string;
  refusals: number;
  attempts: number;
  task_id: string | null;
  surplus: string[] | null;
  attempt_id: string | null;
  number: number;
  worker: string;
  origin: string;
  claimed_at: Date;
  finished_at: Date | null;
  swept_at: Date | null;
  intended_at: Date | null;
  deadline: Date;
  passed: boolean;
  phase: Reached;
  http_status: number | null;
  code: string | null;
  message: string | null;
  request_id: string | null;
  headers: string | null;
  body: string | null;
  body_length: number | null;
}

const ROW = `
  select s.id, s.batch_id, b.name as batch, b.source, s.row_key, s.line, s.request, s.refusals, s.attempts, s.task_id,
         (select array_agg(x.task_id order by x.number, x.finished_at) from vidbatch.attempt x
           where x.submission_id = s.id and x.surplus) as surplus,
         a.id as attempt_id, a.number, a.worker, a.origin, a.claimed_at, a.finished_at, a.swept_at, a.intended_at,
         a.http_status, a.request_id, a.headers, a.error as message, coalesce(a.phase, 'none') as phase,
         coalesce(a.error_code, case when a.outcome is null then 'NO_ANSWER_RECORDED' end) as code,
         left(a.body, ${EXCERPT}) as body, length(a.body) as body_length`;

const KINDS = {
  uncertain: `${ROW}, coalesce(u.deadline, a.deadline) as deadline, not u.waits as passed
    from (${UNCERTAIN} and s.id = any(array(
            -- The page first: its index is read no further than it goes, whatever the planner believes.
            select p.id from vidbatch.submission p
             where p.state = 'uncertain' and ($1::bigint is null or p.batch_id = $1)
               and (p.batch_id, p.id) > ($2::bigint, $3::bigint)
             order by p.batch_id, p.id limit $4))) u
    join vidbatch.submission s on s.id = u.id
    join vidbatch.batch b on b.id = s.batch_id
    left join vidbatch.attempt a on a.id = u.evidence_id
   order by s.batch_id, s.id`,
  surplus: `${ROW}, a.deadline, a.deadline <= now() as passed
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

/** Every row of a batch, or of all, that needs a person: page by page, so that memory stays constant. */
export async function* readUnsettled(
  db: Queryable,
  batchId: number | null,
  pageSize = 50,
): AsyncGenerator<Unsettled> {
  for (const kind of ['uncertain', 'surplus'] as const) {
    let after: [batch: number, id: number] = [-1, -1];
    for (;;) {
      const { rows } = await db.query<Row>(KINDS[kind], [batchId, ...after, pageSize]);
      for (const row of rows) yield toUnsettled(kind, row);
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageSize) break;
      after = [last.batch_id, last.id];
    }
  }
}

function toUnsettled(kind: Unsettled['kind'], row: Row): Unsettled {
  return {
    kind,
    submissionId: row.id,
    batch: row.batch,
    source: row.source,
    key: row.row_key,
    line: row.line,
    request: row.request,
    refusals: row.refusals,
    attempts: row.attempts,
    taskId: row.task_id,
    surplus: row.surplus ?? [],
    attempt: row.attempt_id === null ? null : toHeard(row.attempt_id, row),
  };
}

function toHeard(id: string, row: Row): Heard {
  return {
    id,
    number: row.number,
    worker: row.worker,
    origin: row.origin,
    claimedAt: row.claimed_at,
    finishedAt: row.finished_at,
    sweptAt: row.swept_at,
    intendedAt: row.intended_at,
    deadline: row.deadline,
    deadlinePassed: row.passed,
    phase: row.phase,
    httpStatus: row.http_status,
    code: row.code,
    message: row.message,
    requestId: row.request_id,
    headers: row.headers === null ? null : (JSON.parse(row.headers) as Record<string, string>),
    body: row.body,
    bodyLength: row.body_length ?? 0,
  };
}
