import { transaction, type Database, type Queryable } from '../../database/database.ts';
import { refuseCopied } from '../closed.ts';
import { logEvent, type Batch } from '../batches.ts';
import { readCount } from '../read/query.ts';
import { CALLED_OFF } from '../send/unknown-outcome.ts';
import { armProbe, openHalts } from '../send/provider.ts';
import { RESTARTED } from '../send/failure-limit.ts';

/** Stops new claims of the batch; null: of all batches. Open calls finish. */
export async function pause(db: Queryable, id: number | null): Promise<void> {
  if (id === null) await db.query('update vidbatch.meta set paused_at = coalesce(paused_at, now())');
  else await db.query(`update vidbatch.batch set state = 'paused' where id = $1 and state = 'active'`, [id]);
}

/** Lets the batch continue; null: all batches. Returns whether it was paused or stopped. */
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
    `update vidbatch.batch set ${RESTARTED} where id = $1 and state = 'stopped' returning id`,
    [id],
  );
  return paused.length + stopped.length > 0;
}

/** An operator stops new claims of these batches; undefined: of all. The event log names the operator, and says why. */
export async function pauseBy(
  db: Database,
  who: string,
  batches: readonly Pick<Batch, 'id' | 'name'>[] | undefined,
  why?: string,
): Promise<void> {
  await transaction(db, async (session) => {
    await refuseCopied(session);
    for (const batch of batches ?? [undefined]) {
      await pause(session, batch?.id ?? null);
      await logEvent(session, 'pause', formatWhy(batch?.name ?? EVERYTHING, why), batch?.id, who);
    }
  });
}

/** What a pause of all batches is called in the event log. */
export const EVERYTHING = 'everything';

/** The detail of a pause in the event log. `readPause` reads it. */
export function formatWhy(what: string, why: string | undefined): string {
  return why === undefined ? what : `${what}: ${why}`;
}

interface Resumed {
  /** A batch, or everything, was paused or had stopped itself. */
  held: boolean;
  /** Halted providers that are probed. */
  trying: string[];
}

/**
 * An operator lets these batches continue; undefined: all. With all, each halted provider is probed with one row, also
 * a provider that this configuration does not use: a halt stops every worker.
 */
export async function resumeBy(
  db: Database,
  who: string,
  batches: readonly Pick<Batch, 'id' | 'name'>[] | undefined,
): Promise<Resumed> {
  return transaction(db, async (session) => {
    await refuseCopied(session);
    let held = false;
    for (const batch of batches ?? [undefined]) {
      if (await resume(session, batch?.id ?? null)) held = true;
      await logEvent(session, 'resume', batch?.name ?? EVERYTHING, batch?.id, who);
    }
    const trying: string[] = [];
    if (batches !== undefined) return { held, trying };
    for (const { origin } of await openHalts(session)) {
      if (await armProbe(session, origin)) trying.push(origin);
    }
    return { held, trying };
  });
}

/** Who paused something, when and why; null: not known. */
export interface Paused {
  at: Date | null;
  who: string | null;
  why: string | null;
}

/** The last such entry of the event log. `batchId`: null of all batches; `what`: the beginning of its detail. */
export async function readPause(
  db: Queryable,
  event: 'pause' | 'pause-model',
  batchId: number | null,
  what: string,
): Promise<Paused | undefined> {
  const { rows } = await db.query<Paused>(
    `select at, who, nullif(substr(detail, length($3) + 3), '') as why from vidbatch.event_log
      where event = $1 and batch_id is not distinct from $2::bigint and (detail = $3 or starts_with(detail, $3 || ': '))
      order by id desc limit 1`,
    [event, batchId, what],
  );
  return rows[0];
}

export async function isPaused(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ paused: boolean }>(
    'select paused_at is not null as paused from vidbatch.meta',
  );
  return rows[0]?.paused ?? false;
}

/**
 * Pending rows become `cancelled`, or `uncertain` when an earlier attempt may have been accepted. Rows in flight finish.
 * Returns how many were cancelled.
 */
export function cancel(db: Queryable, id: number): Promise<number> {
  return readCount(
    db,
    `with stopped as (
       update vidbatch.batch set state = 'cancelled' where id = $1 returning id
     ), moved as (
       update vidbatch.row_state s set ${CALLED_OFF}
        -- This reads the batch from stopped, so that the batch is locked before its rows, as in claims.
        where s.batch_id = (select id from stopped) and s.state = 'pending'
       returning s.state
     )
     select count(*)::int as n from moved where state = 'cancelled'`,
    [id],
  );
}

/** An operator cancels a batch. The event log says who, in the same transaction. */
export async function cancelBy(db: Database, who: string, batch: Pick<Batch, 'id'>): Promise<number> {
  return transaction(db, async (session) => {
    await refuseCopied(session);
    const rows = await cancel(session, batch.id);
    await logEvent(session, 'cancel', `${rows} rows`, batch.id, who);
    return rows;
  });
}
