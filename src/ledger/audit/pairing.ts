import type { Queryable } from '../../database/database.ts';
import { pageByPage, readOne } from '../read/query.ts';
import { writeScratch } from '../import/stage.ts';

/** The tasks of the ledger that are compared: of one provider, and of one batch (null: of all). */
interface Scope {
  origin: string;
  batchId: number | null;
}

/**
 * The attempts of provider $2 that lines of import $1 name by a request id, if only one attempt has that id. An attempt keeps
 * the ids of the provider and of the proxies before it: `x-oneapi-request-id=abc cf-ray=def`.
 */
const REQUESTED = `requested as (
       select named.request_id, (array_agg(named.id))[1] as id, min(named.task_id) as task_id
         from (select distinct attempt.id, attempt.task_id, substr(words.word, position('=' in words.word) + 1) as request_id
                 from vidbatch.attempt cross join lateral string_to_table(attempt.request_id, ' ') words(word)
                where attempt.request_id is not null and attempt.origin = $2) named
        where named.request_id in (select request_id from vidbatch.listed where import_id = $1 and request_id is not null)
        group by named.request_id having count(*) = 1
     )`;

/**
 * Writes every task of the ledger and of the files once to `paired`, with its attempt. A line without a task id finds its
 * attempt by the request id.
 * @throws VidbatchError `IMPORT_LOST`
 */
export async function pairTasks(db: Queryable, importId: string, { origin, batchId }: Scope): Promise<void> {
  await db.query(
    `with ${REQUESTED}
     update vidbatch.listed line set subject = requested.task_id
       from requested
      where line.import_id = $1 and line.task_id is null
        and line.request_id = requested.request_id and requested.task_id is not null`,
    [importId, origin],
  );
  await writeScratch(
    db,
    `insert into vidbatch.paired (import_id, subject, attempt_id, orphaned, model, duration, prompt, created_from, created_to)
     with lines as (
       select subject, min(request_id) as request_id,
              case when min(model) = max(model) then min(model) end as model,
              case when min(duration) = max(duration) then min(duration) end as duration,
              case when min(prompt) = max(prompt) then min(prompt) end as prompt,
              min(created_at) as created_from, max(created_at) as created_to,
              bool_or(task_id is not null) as is_task
         from vidbatch.listed where import_id = $1 and subject is not null group by subject
     ), known as (
       select distinct on (attempt.task_id) attempt.task_id, attempt.id, submission.batch_id
         from vidbatch.attempt join vidbatch.submission on submission.id = attempt.submission_id
        where attempt.task_id is not null and attempt.origin = $2
        order by attempt.task_id, attempt.surplus, attempt.number
     ), ${REQUESTED}, unmatched as (
       select distinct unmatched.task_id from vidbatch.unmatched_attempt unmatched
        where unmatched.task_id is not null and unmatched.origin = $2
     )
     select $1::uuid, coalesce(line.subject, known.task_id), coalesce(known.id, requested.id), unmatched.task_id is not null,
            case when line.is_task then line.model end, line.duration, line.prompt, line.created_from, line.created_to
       from lines line
       full join known on known.task_id = line.subject
       left join requested
              on requested.request_id = line.request_id and requested.task_id is null and known.id is null
       left join unmatched on unmatched.task_id = line.subject and known.id is null
      where line.subject is not null or $3::bigint is null or known.batch_id = $3`,
    [importId, origin, batchId],
  );
}

const PAGE = 500;
/** The most lines of one subject that are read. */
const MOST_LINES = 100;

/** A task of the files or of the ledger. Amounts are text. */
export interface SubjectRow {
  subject: string;
  orphaned: boolean;
  candidate: boolean;
  batchId: number | null;
  batch: string | null;
  key: string | null;
  manifestLine: number | null;
  state: string | null;
  providerStatus: string | null;
  outcome: string | null;
  taskId: string | null;
  surplus: boolean | null;
  model: string | null;
  duration: number | null;
  at: Date | null;
  submittedAt: Date | null;
  requestId: string | null;
  httpStatus: number | null;
  body: string | null;
  polled: string | null;
  lines: LineRow[];
  /** What earlier files billed for it. */
  earlier: ChargeRow[];
}

/** A line of a provider's file. Times are RFC 3339. */
export interface LineRow {
  file: string;
  line: number;
  listed: boolean;
  model: string | null;
  duration: number | null;
  status: string | null;
  createdAt: string | null;
  client: string | null;
  requestId: string | null;
  chargeId: string | null;
  entry: 'charge' | 'refund' | null;
  amount: string | null;
  currency: string | null;
  billedAt: string | null;
  fault: string | null;
  raw: string;
}

export type ChargeRow = Pick<
  LineRow,
  'entry' | 'amount' | 'currency' | 'billedAt' | 'chargeId' | 'file' | 'line'
>;

/** The duration that a row asks for, as SQL; null: it names none. */
export const durationOf = (row: string): string =>
  `(case when json_typeof(${row}.request::json->'duration') = 'number' then ${row}.request::json->>'duration' end)::int`;

/** The fields of a JSON object that lines and charges share, as SQL. */
const charge = (of: string): string =>
  `'file', ${of}.file, 'line', ${of}.line, 'entry', ${of}.entry, 'amount', ${of}.amount::text, 'currency', ${of}.currency,
  'billedAt', ${of}.billed_at, 'chargeId', ${of}.charge_id`;

const LINE = `${charge('line')}, 'listed', line.listed, 'model', line.model, 'duration', line.duration, 'status', line.status,
  'createdAt', line.created_at, 'client', line.client, 'requestId', line.request_id, 'fault', line.fault, 'raw', line.raw`;

