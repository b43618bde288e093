import type { Queryable } from '../../database/database.ts';
import { readCount, readOne } from '../read/query.ts';
import { writeScratch } from '../import/stage.ts';

/**
 * Why a task may belong to a row. `request`: the file names the request id of its attempt. `prompt`: the same prompt and
 * model, created during the attempt. `time`: the same model, created during the attempt.
 */
export type Evidence = 'request' | 'prompt' | 'time';

/** A task that an attempt of `owner` may have created, with the best evidence. */
export interface Edge {
  /** A row, or an attempt whose row is lost. */
  owner: string;
  task: string;
  evidence: Evidence;
}

/**
 * Writes to `suspect` every attempt that may have created a task that the ledger does not know, of rows in any state and
 * batch. It leaves out rows for which a person has found a task for each unknown attempt. An attempt whose row is lost may
 * have lasted up to an hour.
 * @throws VidbatchError `IMPORT_LOST`
 */
export async function gatherSuspects(db: Queryable, importId: string, origin: string): Promise<void> {
  await writeScratch(
    db,
    `insert into vidbatch.suspect (import_id, attempt_id, owner, submission_id, settles, model, duration, prompt, during)
     with unknown as (
       select a.id, a.submission_id, a.claimed_at, greatest(a.deadline, a.claimed_at) as deadline,
              count(*) over (partition by a.submission_id) as n
         from vidbatch.attempt a
        where a.origin = $2 and a.task_id is null and (a.outcome is null or a.outcome = 'uncertain')
     ), found as (
       select submission_id, count(*) as n from vidbatch.attempt
        where origin = $2 and worker like 'resolve by %' and task_id is not null group by submission_id
     )
     select $1::uuid, u.id, 'row ' || s.id, s.id, s.state = 'uncertain', s.model,
            (case when json_typeof(s.request::json->'duration') = 'number' then s.request::json->>'duration' end)::int,
            s.request::json->>'prompt', tstzrange(u.claimed_at, u.deadline, '[]')
       from unknown u
       join vidbatch.submission s on s.id = u.submission_id
       left join found f on f.submission_id = u.submission_id
      where u.n > coalesce(f.n, 0)
     union all
     select $1::uuid, o.attempt_id, 'attempt ' || o.attempt_id, null, false, null, null, null,
            tstzrange(o.intended_at - interval '1 minute', o.intended_at + interval '1 hour', '[]')
       from vidbatch.unmatched_attempt o
      where o.origin = $2 and (o.kind is null or o.kind = 'uncertain')`,
    [importId, origin],
  );
}

/**
 * Task `p` may be of suspect `q`. A time in whole seconds may be up to one second too early. $2 is the tolerance in
 * milliseconds. The prompts must be the same, unless the file has shortened its prompt.
 */
const FITS = `
      (q.model is null or q.model = p.model)
  and q.during && tstzrange(p.created_from - $2 * interval '1 ms' - interval '1 s', p.created_to + $2 * interval '1 ms', '[]')
  and (p.duration is null or q.duration is null or p.duration = q.duration)
  and (p.prompt is null or q.prompt is null or p.prompt ~ '(…|\\.\\.\\.)$' or btrim(p.prompt) = btrim(q.prompt))`;

const UNKNOWN = `p.attempt_id is null and not p.orphaned and p.model is not null and p.created_from is not null`;

const EVIDENCE = `case when btrim(p.prompt) = btrim(q.prompt) then 'prompt' else 'time' end as evidence`;

/**
 * Marks and counts the tasks that a suspect may have created (`candidates`). `strangers`: tasks since the ledger began to send
 * that another client must have created. They fit no suspect, or their only suspect has too few attempts. `twins`: tasks that
 * fit no suspect, with the prompt and model of a row that has its own task. Tasks of other `clients` do not count.
 */
export async function markCandidates(
  db: Queryable,
  importId: string,
  {
    origin,
    toleranceMs,
    since,
    clients,
  }: { origin: string; toleranceMs: number; since: Date; clients: readonly string[] },
): Promise<{ candidates: number; strangers: number; twins: number }> {
  const own = `(cardinality($3::text[]) = 0 or not exists (
      select from vidbatch.listed l where l.import_id = p.import_id and l.subject = p.subject and l.client is not null)
    or exists (select from vidbatch.listed l
                where l.import_id = p.import_id and l.subject = p.subject and l.client = any($3::text[])))`;
  const marked = await db.query(
    `update vidbatch.paired p set candidate = true
      where p.import_id = $1 and ${UNKNOWN} and ${own}
        and exists (select from vidbatch.suspect q where q.import_id = p.import_id and ${FITS})`,
    [importId, toleranceMs, clients],
  );
  const stranger = `p.import_id = $1 and p.attempt_id is null and not p.orphaned and not p.candidate
        and (p.created_to is null or p.created_to >= $2::timestamptz) and ${own}`;
  const strangers = await readCount(
    db,
    `select count(*)::int as n from vidbatch.paired p where ${stranger}`,
    [importId, since, clients],
  );
  const twins = await readCount(
    db,
    `with stranger as materialized (
       select p.model, btrim(p.prompt) as prompt from vidbatch.paired p where ${stranger} and p.prompt is not null
     )
     select count(*)::int as n from stranger
      where (model, prompt) in (
        select s.model, btrim(s.request::json->>'prompt')
          from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
         -- Postgres checks this once, before any row: usually there are no strangers.
         where exists (select from stranger) and b.origin = $4 and s.state = 'submitted')`,
    [importId, since, clients, origin],
  );
  const beyondAttempts = await readCount(
    db,
    `select coalesce(sum(c.tasks - c.attempts), 0)::int as n from (
       select o.owner, count(*) as tasks,
              (select count(*) from vidbatch.suspect x where x.import_id = $1 and x.owner = o.owner) as attempts
         from vidbatch.paired p
        cross join lateral (
          select min(f.owner) as owner, count(*) as n
            from (select distinct q.owner from vidbatch.suspect q where q.import_id = p.import_id and ${FITS} limit 2) f
        ) o
        where p.import_id = $1 and p.candidate and o.n = 1
        group by o.owner
     ) c where c.tasks > c.attempts`,
    [importId, toleranceMs],
  );
  return {
    candidates: marked.rowCount ?? 0,
    strangers: strangers + beyondAttempts,
    twins,
  };
}

