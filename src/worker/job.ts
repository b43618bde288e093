import type { Job } from 'bullmq';
import type { ChunkReport } from './chunk.ts';
import { failureOf, formatLog, resultOf, tookRows } from './chunk-report.ts';
import { messageOf } from '../core/errors.ts';
import { isHashKey } from '../core/identity.ts';
import type { Logger } from '../core/log.ts';
import { quoted } from '../core/text.ts';
import type { Queryable } from '../database/database.ts';
import { readLines } from '../ledger/read/rows.ts';
import type { Claim } from '../ledger/send/claim.ts';
import {
  jobFailure,
  type Chunk,
  type ChunkData,
  type ChunkProgress,
  type ChunkResult,
} from './queue/chunk.ts';

/** What a person sees of a job. The rows are in the ledger, so nothing is lost if the queue cannot be reached. */
export interface ShownJob {
  claimed(claims: readonly Claim[]): void;
  /** A row of it is settled. */
  settled(): void;
  /** How many rows it has claimed. */
  readonly size: number;
  /** @throws Error when one of its rows failed: the job is shown as failed, with the reason. */
  end(report: ChunkReport): Promise<ChunkResult>;
  /** Shows nothing more while it runs. Idempotent. */
  stop(): void;
}

/** A job that runs longer than this is also updated while it runs. */
const SHOW_EVERY_MS = 1_000;
const SHORT_HASH = 11;

/** A failed job that is repeated fails again, because its rows have not changed. */
function repeatedInVain(batch: string): string {
  return `repeated, which sends no row again: its log says which rows need a look; \`vidbatch retry ${quoted(batch)}\` sends rows again that were refused`;
}

export function showJob(
  job: Job<ChunkData, ChunkResult>,
  { batch, rows }: Pick<Chunk, 'batch' | 'rows'>,
  db: Queryable,
  log: Logger,
): ShownJob {
  const took: Claim[] = [];
  const lines = new Map<number, number>();
  let settled = 0;
  let shown = { claimed: 0, settled: 0 };
  let hasFailed = false;
  let writing = Promise.resolve();

  /** One write at a time, so that the last one stays. */
  function show(isOver: boolean): Promise<void> {
    writing = writing.then(() => write(isOver));
    return writing;
  }

  async function write(isOver: boolean): Promise<void> {
    const before = shown;
    const claimed = took.length;
    if (claimed === 0 || (!isOver && claimed === before.claimed && settled === before.settled)) return;
    const now = { claimed, settled };
    const progress: ChunkProgress = {
      progress: isOver ? 100 : Math.floor((100 * settled) / rows),
      ...now,
      of: rows,
    };
    try {
      await findLines();
      if (isOver || claimed > before.claimed) {
        const data = { batch, rows, took: tookRows(took, nameOf) };
        await job.updateData(hasFailed ? { ...data, failed: true } : data);
      }
      await job.updateProgress(progress);
      shown = now;
    } catch (error) {
      log.debug({ event: 'job-not-shown', job: job.id, error: messageOf(error) });
    }
  }

  /** People know a row without an id by its line. If the ledger does not answer, the job continues without lines. */
  async function findLines(): Promise<void> {
    const unnamed = took.filter(({ submissionId, key }) => isHashKey(key) && !lines.has(submissionId));
    if (unnamed.length === 0) return;
    try {
      const ids = unnamed.map(({ submissionId }) => submissionId);
      for (const [id, line] of await readLines(db, ids)) lines.set(id, line);
    } catch (error) {
      log.debug({ event: 'lines-not-read', job: job.id, error: messageOf(error) });
    }
  }

  function nameOf({ submissionId, key }: Pick<Claim, 'submissionId' | 'key'>): string {
    const line = lines.get(submissionId);
    if (line !== undefined) return `line ${line}`;
    return isHashKey(key) ? `${key.slice(0, SHORT_HASH)}…` : key;
  }

  const timer = setInterval(() => void show(false), SHOW_EVERY_MS);
  return {
    claimed(claims) {
      took.push(...claims);
    },
    settled() {
      settled += 1;
    },
    get size() {
      return took.length;
    },
    stop: () => clearInterval(timer),
    async end(report) {
      const inVain = took.length === 0 && job.data.failed === true;
      const failure = inVain ? repeatedInVain(job.name) : failureOf(report, nameOf);
      hasFailed = failure !== undefined;
      await show(true);
      if (took.length > 0) await job.log(formatLog(report, nameOf)).catch(() => undefined);
      if (failure !== undefined) throw jobFailure(failure);
      return resultOf(report);
    },
  };
}
