import { listBatches, note, pause, resume } from './batch.ts';
import type { Batch } from './batch.ts';
import type { Database, Queryable } from './database.ts';
import { transaction } from './database.ts';
import { armProbe } from './provider.ts';

/** A batch, or everything. */
type Held = Pick<Batch, 'id' | 'name'> | undefined;

/** An operator stops new claims of these batches, or of everything; the trail says who, in the same transaction. */
export async function pauseBy(
  db: Database,
  who: string,
  batches: readonly NonNullable<Held>[] | undefined,
): Promise<void> {
  await transaction(db, async (session) => {
    for (const batch of batches ?? [undefined]) {
      await pause(session, batch?.id ?? null);
      await note(session, 'pause', batch?.name ?? 'everything', batch?.id, who);
    }
  });
}

/**
 * An operator lets these batches, or everything, go on. With everything, a halted provider is tried out with one row:
 * that of this configuration, or those of all batches. Returns whether one is.
 */
export async function resumeBy(
  db: Database,
  who: string,
  batches: readonly NonNullable<Held>[] | undefined,
  origin: string | undefined,
): Promise<boolean> {
  return transaction(db, async (session) => {
    for (const batch of batches ?? [undefined]) {
      await resume(session, batch?.id ?? null);
      await note(session, 'resume', batch?.name ?? 'everything', batch?.id, who);
    }
    if (batches !== undefined) return false;
    const origins = origin === undefined ? (await listBatches(session)).map((one) => one.origin) : [origin];
    let armed = false;
    for (const one of new Set(origins)) if (one !== null && (await armProbe(session, one))) armed = true;
    return armed;
  });
}

/** Who paused the batch, or everything, and when: the last line of the trail that says so. */
export async function pausedBy(
  db: Queryable,
  batchId: number | null,
): Promise<{ at: Date; who: string | null } | undefined> {
  const { rows } = await db.query<{ at: Date; who: string | null }>(
    `select at, who from vidbatch.trail
      where event = 'pause' and batch_id is not distinct from $1::bigint
      order by id desc limit 1`,
    [batchId],
  );
  return rows[0];
}
