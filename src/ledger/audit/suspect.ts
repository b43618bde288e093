import type { Queryable } from '../../database/database.ts';
import { durationOf } from './pairing.ts';
import { readCount } from '../read/query.ts';
import { writeScratch } from '../import/stage.ts';

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
       select attempt.id, attempt.submission_id, attempt.claimed_at,
              greatest(attempt.deadline, attempt.claimed_at) as deadline,
              count(*) over (partition by attempt.submission_id) as n
         from vidbatch.attempt
        where attempt.origin = $2 and attempt.task_id is null
          and (attempt.outcome is null or attempt.outcome = 'uncertain')
     ), found as (
       select submission_id, count(*) as n from vidbatch.attempt
        where origin = $2 and worker like 'resolve by %' and task_id is not null group by submission_id
     )
     select $1::uuid, unknown.id, 'row ' || submission.id, submission.id, submission.state = 'uncertain', submission.model,
            ${durationOf('submission')}, submission.request::json->>'prompt', tstzrange(unknown.claimed_at, unknown.deadline, '[]')
       from unknown
       join vidbatch.submission on submission.id = unknown.submission_id
       left join found on found.submission_id = unknown.submission_id
      where unknown.n > coalesce(found.n, 0)
     union all
     select $1::uuid, unmatched.attempt_id, 'attempt ' || unmatched.attempt_id, null, false, null, null, null,
            tstzrange(unmatched.intended_at - interval '1 minute', unmatched.intended_at + interval '1 hour', '[]')
       from vidbatch.unmatched_attempt unmatched
      where unmatched.origin = $2 and (unmatched.kind is null or unmatched.kind = 'uncertain')`,
    [importId, origin],
  );
}

/**
 * Task `pair` may belong to `suspect`, as SQL. A time in whole seconds may be up to one second too early. $2 is the
 * tolerance in milliseconds. The prompts must be the same, unless the file has shortened its prompt.
 */
export const FITS = `
      (suspect.model is null or suspect.model = pair.model)
  and suspect.during && tstzrange(pair.created_from - $2 * interval '1 ms' - interval '1 s', pair.created_to + $2 * interval '1 ms', '[]')
  and (pair.duration is null or suspect.duration is null or pair.duration = suspect.duration)
  and (pair.prompt is null or suspect.prompt is null or pair.prompt ~ '(…|\\.\\.\\.)$' or btrim(pair.prompt) = btrim(suspect.prompt))`;

/** Task `pair` belongs to no known attempt, as SQL, and says enough to be compared. */
export const UNKNOWN = `pair.attempt_id is null and not pair.orphaned and pair.model is not null and pair.created_from is not null`;

/** Which tasks of an import may be candidates. */
interface Marking {
  origin: string;
  toleranceMs: number;
  /** When the ledger began to send. */
  since: Date;
  /** The clients of the provider that count as ours; empty: all, where the files do not tell them apart. */
  clients: readonly string[];
}

/** Task `pair` is of one of our clients, which are $3, as SQL. */
const OWN = `(cardinality($3::text[]) = 0 or not exists (
      select from vidbatch.listed line
       where line.import_id = pair.import_id and line.subject = pair.subject and line.client is not null)
    or exists (select from vidbatch.listed line
                where line.import_id = pair.import_id and line.subject = pair.subject and line.client = any($3::text[])))`;

/** Task `pair` of import $1, made since $2, fits no suspect, as SQL. */
const STRANGER = `pair.import_id = $1 and pair.attempt_id is null and not pair.orphaned and not pair.candidate
        and (pair.created_to is null or pair.created_to >= $2::timestamptz) and ${OWN}`;

/**
 * Marks and counts the tasks that a suspect may have created (`candidates`). `strangers`: tasks since the ledger began to send
 * that another client must have created. They fit no suspect, or their only suspect has too few attempts. `twins`: tasks that
 * fit no suspect, with the prompt and model of a row that has its own task. Tasks of other `clients` do not count.
 */
export async function markCandidates(
  db: Queryable,
  importId: string,
  marking: Marking,
): Promise<{ candidates: number; strangers: number; twins: number }> {
  const { toleranceMs, since, clients } = marking;
  const marked = await db.query(
    `update vidbatch.paired pair set candidate = true
      where pair.import_id = $1 and ${UNKNOWN} and ${OWN}
        and exists (select from vidbatch.suspect where suspect.import_id = pair.import_id and ${FITS})`,
    [importId, toleranceMs, clients],
  );
  const strangers = await readCount(
    db,
    `select count(*)::int as n from vidbatch.paired pair where ${STRANGER}`,
    [importId, since, clients],
  );
  return {
    candidates: marked.rowCount ?? 0,
    strangers: strangers + (await countBeyondAttempts(db, importId, toleranceMs)),
    twins: await countTwins(db, importId, marking),
  };
}

function countTwins(db: Queryable, importId: string, { origin, since, clients }: Marking): Promise<number> {
  return readCount(
    db,
    `with stranger as materialized (
       select pair.model, btrim(pair.prompt) as prompt from vidbatch.paired pair where ${STRANGER} and pair.prompt is not null
     )
     select count(*)::int as n from stranger
      where (model, prompt) in (
        select submission.model, btrim(submission.request::json->>'prompt')
          from vidbatch.submission join vidbatch.batch on batch.id = submission.batch_id
         -- Postgres checks this once, before any row: usually there are no strangers.
         where exists (select from stranger) and batch.origin = $4 and submission.state = 'submitted')`,
    [importId, since, clients, origin],
  );
}

/** Candidates with one suspect only, beyond the attempts that this suspect made. */
function countBeyondAttempts(db: Queryable, importId: string, toleranceMs: number): Promise<number> {
  return readCount(
    db,
    `select coalesce(sum(c.tasks - c.attempts), 0)::int as n from (
       select owned.owner, count(*) as tasks,
              (select count(*) from vidbatch.suspect other where other.import_id = $1 and other.owner = owned.owner) as attempts
         from vidbatch.paired pair
        cross join lateral (
          select min(found.owner) as owner, count(*) as n
            from (select distinct suspect.owner from vidbatch.suspect
                   where suspect.import_id = pair.import_id and ${FITS} limit 2) found
        ) owned
        where pair.import_id = $1 and pair.candidate and owned.n = 1
        group by owned.owner
     ) c where c.tasks > c.attempts`,
    [importId, toleranceMs],
  );
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
    `select suspect.owner, state.id as "submissionId", state.batch_id as "batchId", batch.name as batch, row.row_key as key, state.model,
            min(lower(suspect.during)) as "claimedAt", max(upper(suspect.during)) as deadline
       from vidbatch.suspect
       join vidbatch.row_state state on state.id = suspect.submission_id
       join vidbatch.row on row.id = state.id
       join vidbatch.batch on batch.id = state.batch_id
      where suspect.import_id = $1 and suspect.settles and ($2::bigint is null or state.batch_id = $2) and state.id > $3
      group by suspect.owner, state.id, row.id, batch.id order by state.id limit $4`,
    [importId, batchId, afterId, limit],
  );
  return rows;
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
