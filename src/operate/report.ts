import { estimate, type Estimate } from '../batch/estimate.ts';
import { defaultSeconds } from '../batch/batch-profile.ts';
import type { Prices } from '../core/money/prices.ts';
import { formatDuration } from '../core/units.ts';
import { transaction, type Database, type Queryable } from '../database/database.ts';
import { readBilled, type Billed } from '../ledger/audit/provider-lines.ts';
import type { Batch } from '../ledger/batches.ts';
import { readFailReasons, type FailReason } from '../ledger/operator/retry-failed-tasks.ts';
import {
  readAccepted,
  readCalls,
  readEndings,
  readTaskTimes,
  type Calls,
  type Ending,
  type Percentiles,
} from '../ledger/read/batch-numbers.ts';
import { readAnsweredCosts, type AnsweredCosts } from '../ledger/tasks/costs.ts';
import { summarise, type Summary } from './summary.ts';

/** A batch in numbers. */
export interface Report extends Pick<
  Summary,
  'batch' | 'source' | 'rows' | 'counts' | 'taskIds' | 'surplus' | 'remade'
> {
  calls: Calls;
  endings: Ending[];
  /** From the first claim to the last answer; null: nothing was sent. */
  durationMs: number | null;
  tasks: {
    /** By the provider's status; `open`: not polled yet. */
    byStatus: Record<string, number>;
    /** Accepted tasks whose final status is known. */
    settled: number;
    times: Percentiles | null;
    /** Why tasks failed, the most frequent first. */
    failReasons: FailReason[];
  };
  /** The cost of the accepted rows, by the price file or by the ledger's prices; null: there are no prices. */
  estimated: Estimate | null;
  billed: Billed[];
  /** The cost that the answers about tasks tell. */
  answered: AnsweredCosts;
}

/** All parts show the same moment, also while the batch runs. */
export async function readReport(db: Database, batch: Batch, prices: Prices): Promise<Report> {
  return transaction(db, async (session) => {
    await session.query('set transaction isolation level repeatable read, read only');
    return readParts(session, batch, prices);
  });
}

async function readParts(db: Queryable, batch: Batch, prices: Prices): Promise<Report> {
  const summary = await summarise(db, batch, undefined);
  const calls = await readCalls(db, batch.id);
  const accepted = await readAccepted(db, batch.id, {
    seconds: prices.size > 0 ? await defaultSeconds(db, batch) : null,
  });
  const byStatus: Record<string, number> = {};
  for (const { status, rows } of accepted) {
    byStatus[status ?? 'open'] = (byStatus[status ?? 'open'] ?? 0) + rows;
  }
  const groups = accepted.map(({ model, rows: toSend, seconds, stored }) => {
    return { model, toSend, seconds: seconds ?? 0, stored };
  });
  const { first, last } = calls;
  return {
    batch: summary.batch,
    source: summary.source,
    rows: summary.rows,
    counts: summary.counts,
    taskIds: summary.taskIds,
    surplus: summary.surplus,
    remade: summary.remade,
    calls,
    endings: await readEndings(db, batch.id),
    durationMs: first === null || last === null ? null : last.getTime() - first.getTime(),
    tasks: {
      byStatus,
      settled: (byStatus['completed'] ?? 0) + (byStatus['failed'] ?? 0),
      times: await readTaskTimes(db, batch.id),
      failReasons: await readFailReasons(db, batch.id),
    },
    estimated:
      prices.size > 0 || groups.some(({ stored }) => stored !== null) ? estimate(prices, groups) : null,
    billed: await readBilled(db, batch.id),
    answered: await readAnsweredCosts(db, [batch.id]),
  };
}

/** `340 ms`, `1.2 s`, `3m 20s` */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}

export function formatPercent(part: number, whole: number): string {
  return whole === 0 ? '0%' : `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)}%`;
}

/** Task ids a second; null: the time is too short to tell. */
export function rateOf({ durationMs, taskIds }: Report): number | null {
  return durationMs === null || durationMs <= 0 || taskIds === 0 ? null : taskIds / (durationMs / 1000);
}
