import { usageError } from '../core/errors.ts';
import { likely } from '../core/suggestion.ts';
import { noCounts, OPEN_STATES, type Counts, type State } from '../core/states.ts';
import type { Queryable } from '../database/database.ts';
import { readCount } from './read/query.ts';

export interface Batch {
  id: number;
  name: string;
  /** The real path of its latest manifest; `-`: it never came from a file. */
  source: string;
  keyScheme: 'id' | 'h1';
  format: string;
  delimiter: string | null;
  /** The CSV header as read, in order; null for JSON. */
  columns: string[] | null;
  /** The provider of its task ids; null: no worker has seen the batch yet. */
  origin: string | null;
  /** The name of its profile, and its number in the ledger. */
  profile: string;
  profileId: number;
  state: 'active' | 'paused' | 'cancelled' | 'stopped';
  createdAt: Date;
  /** By when a person wants it to be sent. */
  deadline: Date | null;
  /** `wait`: rows are also sent after the deadline. */
  onDeadline: 'wait' | 'fail';
  /** Added to the priority of its rows; higher first. */
  priority: number;
  /** The share of its outcomes that may be failures, between 0 and 1. */
  failShare: number | null;
  /** How many rows must be accepted, one after another, before the others are sent. */
  canaryRows: number | null;
  stopReason: string | null;
}

const COLUMNS = `id, name, source, key_scheme as "keyScheme", format, delimiter, columns::json as columns, origin,
  (select p.name from vidbatch.profile p where p.id = profile_id) as profile, profile_id as "profileId", state,
  created_at as "createdAt", deadline, case when isfinite(not_after) then 'fail' else 'wait' end as "onDeadline", priority,
  fail_share as "failShare", canary_rows as "canaryRows", stop_reason as "stopReason"`;

export async function findBatch(db: Queryable, name: string): Promise<Batch | undefined> {
  const { rows } = await db.query<Batch>(`select ${COLUMNS} from vidbatch.batch where name = $1`, [name]);
  return rows[0];
}

/** @throws VidbatchError exit 2 that says which batches there are, or which one is likely meant. */
export async function requireBatch(db: Queryable, name: string): Promise<Batch> {
  const batch = await findBatch(db, name);
  if (batch !== undefined) return batch;
  const names = (await listBatches(db)).map((one) => one.name);
  const meant = likely(name, names);
  const hint =
    names.length === 0
      ? 'There are no batches yet.'
      : meant === undefined
        ? `There are: ${names.slice(-10).join(', ')}.`
        : `Did you mean ${meant}?`;
  throw usageError('NO_SUCH_BATCH', `there is no batch named ${name}`, hint);
}

export async function listBatches(db: Queryable): Promise<Batch[]> {
  const { rows } = await db.query<Batch>(`select ${COLUMNS} from vidbatch.batch order by id`);
  return rows;
}

/** The oldest batches of a provider with pending rows. */
export async function listWaitingBatches(db: Queryable, origin: string, most: number): Promise<Batch[]> {
  const { rows } = await db.query<Batch>(
    `select ${COLUMNS} from vidbatch.batch b
      where origin = $1
        and exists (select from vidbatch.submission s where s.batch_id = b.id and s.state = 'pending')
      order by id limit $2`,
    [origin, most],
  );
  return rows;
}

export async function createBatch(
  db: Queryable,
  batch: Pick<Batch, 'name' | 'source' | 'keyScheme' | 'format' | 'delimiter' | 'columns' | 'profileId'>,
): Promise<void> {
  await db.query(
    `insert into vidbatch.batch (name, source, key_scheme, format, delimiter, columns, profile_id)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (name) do nothing`,
    [
      batch.name,
      batch.source,
      batch.keyScheme,
      batch.format,
      batch.delimiter,
      batch.columns === null ? null : JSON.stringify(batch.columns),
      batch.profileId,
    ],
  );
}

/** Locks the batch until the end of the transaction, so that two producers never merge into it at once. */
export async function findAndLockBatch(db: Queryable, name: string): Promise<Batch> {
  const { rows } = await db.query<Batch>(`select ${COLUMNS} from vidbatch.batch where name = $1 for update`, [
    name,
  ]);
  if (rows[0] === undefined) throw new Error(`batch ${name} vanished while it was made`);
  return rows[0];
}

export async function lockBatch(db: Queryable, id: number): Promise<void> {
  await db.query('select id from vidbatch.batch where id = $1 for update', [id]);
}

