import type { Counts, State } from '../core/submission.ts';
import { noCounts, OPEN_STATES } from '../core/submission.ts';
import type { Queryable } from '../database/database.ts';
import { CALLED_OFF } from './send/doubt.ts';
import { TRIAL } from './send/trial.ts';

export interface Batch {
  id: number;
  name: string;
  /** Real path of its latest manifest, or `-` if it never came from a file. */
  source: string;
  keyScheme: 'id' | 'h1';
  format: string;
  delimiter: string | null;
  /** The CSV header as read, in order; null for JSON. */
  columns: string[] | null;
  /** Where its task ids belong; null until a worker with a provider has seen it. */
  origin: string | null;
  state: 'active' | 'paused' | 'cancelled' | 'stopped';
  createdAt: Date;
  /** By when a person wants it to be sent. */
  deadline: Date | null;
  /** Whether rows are sent after it. */
  onDeadline: 'wait' | 'fail';
  /** Added to that of its rows; higher first. */
  priority: number;
  /** Of its outcomes so many may be failures, between 0 and 1. */
  failShare: number | null;
  /** So many rows have to be accepted, one after another, before the rest goes. */
  canaryRows: number | null;
  /** Why it is stopped, if it is. */
  stopReason: string | null;
}

interface BatchRow {
  id: number;
  name: string;
  source: string;
  key_scheme: Batch['keyScheme'];
  format: string;
  delimiter: string | null;
  columns: string | null;
  origin: string | null;
  state: Batch['state'];
  created_at: Date;
  deadline: Date | null;
  fails: boolean;
  priority: number;
  fail_share: number | null;
  canary_rows: number | null;
  stop_reason: string | null;
}

const COLUMNS =
  'id, name, source, key_scheme, format, delimiter, columns, origin, state, created_at, deadline, isfinite(not_after) as fails, priority, fail_share, canary_rows, stop_reason';

function toBatch(row: BatchRow): Batch {
  return {
    id: row.id,
    name: row.name,
    source: row.source,
    keyScheme: row.key_scheme,
    format: row.format,
    delimiter: row.delimiter,
    columns: row.columns === null ? null : (JSON.parse(row.columns) as string[]),
    origin: row.origin,
    state: row.state,
    createdAt: row.created_at,
    deadline: row.deadline,
    onDeadline: row.fails ? 'fail' : 'wait',
    priority: row.priority,
    failShare: row.fail_share,
    canaryRows: row.canary_rows,
    stopReason: row.stop_reason,
  };
}

export async function findBatch(db: Queryable, name: string): Promise<Batch | undefined> {
  const { rows } = await db.query<BatchRow>(`select ${COLUMNS} from vidbatch.batch where name = $1`, [name]);
  return rows[0] && toBatch(rows[0]);
}

/** Every batch, oldest first. */
export async function listBatches(db: Queryable): Promise<Batch[]> {
  const { rows } = await db.query<BatchRow>(`select ${COLUMNS} from vidbatch.batch order by id`);
  return rows.map(toBatch);
}

/** The first batches of a provider with rows that wait, oldest first. */
export async function waitingBatches(db: Queryable, origin: string, most: number): Promise<Batch[]> {
  const { rows } = await db.query<BatchRow>(
    `select ${COLUMNS} from vidbatch.batch b
      where origin = $1
        and exists (select from vidbatch.submission s where s.batch_id = b.id and s.state = 'pending')
      order by id limit $2`,
    [origin, most],
  );
  return rows.map(toBatch);
}

export async function createBatch(
  db: Queryable,
  batch: Pick<Batch, 'name' | 'source' | 'keyScheme' | 'format' | 'delimiter' | 'columns'>,
): Promise<Batch> {
  const { rows } = await db.query<BatchRow>(
    `insert into vidbatch.batch (name, source, key_scheme, format, delimiter, columns)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (name) do nothing
     returning ${COLUMNS}`,
    [
      batch.name,
      batch.source,
      batch.keyScheme,
      batch.format,
      batch.delimiter,
      batch.columns === null ? null : JSON.stringify(batch.columns),
    ],
  );
  const created = rows[0] ? toBatch(rows[0]) : await findBatch(db, batch.name);
  if (created === undefined) throw new Error(`batch ${batch.name} vanished while it was made`);
  return created;
}

/** Locks the batch until the end of the transaction, so that two producers never merge into it at once. */
export async function lockBatch(db: Queryable, id: number): Promise<void> {
  await db.query('select id from vidbatch.batch where id = $1 for update', [id]);
}

/** A newer manifest of the batch may have other columns: the export follows the latest. */
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

/** Where its manifest comes from now. */
export async function moveBatch(db: Queryable, id: number, source: string): Promise<void> {
  await db.query('update vidbatch.batch set source = $2 where id = $1', [id, source]);
}

/** Binds batches without a provider to this one: from now on only workers of this provider may send them. */
export async function adoptBatches(db: Queryable, origin: string): Promise<void> {
  await db.query('update vidbatch.batch set origin = $1 where origin is null', [origin]);
}

