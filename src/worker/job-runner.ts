import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { crashPoint } from '../core/crash-points.ts';
import type { Logger } from '../core/log.ts';
import type { Queryable } from '../database/database.ts';
import type { Blocked } from '../ledger/send/blocked.ts';
import { sendChunk, type ChunkPorts, type ChunkReport } from './chunk.ts';
import type { Feeder } from './feeder.ts';
import { showJob } from './job.ts';
import type { JournalKeeper } from './journal/keeper.ts';
import type { Claimed, LedgerWriter } from './ledger-writer.ts';
import type { Pace } from './pace.ts';
import { chunkOf, namesNoBatch, type ChunkData, type ChunkResult } from './queue/chunk.ts';
import type { Cooldown } from './rate/cooldown.ts';
import type { RowSender } from './row-sender.ts';
import type { Speaker } from './speaker.ts';

export interface RunnerParts extends Pick<ChunkPorts, 'slots' | 'clock'> {
  db: Queryable;
  log: Logger;
  speaker: Pick<Speaker, 'ready'>;
  writer: Pick<LedgerWriter, 'claim'>;
  sender: Pick<RowSender, 'send'>;
  keeper: Pick<JournalKeeper, 'hasRoom'>;
  cooldown: Cooldown;
  pace: Pick<Pace, 'claimed'>;
  feeder: Pick<Feeder, 'poke'>;
  stopping: AbortSignal;
  /** No row of the batch was claimed. */
  onBlocked(batchId: number, blocked: Blocked): void;
}

/** Without room in the journal, a worker asks again after this time. */
const JOURNAL_PAUSE_MS = 5_000;

/** Runs the jobs of a worker: each claims and sends the rows of its chunk. */
export function createJobRunner(
  parts: RunnerParts,
): (job: Job<ChunkData, ChunkResult>) => Promise<ChunkResult> {
  const { db, log, slots, clock, speaker, writer, sender, keeper, cooldown, pace, feeder, stopping } = parts;
  let lastClaim: Promise<unknown> = Promise.resolve();

  function oneByOne<T>(act: () => Promise<T>): Promise<T> {
    const next = lastClaim.then(act);
    lastClaim = next.catch(() => undefined);
    return next;
  }

  async function pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: stopping });
  }

  /** Waits for the end of a throttle, and for room in the journal. False: the worker stops. */
  async function mayClaim(): Promise<boolean> {
    try {
      while (cooldown.leftMs() > 0) await pause(cooldown.leftMs());
      while (!(await keeper.hasRoom())) await pause(JOURNAL_PAUSE_MS);
    } catch (error) {
      if (!stopping.aborted) throw error;
    }
    return !stopping.aborted;
  }

  async function claim(batchId: number, rows: number): Promise<Claimed> {
    await speaker.ready(batchId);
    return writer.claim(batchId, rows);
  }

  function note(batchId: number, { claims, blocked }: Claimed): void {
    pace.claimed(claims.length);
    if (blocked === undefined) return;
    cooldown.note(blocked);
    if (claims.length === 0) parts.onBlocked(batchId, blocked);
  }

  return async (job) => {
    crashPoint('job-taken');
    const chunk = chunkOf(job.data);
    if (chunk === undefined) throw namesNoBatch('its data holds no batch and number of rows');
    const shown = showJob(job, chunk, db, log);
    let report: ChunkReport;
    try {
      report = await sendChunk(chunk, {
        slots,
        clock,
        oneByOne,
        mayClaim,
        isStopping: () => stopping.aborted,
        pause: (ms) => pause(ms).catch(() => undefined),
        claim,
        send: async (row) => {
          const settled = await sender.send(row);
          shown.settled();
          return settled;
        },
        onClaimed: (claimed) => {
          shown.claimed(claimed.claims);
          note(chunk.batch, claimed);
        },
      });
    } catch (error) {
      if (!stopping.aborted) throw error;
      return { rows: 0, 'no more rows': 'the worker stopped' };
    } finally {
      shown.stop();
      // If it claimed nothing, the next look would make the same job again at once.
      if (shown.size > 0) feeder.poke();
    }
    if (report.blocked?.reason === 'unknown') throw namesNoBatch(`the ledger has no batch ${chunk.batch}`);
    return shown.end(report);
  };
}