export function readSubjects(db: Queryable, importId: string): AsyncGenerator<SubjectRow> {
  return pageByPage(PAGE, async (after: SubjectRow | undefined) => {
    const { rows } = await db.query<SubjectRow>(
      `select pair.subject, pair.orphaned, pair.candidate, submission.batch_id as "batchId", batch.name as batch,
              submission.row_key as key, submission.line as "manifestLine", submission.state,
              coalesce(task.status, case when not attempt.surplus then submission.provider_status end) as "providerStatus",
              left(task.body, 4000) as polled, attempt.outcome, attempt.task_id as "taskId", attempt.surplus, submission.model,
              ${durationOf('submission')} as duration,
              -- For a task id that a person found: the row was sent when its last call was claimed.
              case when attempt.worker like 'resolve by %' then coalesce(
                (select max(call.claimed_at) from vidbatch.attempt call
                  where call.submission_id = submission.id and call.worker not like 'resolve by %'), attempt.claimed_at)
              else attempt.claimed_at end as at,
              submission.submitted_at as "submittedAt", attempt.request_id as "requestId", attempt.http_status as "httpStatus",
              left(attempt.body, 4000) as body, coalesce(named.lines, '[]') as lines, coalesce(billed.earlier, '[]') as earlier
         from vidbatch.paired pair
         left join vidbatch.attempt on attempt.id = pair.attempt_id
         left join vidbatch.submission on submission.id = attempt.submission_id
         left join vidbatch.batch on batch.id = submission.batch_id
         left join vidbatch.task on task.submission_id = submission.id and task.task_id = attempt.task_id
         left join lateral (
           select json_agg(json_build_object(${LINE}) order by line.position) as lines
             from (select * from vidbatch.listed line where line.import_id = pair.import_id and line.subject = pair.subject
                    order by line.position limit ${MOST_LINES}) line
         ) named on true
         left join lateral (
           select json_agg(json_build_object(${charge('billed')}) order by billed.identity, billed.occurrence) as earlier
             from vidbatch.charge billed where billed.submission_id = submission.id and billed.task_id = attempt.task_id
         ) billed on true
        where pair.import_id = $1 and pair.subject > $2 order by pair.subject limit ${PAGE}`,
      [importId, after?.subject ?? ''],
    );
    return rows;
  });
}

type Nameless = LineRow & { aside: boolean; position: number };

/** Lines that name no task: unreadable lines, and lines about something else. */
export function readNameless(db: Queryable, importId: string): AsyncGenerator<Nameless> {
  return pageByPage(PAGE, async (after: Nameless | undefined) => {
    const { rows } = await db.query<{ row: Nameless }>(
      `select json_build_object('aside', line.aside, 'position', line.position, ${LINE}) as row
         from vidbatch.listed line where line.import_id = $1 and line.subject is null and line.position > $2
        order by line.position limit ${PAGE}`,
      [importId, after?.position ?? 0],
    );
    return rows.map(({ row }) => row);
  });
}

/** The time from which tasks of this provider may belong to this ledger. */
export async function readSendingSince(db: Queryable, origin: string): Promise<Date> {
  const { since } = await readOne<{ since: Date }>(
    db,
    `select least(meta.created_at, (select min(claimed_at) from vidbatch.attempt where origin = $1)) as since
       from vidbatch.meta`,
    [origin],
  );
  return since;
}

/** The tokens or users of those tasks in the files that the ledger also has. */
export async function readOwnClients(db: Queryable, importId: string): Promise<string[]> {
  const { rows } = await db.query<{ client: string }>(
    `select distinct line.client from vidbatch.listed line
       join vidbatch.paired pair
         on pair.import_id = line.import_id and pair.subject = line.subject and pair.attempt_id is not null
      where line.import_id = $1 and line.client is not null order by line.client limit 1000`,
    [importId],
  );
  return rows.map(({ client }) => client);
}

export async function readOrigins(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ origin: string }>('select origin from vidbatch.provider order by origin');
  return rows.map(({ origin }) => origin);
}

/** How many tasks the files name, and how many of them the ledger knows. */
export function countListed(db: Queryable, importId: string): Promise<{ tasks: number; known: number }> {
  return readOne(
    db,
    `select count(*)::int as tasks, (count(*) filter (where pair.orphaned or attempt.task_id is not null))::int as known
       from vidbatch.paired pair left join vidbatch.attempt on attempt.id = pair.attempt_id
      where pair.import_id = $1
        and exists (select from vidbatch.listed line
                     where line.import_id = pair.import_id and line.subject = pair.subject and line.task_id = pair.subject)`,
    [importId],
  );
}

/** Whether known tasks were created during their attempts, within the tolerance. `unseen`: no task is known. */
export async function compareClocks(
  db: Queryable,
  importId: string,
  toleranceMs: number,
): Promise<'agree' | 'differ' | 'unseen'> {
  const { known, off } = await readOne<{ known: number; off: number }>(
    db,
    `select count(*)::int as known,
            (count(*) filter (where line.created_at > attempt.finished_at + $2 * interval '1 ms'
               or line.created_at < attempt.claimed_at - $2 * interval '1 ms' - interval '1 s'))::int as off
       from vidbatch.listed line
       join vidbatch.paired pair on pair.import_id = line.import_id and pair.subject = line.subject
       join vidbatch.attempt on attempt.id = pair.attempt_id
      where line.import_id = $1 and line.listed and line.created_at is not null
        and attempt.task_id is not null and attempt.worker not like 'resolve by %' and attempt.finished_at is not null`,
    [importId, toleranceMs],
  );
  if (off > 0) return 'differ';
  return known > 0 ? 'agree' : 'unseen';
}
