import { note, pause, resume } from './batch.ts';
import type { Batch } from './batch.ts';
import type { Database, Queryable } from '../database/database.ts';
import { transaction } from '../database/database.ts';
import { armProbe, openHalts } from './send/provider.ts';

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

/** What `resume` did. */
export interface Resumed {
  /** Something was paused, or had stopped itself. */
  held: boolean;
  /** Halted providers that are tried out with one row. */
  trying: string[];
}

/**
 * An operator lets these batches, or everything, go on. With everything, each halted provider is tried out with one row,
 * whatever provider this configuration has: a halt is of all who use it.
 */
export async function resumeBy(
  db: Database,
  who: string,
  batches: readonly NonNullable<Held>[] | undefined,
): Promise<Resumed> {
  return transaction(db, async (session) => {
    let held = false;
    for (const batch of batches ?? [undefined]) {
      if (await resume(session, batch?.id ?? null)) held = true;
      await note(session, 'resume', batch?.name ?? 'everything', batch?.id, who);
    }
    const trying: string[] = [];
    if (batches !== undefined) return { held, trying };
    for (const { origin } of await openHalts(session)) {
      if (await armProbe(session, origin)) trying.push(origin);
    }
    return { held, trying };
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
