import { estimate } from '../batch/estimate.ts';
import type { Estimate } from '../batch/estimate.ts';
import type { Batch } from '../ledger/batch.ts';
import { transaction } from '../database/database.ts';
import type { Database, Queryable } from '../database/database.ts';
import { billedOf } from '../ledger/audit/charge.ts';
import type { Billed } from '../ledger/audit/charge.ts';
import { readAccepted, readCalls, readEndings, readTaskTimes } from '../ledger/read/report.ts';
import type { Calls, Ending, Percentiles } from '../ledger/read/report.ts';
import { readFailReasons } from '../ledger/remake.ts';
import type { FailReason } from '../ledger/remake.ts';
import { summarise } from './overview.ts';
import type { Prices } from '../core/money/prices.ts';
import type { Summary } from './summary.ts';

/** What became of a batch so far, in numbers. */
export interface Report extends Pick<
  Summary,
  'batch' | 'source' | 'rows' | 'counts' | 'taskIds' | 'surplus' | 'remade'
> {
  calls: Calls;
  endings: Ending[];
  /** From the first claim to the last answer; null: nothing was sent. */
  durationMs: number | null;
  tasks: {
    /** By the provider's own word; `open`: not asked for yet. */
    byStatus: Record<string, number>;
    /** Of the accepted ones, whose end is known. */
    settled: number;
    times: Percentiles | null;
    /** Why tasks failed, the most frequent first. */
    failReasons: FailReason[];
  };
  /** What the accepted rows cost by the price file, or by the prices that the ledger has; null: there are none. */
  estimated: Estimate | null;
  billed: Billed[];
}

const SETTLED = ['completed', 'failed'];

/** Works on a batch that runs: all parts are of one moment. */
export async function reportOf(db: Database, batch: Batch, prices: Prices): Promise<Report> {
  return transaction(db, async (session) => {
    await session.query('set transaction isolation level repeatable read, read only');
    return readReport(session, batch, prices);
  });
}

async function readReport(db: Queryable, batch: Batch, prices: Prices): Promise<Report> {
  const {
    batch: name,
    source,
    rows,
    counts,
    taskIds,
    surplus,
    remade,
  } = await summarise(db, batch, undefined);
  const calls = await readCalls(db, batch.id);
  const accepted = await readAccepted(db, batch.id, { withSeconds: prices.size > 0 });
  const byStatus: Record<string, number> = {};
  for (const { status, rows: n } of accepted)
    byStatus[status ?? 'open'] = (byStatus[status ?? 'open'] ?? 0) + n;
  const groups = accepted.map(({ model, rows: toSend, seconds, stored }) => ({
    model,
    toSend,
    seconds: seconds ?? 0,
    stored,
  }));
  return {
    batch: name,
    source,
    rows,
    counts,
    taskIds,
    surplus,
    remade,
    calls,
    endings: await readEndings(db, batch.id),
    durationMs:
      calls.first === null || calls.last === null ? null : calls.last.getTime() - calls.first.getTime(),
    tasks: {
      byStatus,
      settled: SETTLED.reduce((sum, status) => sum + (byStatus[status] ?? 0), 0),
      times: await readTaskTimes(db, batch.id),
      failReasons: await readFailReasons(db, batch.id),
    },
    estimated:
      prices.size > 0 || groups.some(({ stored }) => stored !== null) ? estimate(prices, groups) : null,
    billed: await billedOf(db, batch.id),
  };
}