/** Whether the ledger lacks rows of this batch that a journal knows to be sent. Its manifest brings them back. */
export async function hasUnmatchedAttempts(db: Queryable, name: string): Promise<boolean> {
  const { rows } = await db.query('select from vidbatch.unmatched_attempt where batch = $1 limit 1', [name]);
  return rows.length > 0;
}

/** The export has the columns of the latest manifest. */
export async function updateLayout(
  db: Queryable,
  id: number,
  layout: Pick<Batch, 'format' | 'delimiter' | 'columns'>,
): Promise<void> {
  await db.query('update vidbatch.batch set format = $2, delimiter = $3, columns = $4 where id = $1', [
    id,
    layout.format,
    layout.delimiter,
    layout.columns === null ? null : JSON.stringify(layout.columns),
  ]);
}

/** The priority of a batch is added to that of its rows. */
export async function setPriority(db: Queryable, batchId: number, priority: number): Promise<void> {
  await db.query('update vidbatch.batch set priority = $2 where id = $1 and priority <> $2', [
    batchId,
    priority,
  ]);
}

export async function updateSource(db: Queryable, id: number, source: string): Promise<void> {
  await db.query('update vidbatch.batch set source = $2 where id = $1', [id, source]);
}

/** Binds batches without a provider to this one: from now on, only its workers may send them. */
export async function bindBatches(db: Queryable, origin: string): Promise<void> {
  await db.query('update vidbatch.batch set origin = $1 where origin is null', [origin]);
}

/** Rows that the provider of the batch may have accepted. */
export function countPaid(db: Queryable, id: number): Promise<number> {
  return readCount(
    db,
    `select count(*)::int as n from vidbatch.submission
      where batch_id = $1 and (state in ('submitting', 'submitted', 'uncertain') or doubtful)`,
    [id],
  );
}

/** Binds the batch to another provider. Its task ids keep the provider of their attempt. */
export async function rebindBatch(db: Queryable, id: number, origin: string): Promise<void> {
  await db.query(
    'update vidbatch.batch set origin = $2, proven = false, canary = null, canaries = coalesce(canary_rows, 0) where id = $1',
    [id, origin],
  );
}

/** How many more rows must be accepted, one after another, before rows are sent in parallel. */
export function countProof(db: Queryable, id: number): Promise<number> {
  return readCount(
    db,
    'select case when proven then 0 else greatest(1, canaries) end as n from vidbatch.batch where id = $1',
    [id],
  );
}

/** The rows of a batch by state; null: of all batches, which is slow on large ledgers. */
export async function countStates(db: Queryable, id: number | null): Promise<Counts> {
  const { rows } = await db.query<{ state: State; n: number }>(
    `select state, count(*)::int as n from vidbatch.row_state ${id === null ? '' : 'where batch_id = $1'} group by state`,
    id === null ? [] : [id],
  );
  const counts = noCounts();
  for (const row of rows) counts[row.state] = row.n;
  return counts;
}

/** Rows that have not ended. This reads only an index of open rows, so it is much cheaper than `countStates`. */
export function countOpen(db: Queryable, ids: readonly number[] | null): Promise<number> {
  return readCount(
    db,
    `select count(*)::int as n from vidbatch.submission
      where state in (${OPEN_STATES.map((state) => `'${state}'`).join(', ')})
        and ($1::bigint[] is null or batch_id = any($1))`,
    [ids],
  );
}

const FEWEST_FOR_RATE = 20;

/** Rows a second, in the ten minutes before the last acceptance; null: too few rows were accepted. */
export async function readSendRate(db: Queryable, id: number): Promise<number | null> {
  const { rows } = await db.query<{ n: number; seconds: number }>(
    // The newest acceptance is a subquery, so it is read once. In a join, Postgres read it for each row where it had no
    // statistics yet: minutes for 20,000 rows.
    `select count(*)::int as n, coalesce(extract(epoch from max(submitted_at) - min(submitted_at)), 0)::float8 as seconds
       from vidbatch.row_state
      where batch_id = $1 and state = 'submitted'
        and submitted_at > (select max(submitted_at) from vidbatch.row_state where batch_id = $1 and state = 'submitted')
                           - interval '10 minutes'`,
    [id],
  );
  const { n = 0, seconds = 0 } = rows[0] ?? {};
  return n >= FEWEST_FOR_RATE && seconds > 0 ? (n - 1) / seconds : null;
}

/** Writes to the event log what an operator did. */
export async function logEvent(
  db: Queryable,
  event: string,
  detail: string,
  batchId?: number,
  who?: string,
): Promise<void> {
  await db.query('insert into vidbatch.event_log (event, detail, batch_id, who) values ($1, $2, $3, $4)', [
    event,
    detail,
    batchId ?? null,
    who ?? null,
  ]);
}
