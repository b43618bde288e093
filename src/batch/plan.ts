import type { VidbatchError } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import type { Money } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';
import type { Database, Queryable } from '../database/database.ts';
import { hasUnmatchedAttempts, type Batch } from '../ledger/batches.ts';
import { findMisfit, readBudget } from '../ledger/money/budget.ts';
import type { Comparison } from '../ledger/import/comparison.ts';
import { readOutline, type Group } from '../ledger/import/outline.ts';
import type { Understanding } from '../manifest/columns.ts';
import { openManifest } from '../manifest/manifest.ts';
import { profileFor } from './batch-profile.ts';
import { budgetRefusal } from './budget.ts';
import { batchName, checkHeader, refuseManifest, withCandidate, type Candidate } from './candidate.ts';
import { refuseDeadline } from './deadline.ts';
import { FreshRows } from './intake.ts';
import type { MergeOptions } from './merge.ts';
import { readForecast } from './outlook.ts';
import { pricingOf } from '../provider/profile/pricing.ts';
import { rehearse, type ProduceOptions } from './producer.ts';
import { stageManifest, type ReadRow } from './staging.ts';

/** What `submit` would make of a manifest. */
export interface Plan {
  batch: string;
  /** Null: there is no such batch yet. */
  batchId: number | null;
  rows: number;
  invalid: number;
  groups: Group[];
  /** Why `submit` would refuse the whole manifest. */
  refused?: VidbatchError;
  waitsElsewhere?: Comparison['waitsElsewhere'];
  columns: Understanding;
}

/** Compares a manifest with its batch, and changes nothing. Without a ledger, every row is new. */
export async function plan(db: Database | undefined, source: string, options: ProduceOptions): Promise<Plan> {
  const name = batchName(source, options.batch);
  return db === undefined
    ? planWithoutLedger(name, source, options)
    : withCandidate(db, source, { ...options, planOnly: true }, (candidate) =>
        planOf(db, candidate, options),
      );
}

/** Plans a manifest whose rows are already read. */
export async function planOf(db: Database, candidate: Candidate, options: ProduceOptions): Promise<Plan> {
  const { name, batch, read, staged, fresh, pricing } = candidate;
  const batchId = batch?.id ?? null;
  let groups = fresh?.groups(pricing.prices) ?? (await readOutline(db, read, batchId, pricing));
  let waitsElsewhere: Plan['waitsElsewhere'];
  const refused = await rehearse(db, candidate, options, async (session, found, comparison) => {
    ({ waitsElsewhere } = comparison);
    // With --rename, only the rehearsal knows which rows take new ids.
    if (options.rename === true && fresh === undefined)
      groups = await readOutline(session, read, found.id, pricing);
    return foresee(session, { batch: found, candidate, comparison, groups }, options);
  });
  const { rows, invalid, columns } = staged;
  const more = defined({ refused, waitsElsewhere });
  return { batch: name, batchId, rows, invalid, groups, columns, ...more };
}

async function planWithoutLedger(name: string, source: string, options: ProduceOptions): Promise<Plan> {
  const manifest = await openManifest(source, options);
  if (options.keepGoing !== true) checkHeader(manifest, options.map);
  const { profile } = await profileFor(undefined, undefined, options.profile);
  const { prices, seconds } = pricingOf(profile, options.prices);
  const fresh = new FreshRows(seconds);
  const count = (rows: readonly ReadRow[]): Promise<void> => Promise.resolve(fresh.add(rows));
  const staging = { ...options, profile, into: { name }, numbering: true };
  const staged = await stageManifest(undefined, manifest, count, staging);
  const groups = fresh.groups(prices);
  const refused =
    refuseManifest(manifest.name, staged, options) ??
    (options.budget == null ? undefined : refuseBudget(name, fresh, options.budget, prices)) ??
    (await refuseLate(undefined, { name, batchId: null, groups }, options));
  const { rows, invalid, columns } = staged;
  return { batch: name, batchId: null, rows, invalid, groups, columns, ...(refused && { refused }) };
}

/** Refuses rows of a new batch that its budget cannot hold. */
function refuseBudget(
  name: string,
  fresh: FreshRows,
  { currency }: Money,
  prices: Prices,
): VidbatchError | undefined {
  const misfit = fresh.misfit(prices, currency);
  return misfit && budgetRefusal(name, currency, misfit);
}

/** A batch as it is, and what a manifest would make of it. */
interface Prospect {
  batch: Batch;
  candidate: Candidate;
  comparison: Comparison;
  groups: readonly Group[];
}

/**
 * Compares a budget and a strict deadline with the rows that would wait after the merge, without the merge. False: only
 * the merge shows which rows these are.
 * @throws VidbatchError what the merge would throw.
 */
export async function foresee(db: Queryable, prospect: Prospect, options: MergeOptions): Promise<boolean> {
  const { batch, candidate, comparison, groups } = prospect;
  const { deadline } = options;
  const budget = options.budget === undefined ? await readBudget(db, batch.id) : options.budget;
  if (budget === null && (deadline?.at == null || deadline.on === 'wait')) return true;
  if (comparison.vanishedPending.count + comparison.vanishedPaid > 0) return false;
  if (candidate.fresh === undefined && (await hasUnmatchedAttempts(db, batch.name))) return false;
  if (budget !== null && !(await hasPrices(db, prospect, budget))) return false;
  const refused = await refuseLate(db, { name: batch.name, batchId: batch.id, groups }, options);
  if (refused !== undefined) throw refused;
  return true;
}

/** True if each row certainly has a price. @throws VidbatchError exit 2 when a row of a new batch has none. */
async function hasPrices(
  db: Queryable,
  { batch, candidate, groups }: Prospect,
  budget: Money,
): Promise<boolean> {
  const { prices, replaces } = candidate.pricing;
  if (candidate.fresh !== undefined) {
    const refused = refuseBudget(batch.name, candidate.fresh, budget, prices);
    if (refused !== undefined) throw refused;
    return true;
  }
  // Rows that wait take their price from the named price file. Without a file, they keep their price, and new rows have the
  // price of the profile.
  const priced = groups
    .filter(({ toSend }) => toSend > 0)
    .every(
      ({ model, fresh, changed }) =>
        (!replaces && fresh + changed === 0) || prices.get(model)?.currency === budget.currency,
    );
  return priced && (await findMisfit(db, batch.id, budget.currency)) === undefined;
}

/** Refuses a strict deadline that the rows to send cannot meet. */
async function refuseLate(
  db: Queryable | undefined,
  { name, ...plan }: Pick<Plan, 'batchId'> & { name: string; groups: readonly Group[] },
  { deadline, window }: MergeOptions,
): Promise<VidbatchError | undefined> {
  if (deadline?.at == null || deadline.on === 'wait') return undefined;
  const asked = defined({ perSecond: deadline.perSecond, batch: window, offPeak: deadline.offPeak });
  return refuseDeadline(name, await readForecast(db, plan, asked), deadline.at);
}