/** An uncertain row that a task in the files may settle. */
export interface Suspect {
  owner: string;
  submissionId: number;
  batchId: number;
  batch: string;
  key: string;
  claimedAt: Date;
  deadline: Date;
  model: string | null;
}

/** One page of uncertain rows. A row with several attempts is listed once. */
export async function readSuspects(
  db: Queryable,
  importId: string,
  batchId: number | null,
  afterId: number,
  limit: number,
): Promise<Suspect[]> {
  const { rows } = await db.query<Suspect>(
    `select q.owner, s.id as "submissionId", s.batch_id as "batchId", b.name as batch, r.row_key as key, s.model,
            min(lower(q.during)) as "claimedAt", max(upper(q.during)) as deadline
       from vidbatch.suspect q
       join vidbatch.row_state s on s.id = q.submission_id
       join vidbatch.row r on r.id = s.id
       join vidbatch.batch b on b.id = s.batch_id
      where q.import_id = $1 and q.settles and ($2::bigint is null or s.batch_id = $2) and s.id > $3
      group by q.owner, s.id, r.id, b.id order by s.id limit $4`,
    [importId, batchId, afterId, limit],
  );
  return rows;
}

/** How many tasks of an owner, and owners of a task, are read. Two are enough to see that there is not only one. */
const ENOUGH = 3;

/** The edges of these owners, and the other edges of their tasks. */
export async function readEdges(
  db: Queryable,
  importId: string,
  owners: readonly string[],
  toleranceMs: number,
): Promise<Edge[]> {
  const { rows: near } = await db.query<Edge>(
    `select o.owner, t.task, t.evidence
       from unnest($3::text[]) as o(owner)
      cross join lateral (
        (select p.subject as task, 'request' as evidence
           from vidbatch.suspect q join vidbatch.paired p on p.import_id = q.import_id and p.attempt_id = q.attempt_id
          where q.import_id = $1 and q.owner = o.owner
            and exists (select from vidbatch.listed l
                         where l.import_id = p.import_id and l.subject = p.subject and l.task_id = p.subject)
          limit ${ENOUGH})
        union all
        (select distinct p.subject, ${EVIDENCE}
           from vidbatch.suspect q
           join vidbatch.paired p on p.import_id = q.import_id and p.model = q.model and ${UNKNOWN} and p.candidate
            -- The index can use this form.
            and p.created_from between lower(q.during) - $2 * interval '1 ms' - interval '1 s'
                                   and upper(q.during) + $2 * interval '1 ms'
            and ${FITS}
          where q.import_id = $1 and q.owner = o.owner
          limit ${ENOUGH})
      ) t`,
    [importId, toleranceMs, owners],
  );
  const only = [...new Set(near.filter(({ evidence }) => evidence !== 'request').map(({ task }) => task))];
  const { rows: back } = await db.query<{ owner: string; task: string; evidence: Evidence }>(
    `select t.owner, o.task, t.evidence
       from unnest($3::text[]) as o(task)
       join vidbatch.paired p on p.import_id = $1 and p.subject = o.task
      cross join lateral (
        select distinct q.owner, ${EVIDENCE} from vidbatch.suspect q
         where q.import_id = $1 and ${FITS} limit ${ENOUGH}
      ) t`,
    [importId, toleranceMs, only],
  );
  const seen = new Set<string>();
  return [...near, ...back].filter((edge) => {
    const key = JSON.stringify(edge);
    return !seen.has(key) && seen.add(key);
  });
}

/** Whether known tasks were created during their attempts, within the tolerance. `unseen`: there are none. */
export async function compareClocks(
  db: Queryable,
  importId: string,
  toleranceMs: number,
): Promise<'agree' | 'differ' | 'unseen'> {
  const { known, off } = await readOne<{ known: number; off: number }>(
    db,
    `select count(*)::int as known,
            (count(*) filter (where l.created_at > a.finished_at + $2 * interval '1 ms'
               or l.created_at < a.claimed_at - $2 * interval '1 ms' - interval '1 s'))::int as off
       from vidbatch.listed l
       join vidbatch.paired p on p.import_id = l.import_id and p.subject = l.subject
       join vidbatch.attempt a on a.id = p.attempt_id
      where l.import_id = $1 and l.listed and l.created_at is not null
        and a.task_id is not null and a.worker not like 'resolve by %' and a.finished_at is not null`,
    [importId, toleranceMs],
  );
  if (off > 0) return 'differ';
  return known > 0 ? 'agree' : 'unseen';
}

/** For a row that was settled: the task belongs to this attempt in the comparison, too. */
export async function pairSettled(
  db: Queryable,
  importId: string,
  taskId: string,
  attemptId: string,
): Promise<void> {
  await db.query(
    `update vidbatch.paired set attempt_id = $3, candidate = false where import_id = $1 and subject = $2`,
    [importId, taskId, attemptId],
  );
}