/** How many rows of the batch may have been accepted by its provider. */
export async function countPaid(db: Queryable, id: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.submission
      where batch_id = $1 and (state in ('submitting', 'submitted', 'uncertain') or doubtful)`,
    [id],
  );
  return rows[0]?.n ?? 0;
}

/** The batch goes on at another provider. Task ids it has keep the origin of their attempt. */
export async function rebind(db: Queryable, id: number, origin: string): Promise<void> {
  await db.query(
    'update vidbatch.batch set origin = $2, proven = false, canary = null, canaries = coalesce(canary_rows, 0) where id = $1',
    [id, origin],
  );
}

/** Stops new claims of the batch, or of all with `null`. Open calls finish. */
export async function pause(db: Queryable, id: number | null): Promise<void> {
  if (id === null) await db.query('update vidbatch.meta set paused_at = coalesce(paused_at, now())');
  else await db.query(`update vidbatch.batch set state = 'paused' where id = $1 and state = 'active'`, [id]);
}

/** Lets the batch, or with `null` everything, go on. Returns whether it was paused or stopped. */
export async function resume(db: Queryable, id: number | null): Promise<boolean> {
  if (id === null) {
    const { rows } = await db.query(
      'update vidbatch.meta set paused_at = null where paused_at is not null returning only_row',
    );
    return rows.length > 0;
  }
  const { rows: paused } = await db.query(
    `update vidbatch.batch set state = 'active' where id = $1 and state = 'paused' returning id`,
    [id],
  );
  const { rows: stopped } = await db.query(
    `update vidbatch.batch set ${TRIAL} where id = $1 and state = 'stopped' returning id`,
    [id],
  );
  return paused.length + stopped.length > 0;
}

/** How many rows of the batch must be accepted, one after another, before others go beside them. 0: none any more. */
export async function countProof(db: Queryable, id: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    'select case when proven then 0 else greatest(1, canaries) end as n from vidbatch.batch where id = $1',
    [id],
  );
  return rows[0]?.n ?? 0;
}

export async function isPaused(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ paused: boolean }>(
    'select paused_at is not null as paused from vidbatch.meta',
  );
  return rows[0]?.paused ?? false;
}

/**
 * Pending rows become `cancelled`, for ever or until `retry`; those of which an earlier attempt may have been accepted
 * become `uncertain`; rows in flight finish. Returns how many were cancelled.
 */
export async function cancel(db: Queryable, id: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with stopped as (
       update vidbatch.batch set state = 'cancelled' where id = $1 returning id
     ), moved as (
       update vidbatch.submission s set ${CALLED_OFF}
        -- Named here, the batch is locked first, as claims do.
        where s.batch_id = (select id from stopped) and s.state = 'pending'
       returning s.state
     )
     select count(*)::int as n from moved where state = 'cancelled'`,
    [id],
  );
  return rows[0]?.n ?? 0;
}

export async function countStates(db: Queryable, id: number): Promise<Counts> {
  const { rows } = await db.query<{ state: State; n: number }>(
    'select state, count(*)::int as n from vidbatch.submission where batch_id = $1 group by state',
    [id],
  );
  const counts = noCounts();
  for (const row of rows) counts[row.state] = row.n;
  return counts;
}

/** Rows still to be worked on. Far cheaper than counting every state: it reads an index of open rows alone. */
export async function countOpen(db: Queryable, ids: readonly number[] | null): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.submission
      where state in (${OPEN_STATES.map((state) => `'${state}'`).join(', ')})
        and ($1::bigint[] is null or batch_id = any($1))`,
    [ids],
  );
  return rows[0]?.n ?? 0;
}

/** How many can be told a rate from. */
const ENOUGH = 20;

/** Rows a second, over the ten minutes before the last one was accepted; null: too few were. */
export async function measuredRate(db: Queryable, id: number): Promise<number | null> {
  const { rows } = await db.query<{ n: number; seconds: number }>(
    `with last as (select max(submitted_at) as at from vidbatch.submission where batch_id = $1 and state = 'submitted')
     select count(*)::int as n, coalesce(extract(epoch from max(s.submitted_at) - min(s.submitted_at)), 0)::float8 as seconds
       from vidbatch.submission s, last
      where s.batch_id = $1 and s.state = 'submitted' and s.submitted_at > last.at - interval '10 minutes'`,
    [id],
  );
  const { n = 0, seconds = 0 } = rows[0] ?? {};
  return n >= ENOUGH && seconds > 0 ? (n - 1) / seconds : null;
}

/** Task ids beyond the one that each row should have. */
export async function countSurplus(db: Queryable, id: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      where a.surplus and s.batch_id = $1`,
    [id],
  );
  return rows[0]?.n ?? 0;
}

/** A line in the trail of what operators did. */
export async function note(
  db: Queryable,
  event: string,
  detail: string,
  batchId?: number,
  who?: string,
): Promise<void> {
  await db.query('insert into vidbatch.trail (event, detail, batch_id, who) values ($1, $2, $3, $4)', [
    event,
    detail,
    batchId ?? null,
    who ?? null,
  ]);
}
