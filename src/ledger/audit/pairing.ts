import type { Queryable } from '../../database/database.ts';

/** Of which provider's tasks, and of which batch (null: of all) the ledger's own side is. */
export interface Scope {
  origin: string;
  batchId: number | null;
}

/**
 * Attempts of provider $2 that are alone with a request id that the lines of import $1 name. An attempt keeps the ids of
 * the provider and of the proxies before it: `x-oneapi-request-id=abc cf-ray=def`.
 */
const HEARD = `heard as (
       select r.request_id, (array_agg(r.id))[1] as id, min(r.task_id) as task_id
         from (select distinct a.id, a.task_id, substr(w.word, position('=' in w.word) + 1) as request_id
                 from vidbatch.attempt a cross join lateral string_to_table(a.request_id, ' ') w(word)
                where a.request_id is not null and a.origin = $2) r
        where r.request_id in (select request_id from vidbatch.listed where import_id = $1 and request_id is not null)
        group by r.request_id having count(*) = 1
     )`;

/**
 * Every task of the ledger and of the files once. A line without a task id finds its attempt by the request id, if that
 * is one attempt's alone.
 */
export async function pair(db: Queryable, importId: string, { origin, batchId }: Scope): Promise<void> {
  await db.query(
    `with ${HEARD}
     update vidbatch.listed l set subject = h.task_id
       from heard h
      where l.import_id = $1 and l.task_id is null and l.request_id = h.request_id and h.task_id is not null`,
    [importId, origin],
  );
  await db.query(
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
     ), ${HEARD}, orphan as (
       select distinct o.outcome::json->>'taskId' as task_id from vidbatch.orphan o
        where o.outcome is not null and o.origin = $2
     )
     select $1::uuid, coalesce(l.subject, k.task_id), coalesce(k.id, h.id), o.task_id is not null,
            case when l.is_task then l.model end, l.duration, l.prompt, l.created_from, l.created_to
       from lines l
       full join known k on k.task_id = l.subject
       left join heard h on h.request_id = l.request_id and h.task_id is null and k.id is null
       left join orphan o on o.task_id = l.subject and k.id is null
      where l.subject is not null or $3::bigint is null or k.batch_id = $3`,
    [importId, origin, batchId],
  );
}

/** How many rows of a page of subjects. */
const PAGE = 500;
/** Of one subject; a task with more lines than this is told by these. */
const MOST_LINES = 100;

/** A subject as it lies in the ledger. Amounts are text. */
export interface SubjectRow {
  subject: string;
  orphaned: boolean;
  candidate: boolean;
  batch_id: number | null;
  batch: string | null;
  row_key: string | null;
  manifest_line: number | null;
  state: string | null;
  provider_status: string | null;
  outcome: string | null;
  task_id: string | null;
  surplus: boolean | null;
  model: string | null;
  duration: number | null;
  at: Date | null;
  submitted_at: Date | null;
  request_id: string | null;
  http_status: number | null;
  body: string | null;
  /** What the provider answered when it was asked how the task is. */
  polled: string | null;
  lines: LineRow[];
  earlier: ChargeRow[];
}

export interface LineRow {
  file: string;
  line: number;
  listed: boolean;
  model: string | null;
  duration: number | null;
  status: string | null;
  created_at: string | null;
  client: string | null;
  request_id: string | null;
  charge_id: string | null;
  entry: 'charge' | 'refund' | null;
  amount: string | null;
  currency: string | null;
  billed_at: string | null;
  fault: string | null;
  raw: string;
}

export type ChargeRow = Pick<
  LineRow,
  'entry' | 'amount' | 'currency' | 'billed_at' | 'charge_id' | 'file' | 'line'
>;

const LINE = `'file', l.file, 'line', l.line, 'listed', l.listed, 'model', l.model, 'duration', l.duration, 'status', l.status,
  'created_at', l.created_at, 'client', l.client, 'request_id', l.request_id, 'charge_id', l.charge_id, 'entry', l.entry,
  'amount', l.amount::text, 'currency', l.currency, 'billed_at', l.billed_at, 'fault', l.fault, 'raw', l.raw`;

/** Every subject, with its lines and with what earlier files billed for it: page by page, so that memory stays constant. */
export async function* subjects(db: Queryable, importId: string): AsyncGenerator<SubjectRow> {
  let after = '';
  for (;;) {
    const { rows } = await db.query<SubjectRow>(
      `select p.subject, p.orphaned, p.candidate, s.batch_id, b.name as batch, s.row_key, s.line as manifest_line, s.state,
              coalesce(t.status, case when not a.surplus then s.provider_status end) as provider_status, left(t.body, 4000) as polled, a.outcome, a.task_id, a.surplus, s.model,
              (case when json_typeof(s.request::json->'duration') = 'number' then s.request::json->>'duration' end)::int as duration,
              -- Of an id that a person found: when the row itself was last sent.
              case when a.worker like 'resolve by %' then coalesce(
                (select max(x.claimed_at) from vidbatch.attempt x
                  where x.submission_id = s.id and x.worker not like 'resolve by %'), a.claimed_at)
              else a.claimed_at end as at,
              s.submitted_at, a.request_id, a.http_status, left(a.body, 4000) as body,
              coalesce(x.lines, '[]') as lines, coalesce(c.earlier, '[]') as earlier
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
           select json_agg(json_build_object('entry', c.entry, 'amount', c.amount::text, 'currency', c.currency,
                    'billed_at', c.billed_at, 'charge_id', c.charge_id, 'file', c.file, 'line', c.line)
                    order by c.identity, c.occurrence) as earlier
             from vidbatch.charge c where c.submission_id = s.id and c.task_id = a.task_id
         ) c on true
        where p.import_id = $1 and p.subject > $2 order by p.subject limit ${PAGE}`,
      [importId, after],
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.subject;
  }
}

/** Lines that name no task: unreadable ones, and those that are about none. */
export async function* nameless(
  db: Queryable,
  importId: string,
): AsyncGenerator<LineRow & { aside: boolean; position: number }> {
  let after = 0;
  for (;;) {
    const { rows } = await db.query<{ row: LineRow & { aside: boolean; position: number } }>(
      `select json_build_object('aside', l.aside, 'position', l.position, ${LINE}) as row
         from vidbatch.listed l where l.import_id = $1 and l.subject is null and l.position > $2
        order by l.position limit ${PAGE}`,
      [importId, after],
    );
    for (const { row } of rows) yield row;
    const last = rows.at(-1)?.row;
    if (last === undefined || rows.length < PAGE) return;
    after = last.position;
  }
}

/** Since when tasks of this provider may be this ledger's. */
export async function sendingSince(db: Queryable, origin: string): Promise<Date> {
  const { rows } = await db.query<{ since: Date }>(
    `select least(m.created_at, (select min(claimed_at) from vidbatch.attempt where origin = $1)) as since
       from vidbatch.meta m`,
    [origin],
  );
  const since = rows[0]?.since;
  if (since === undefined) throw new Error('the ledger has no meta row; run `vidbatch migrate`');
  return since;
}

/** The tokens or users under which the files have tasks that the ledger knows. */
export async function ownClients(db: Queryable, importId: string): Promise<string[]> {
  const { rows } = await db.query<{ client: string }>(
    `select distinct l.client from vidbatch.listed l
       join vidbatch.paired p on p.import_id = l.import_id and p.subject = l.subject and p.attempt_id is not null
      where l.import_id = $1 and l.client is not null order by l.client limit 1000`,
    [importId],
  );
  return rows.map(({ client }) => client);
}

/** The providers that this ledger has sent to. */
export async function origins(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ origin: string }>('select origin from vidbatch.provider order by origin');
  return rows.map(({ origin }) => origin);
}
