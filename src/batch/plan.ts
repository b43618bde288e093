import { misfit } from './allowance.ts';
import { unreachable } from './deadline.ts';
import type { VidbatchError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { outline } from '../ledger/import/outline.ts';
import type { Group } from '../ledger/import/outline.ts';
import { openManifest } from '../manifest/manifest.ts';
import type { Understanding } from '../manifest/understanding.ts';
import { isOffPeak } from '../core/model.ts';
import { DEFAULT_SECONDS } from '../core/money/prices.ts';
import { batchName, checkHeader, rehearse, unfit, withCandidate } from './producer.ts';
import type { ProduceOptions } from './producer.ts';
import type { GenerationRequest } from '../manifest/request/body.ts';
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
  /** Of the manifest; null where there is no ledger to bring it into. */
  digest: string | null;
  /** Why `submit` would bring nothing of it in. */
  refused?: VidbatchError;
  columns: Understanding;
}

/** Holds a manifest against its batch, and changes nothing. Without a ledger, every row is new. */
export async function plan(db: Database | undefined, source: string, options: ProduceOptions): Promise<Plan> {
  const name = batchName(source, options.batch);
  return db === undefined ? planAlone(name, source, options) : planBeside(db, source, options);
}

async function planBeside(db: Database, source: string, options: ProduceOptions): Promise<Plan> {
  return withCandidate(db, source, options, async (candidate) => {
    const { name, batch, importId, staged } = candidate;
    const { rows, invalid, digest, columns } = staged;
    let groups = await outline(db, importId, batch?.id ?? null);
    const refused = await rehearse(db, candidate, options, async (session, { id }) => {
      // Rows that take new ids are known from here on.
      if (options.rename === true) groups = await outline(session, importId, id);
    });
    return {
      batch: name,
      batchId: batch?.id ?? null,
      rows,
      invalid,
      groups,
      digest,
      columns,
      ...(refused && { refused }),
    };
  });
}

async function planAlone(name: string, source: string, options: ProduceOptions): Promise<Plan> {
  const manifest = await openManifest(source, options);
  if (options.keepGoing !== true) checkHeader(manifest, options.map);
  const groups = new Map<string, Group>();
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
    else count(groups, row.request, row.mode ?? 'text');
  }
  const sorted = [...groups.values()].toSorted((a, b) =>
    `${a.model} ${a.mode}` < `${b.model} ${b.mode}` ? -1 : 1,
  );
  const alone: Plan = {
    batch: name,
    batchId: null,
    rows: totals.rows,
    invalid: totals.invalid,
    groups: sorted,
    digest: null,
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

function count(groups: Map<string, Group>, { model, duration }: GenerationRequest, mode: string): void {
  const key = `${model} ${mode}`;
  const length = duration ?? DEFAULT_SECONDS;
  const none = {
    model,
    mode,
    offPeak: isOffPeak(model),
    fresh: 0,
    known: 0,
    changed: 0,
    toSend: 0,
    seconds: 0,
    shortest: 0,
    stored: null,
    least: null,
  };
  const group = groups.get(key) ?? none;
  groups.set(key, {
    ...group,
    fresh: group.fresh + 1,
    toSend: group.toSend + 1,
    seconds: group.seconds + length,
    shortest: group.toSend === 0 ? length : Math.min(group.shortest, length),
  });
}
