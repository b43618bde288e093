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
       select r.request_id, (array_agg(r.id))[1] as id, min(r.task_id) as task_id
         from (select distinct a.id, a.task_id, substr(w.word, position('=' in w.word) + 1) as request_id
                 from vidbatch.attempt a cross join lateral string_to_table(a.request_id, ' ') w(word)
                where a.request_id is not null and a.origin = $2) r
        where r.request_id in (select request_id from vidbatch.listed where import_id = $1 and request_id is not null)
        group by r.request_id having count(*) = 1
     )`;

/**
 * Writes every task of the ledger and of the files once to `paired`, with its attempt. A line without a task id finds its
 * attempt by the request id.
 * @throws VidbatchError `IMPORT_LOST`
 */
export async function pairTasks(db: Queryable, importId: string, { origin, batchId }: Scope): Promise<void> {
  await db.query(
    `with ${REQUESTED}
     update vidbatch.listed l set subject = h.task_id
       from requested h
      where l.import_id = $1 and l.task_id is null and l.request_id = h.request_id and h.task_id is not null`,
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
       select distinct on (a.task_id) a.task_id, a.id, s.batch_id
         from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
        where a.task_id is not null and a.origin = $2
        order by a.task_id, a.surplus, a.number
     ), ${REQUESTED}, unmatched as (
       select distinct o.task_id from vidbatch.unmatched_attempt o where o.task_id is not null and o.origin = $2
     )
     select $1::uuid, coalesce(l.subject, k.task_id), coalesce(k.id, h.id), o.task_id is not null,
            case when l.is_task then l.model end, l.duration, l.prompt, l.created_from, l.created_to
       from lines l
       full join known k on k.task_id = l.subject
       left join requested h on h.request_id = l.request_id and h.task_id is null and k.id is null
       left join unmatched o on o.task_id = l.subject and k.id is null
      where l.subject is not null or $3::bigint is null or k.batch_id = $3`,
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

/** The fields of a JSON object that lines `l` and charges `c` share, as SQL. */
const charge = (of: string): string =>
  `'file', ${of}.file, 'line', ${of}.line, 'entry', ${of}.entry, 'amount', ${of}.amount::text, 'currency', ${of}.currency,
  'billedAt', ${of}.billed_at, 'chargeId', ${of}.charge_id`;

const LINE = `${charge('l')}, 'listed', l.listed, 'model', l.model, 'duration', l.duration, 'status', l.status,
  'createdAt', l.created_at, 'client', l.client, 'requestId', l.request_id, 'fault', l.fault, 'raw', l.raw`;

export function readSubjects(db: Queryable, importId: string): AsyncGenerator<SubjectRow> {
  return pageByPage(PAGE, async (after: SubjectRow | undefined) => {
    const { rows } = await db.query<SubjectRow>(
      `select p.subject, p.orphaned, p.candidate, s.batch_id as "batchId", b.name as batch, s.row_key as key,
              s.line as "manifestLine", s.state,
              coalesce(t.status, case when not a.surplus then s.provider_status end) as "providerStatus",
              left(t.body, 4000) as polled, a.outcome, a.task_id as "taskId", a.surplus, s.model,
              (case when json_typeof(s.request::json->'duration') = 'number' then s.request::json->>'duration' end)::int as duration,
              -- For a task id that a person found: the row was sent when its last call was claimed.
              case when a.worker like 'resolve by %' then coalesce(
                (select max(x.claimed_at) from vidbatch.attempt x
                  where x.submission_id = s.id and x.worker not like 'resolve by %'), a.claimed_at)
              else a.claimed_at end as at,
              s.submitted_at as "submittedAt", a.request_id as "requestId", a.http_status as "httpStatus",
              left(a.body, 4000) as body, coalesce(x.lines, '[]') as lines, coalesce(c.earlier, '[]') as earlier
         from vidbatch.paired p
         left join vidbatch.attempt a on a.id = p.attempt_id
         left join vidbatch.submission s on s.id = a.submission_id
         left join vidbatch.batch b on b.id = s.batch_id
         left join vidbatch.task t on t.submission_id = s.id and t.task_id = a.task_id
         left join lateral (
           select json_agg(json_build_object(${LINE}) order by l.position) as lines
             from (select * from vidbatch.listed l where l.import_id = p.import_id and l.subject = p.subject
                    order by l.position limit ${MOST_LINES}) l
         ) x on true
         left join lateral (
           select json_agg(json_build_object(${charge('c')}) order by c.identity, c.occurrence) as earlier
             from vidbatch.charge c where c.submission_id = s.id and c.task_id = a.task_id
         ) c on true
        where p.import_id = $1 and p.subject > $2 order by p.subject limit ${PAGE}`,
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
      `select json_build_object('aside', l.aside, 'position', l.position, ${LINE}) as row
         from vidbatch.listed l where l.import_id = $1 and l.subject is null and l.position > $2
        order by l.position limit ${PAGE}`,
      [importId, after?.position ?? 0],
    );
    return rows.map(({ row }) => row);
  });
}

/** The time from which tasks of this provider may belong to this ledger. */
export async function readSendingSince(db: Queryable, origin: string): Promise<Date> {
  const { since } = await readOne<{ since: Date }>(
    db,
    `select least(m.created_at, (select min(claimed_at) from vidbatch.attempt where origin = $1)) as since
       from vidbatch.meta m`,
    [origin],
  );
  return since;
}

/** The tokens or users of the tasks in the files that the ledger knows. */
export async function readOwnClients(db: Queryable, importId: string): Promise<string[]> {
  const { rows } = await db.query<{ client: string }>(
    `select distinct l.client from vidbatch.listed l
       join vidbatch.paired p on p.import_id = l.import_id and p.subject = l.subject and p.attempt_id is not null
      where l.import_id = $1 and l.client is not null order by l.client limit 1000`,
    [importId],
  );
  return rows.map(({ client }) => client);
}

export async function readOrigins(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ origin: string }>('select origin from vidbatch.provider order by origin');
  return rows.map(({ origin }) => origin);
}
