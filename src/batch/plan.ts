import { misfit } from './allowance.ts';
import { unreachable } from './deadline.ts';
import type { VidbatchError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { readOutline } from '../ledger/import/outline.ts';
import type { Group } from '../ledger/import/outline.ts';
import { openManifest } from '../manifest/manifest.ts';
import type { Understanding } from '../manifest/understanding.ts';
import { batchName, checkHeader, unfit, withCandidate } from './candidate.ts';
import type { Candidate } from './candidate.ts';
import { foresee } from './foresight.ts';
import { FreshRows } from './fresh-rows.ts';
import { rehearse } from './producer.ts';
import type { ProduceOptions } from './producer.ts';
import { checkRows, isError, placed } from '../manifest/row.ts';
import { outlook } from './outlook.ts';

/** What `submit` would make of a manifest. */
export interface Plan {
  batch: string;
  /** Null: there is no such batch yet. */
  batchId: number | null;
  rows: number;
  invalid: number;
  groups: Group[];
  /** Why `submit` would bring nothing of it in. */
  refused?: VidbatchError;
  columns: Understanding;
}

/** Holds a manifest against its batch, and changes nothing. Without a ledger, every row is new. */
export async function plan(db: Database | undefined, source: string, options: ProduceOptions): Promise<Plan> {
  const name = batchName(source, options.batch);
  return db === undefined
    ? planAlone(name, source, options)
    : withCandidate(db, source, { ...options, looks: true }, (candidate) => planOf(db, candidate, options));
}

/** Plans a manifest whose rows are already read. */
export async function planOf(db: Database, candidate: Candidate, options: ProduceOptions): Promise<Plan> {
  const { name, batch, read, staged, fresh } = candidate;
  const { rows, invalid, columns } = staged;
  let groups = fresh?.groups ?? (await readOutline(db, read, batch?.id ?? null));
  const refused = await rehearse(db, candidate, options, async (session, found, comparison) => {
    // With --rename, only the rehearsal knows which rows take new ids.
    if (options.rename === true && fresh === undefined) groups = await readOutline(session, read, found.id);
    return foresee(session, { batch: found, candidate, comparison, groups }, options);
  });
  return {
    batch: name,
    batchId: batch?.id ?? null,
    rows,
    invalid,
    groups,
    columns,
    ...(refused && { refused }),
  };
}

async function planAlone(name: string, source: string, options: ProduceOptions): Promise<Plan> {
  const manifest = await openManifest(source, options);
  if (options.keepGoing !== true) checkHeader(manifest, options.map);
  const fresh = new FreshRows();
  const { rows, faults, columns } = checkRows(manifest, options);
  for (const fault of faults) options.onFault?.(fault, manifest.name);
  const totals = { rows: 0, invalid: 0, broken: faults.filter(isError).length };
  for await (const row of rows) {
    totals.rows += 1;
    for (const fault of placed(row, manifest)) {
      options.onFault?.(fault, manifest.name);
      if (isError(fault) && fault.scope === 'file') totals.broken += 1;
    }
    if (row.request === undefined) totals.invalid += 1;
    else fresh.count(row.request, row.mode);
  }
  const alone: Plan = {
    batch: name,
    batchId: null,
    rows: totals.rows,
    invalid: totals.invalid,
    groups: fresh.groups,
    columns: columns(),
  };
  const refused = unfit(manifest.name, totals, options) ?? misfitAlone(alone, options);
  return refused === undefined ? alone : { ...alone, refused };
}

/** What a budget or a deadline refuses of a batch that is all new. */
function misfitAlone(alone: Plan, options: ProduceOptions): VidbatchError | undefined {
  const { budget, prices = new Map(), deadline, window = null } = options;
  const allowance = budget == null ? undefined : { budget, left: budget.amount };
  const refused = allowance && misfit(alone, prices, allowance);
  if (refused !== undefined || deadline === undefined || deadline.at === null || deadline.on === 'wait')
    return refused;
  const rowsOf = (offPeak: boolean): number =>
    alone.groups.reduce((sum, group) => sum + (group.offPeak === offPeak ? group.toSend : 0), 0);
  const seen = outlook(
    { normal: rowsOf(false), offPeak: rowsOf(true) },
    { batch: window, offPeak: deadline.offPeak ?? null },
    { now: Date.now(), perSecond: deadline.perSecond ?? null },
  );
  return unreachable(alone.batch, seen, deadline.at);
}
