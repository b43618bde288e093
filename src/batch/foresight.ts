import { misfitting } from './budget.ts';
import type { Candidate } from './candidate.ts';
import { unreachable } from './deadline.ts';
import type { MergeOptions } from './merge.ts';
import { outlook, windowsOf } from './outlook.ts';
import type { Money } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';
import type { Queryable } from '../database/database.ts';
import { hasUnmatchedAttempts, readSendRate } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { findMisfit, readBudget } from '../ledger/money/budget.ts';
import type { Comparison } from '../ledger/import/comparison.ts';
import type { Group } from '../ledger/import/outline.ts';
import { ledgerNow } from '../ledger/send/window.ts';

/** A batch as it is, and what a manifest would make of it. */
export interface Prospect {
  batch: Batch;
  candidate: Candidate;
  comparison: Comparison;
  groups: readonly Group[];
}

/**
 * Holds a budget and a strict deadline against the rows that would wait after the merge, without merging them. False: that
 * depends on rows which only a merge shows.
 * @throws VidbatchError what the merge would throw.
 */
export async function foresee(db: Queryable, prospect: Prospect, options: MergeOptions): Promise<boolean> {
  const { batch, candidate, comparison } = prospect;
  const { deadline } = options;
  const strict = deadline !== undefined && deadline.at !== null && deadline.on === 'fail';
  const budget = options.budget === undefined ? await readBudget(db, batch.id) : options.budget;
  if (budget === null && !strict) return true;
  const { vanishedPending, vanishedPaid } = comparison;
  const exact = vanishedPending.count + vanishedPaid === 0;
  if (!exact || (candidate.fresh === undefined && (await hasUnmatchedAttempts(db, batch.name)))) return false;
  if (budget !== null && !(await fits(db, prospect, budget, options.prices))) return false;
  if (strict) await checkDeadline(db, prospect, options);
  return true;
}

/** False: it is not known that all prices are. @throws VidbatchError of a new batch, exit 2 */
async function fits(
  db: Queryable,
  { batch, candidate, groups }: Prospect,
  { currency }: Money,
  prices: Prices | undefined,
): Promise<boolean> {
  if (candidate.fresh !== undefined) {
    const misfit = candidate.fresh.misfit(prices ?? new Map(), currency);
    if (misfit !== undefined) throw misfitting(batch.name, currency, misfit);
    return true;
  }
  // Rows that are not sent take their price from the file that is named; without one, they keep theirs.
  const priced = groups
    .filter(({ toSend }) => toSend > 0)
    .every(({ model, fresh, changed }) =>
      prices === undefined ? fresh + changed === 0 : prices.get(model)?.currency === currency,
    );
  return priced && (await findMisfit(db, batch.id, currency)) === undefined;
}

async function checkDeadline(
  db: Queryable,
  { batch, groups }: Prospect,
  { deadline, window }: MergeOptions,
): Promise<void> {
  if (deadline === undefined || deadline.at === null) return;
  const rowsOf = (offPeak: boolean): number =>
    groups.reduce((sum, group) => sum + (group.offPeak === offPeak ? group.toSend : 0), 0);
  const { offPeak } = deadline;
  const seen = outlook(
    { normal: rowsOf(false), offPeak: rowsOf(true) },
    {
      ...(await windowsOf(db, batch.id)),
      ...(window === undefined ? {} : { batch: window }),
      ...(offPeak === undefined ? {} : { offPeak }),
    },
    { now: await ledgerNow(db), perSecond: deadline.perSecond ?? (await readSendRate(db, batch.id)) },
  );
  const refused = unreachable(batch.name, seen, deadline.at);
  if (refused !== undefined) throw refused;
}
