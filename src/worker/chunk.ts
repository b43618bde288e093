import type { Blocked } from '../ledger/send/blocked.ts';
import type { Claimed } from './ledger-writer.ts';
import type { Slots } from './slots.ts';
import { momentOf, type Clock, type ClaimedRow, type Settled } from './submit.ts';

/** What `sendChunk` needs of the worker. */
export interface ChunkPorts {
  slots: Slots;
  clock: Clock;
  /** Runs one at a time: while one claim is under way, freed slots form the next group. */
  oneByOne<T>(act: () => Promise<T>): Promise<T>;
  claim(batchId: number, rows: number): Promise<Claimed>;
  send(row: ClaimedRow): Promise<Settled>;
  /** Waits until the worker may claim rows. False: the worker stops. */
  mayClaim(): Promise<boolean>;
  isStopping(): boolean;
  pause(ms: number): Promise<void>;
  onClaimed(claimed: Claimed): void;
}

/** The results of a chunk's rows. */
export interface ChunkReport {
  settled: Settled[];
  /** Why it took no more rows; undefined: it took as many as it may, or its time was over. */
  blocked?: Blocked;
  /** Errors of rows that were claimed and not recorded. */
  errors: unknown[];
}

/** A chunk claims for at most this time. Then other chunks have their turn. */
const CLAIMING_MS = 1_000;

/**
 * Claims and sends up to `rows` rows of a batch. Each claim takes as many rows as there are free slots, so a claimed row is
 * sent at once. Resolves when all rows are settled.
 */
export async function sendChunk(
  { batch, rows }: { batch: number; rows: number },
  ports: ChunkPorts,
): Promise<ChunkReport> {
  const { clock, slots } = ports;
  const report: ChunkReport = { settled: [], errors: [] };
  const sending: Promise<void>[] = [];
  let left = rows;
  let until: number | undefined;
  const isOver = (): boolean => until !== undefined && clock.monotonic() >= until;

  async function sendRow(row: ClaimedRow): Promise<void> {
    try {
      report.settled.push(await ports.send(row));
    } catch (error) {
      report.errors.push(error);
    } finally {
      slots.release(1);
    }
  }

  async function claimNext(): Promise<Claimed | undefined> {
    const free = await slots.take(left);
    until ??= clock.monotonic() + CLAIMING_MS;
    if (ports.isStopping() || isOver()) {
      slots.release(free);
      return undefined;
    }
    const asked = momentOf(clock);
    let claimed: Claimed;
    try {
      claimed = await ports.claim(batch, free);
    } catch (error) {
      slots.release(free);
      throw error;
    }
    slots.release(free - claimed.claims.length);
    for (const claim of claimed.claims) sending.push(sendRow({ claim, asked }));
    return claimed;
  }

  try {
    while (left > 0 && !isOver() && (await ports.mayClaim())) {
      const claimed = await ports.oneByOne(claimNext);
      if (claimed === undefined) break;
      left -= claimed.claims.length;
      ports.onClaimed(claimed);
      const { blocked } = claimed;
      if (blocked === undefined) continue;
      report.blocked = blocked;
      const waitMs = waitOf(blocked);
      if (waitMs === undefined || clock.monotonic() + waitMs >= (until ?? Infinity)) break;
      await ports.pause(waitMs);
    }
  } finally {
    await Promise.all(sending);
  }
  return report;
}

/** A chunk itself waits only for the next slots under a limit. For everything else, the feeder makes a new chunk later. */
function waitOf({ reason, waitMs }: Blocked): number | undefined {
  return reason === 'rate' || reason === 'in-flight' ? waitMs : undefined;
}
