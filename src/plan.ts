import { realpath } from 'node:fs/promises';
import type { Database } from './ledger/database.ts';
import { assignKeys, beginImport, endImport } from './ledger/import.ts';
import { outline } from './ledger/outline.ts';
import type { Group } from './ledger/outline.ts';
import { openManifest } from './manifest/manifest.ts';
import { isOffPeak } from './model.ts';
import { DEFAULT_SECONDS } from './cost/prices.ts';
import { batchName, checkSameFile, checkSource } from './producer.ts';
import type { ProduceOptions } from './producer.ts';
import type { GenerationRequest } from './request/body.ts';
import { checkRows } from './row.ts';
import { stageManifest } from './staging.ts';

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
}

/** Holds a manifest against its batch, and changes nothing. Without a ledger, every row is new. */
export async function plan(db: Database | undefined, source: string, options: ProduceOptions): Promise<Plan> {
  const name = batchName(source, options.batch);
  return db === undefined ? planAlone(name, source, options) : planBeside(db, name, source, options);
}

async function planBeside(
  db: Database,
  name: string,
  source: string,
  options: ProduceOptions,
): Promise<Plan> {
  const manifest = await openManifest(source, options);
  const path = source === '-' ? '-' : await realpath(source);
  const batch = await checkSource(db, name, path, manifest);
  const importId = await beginImport(db);
  try {
    const staged = await stageManifest(db, importId, manifest, { ...options, into: batch ?? { name } });
    if (batch !== undefined) checkSameFile(batch, path, staged);
    await assignKeys(db, importId);
    const { rows, invalid, digest } = staged;
    const groups = await outline(db, importId, batch?.id ?? null);
    return { batch: name, batchId: batch?.id ?? null, rows, invalid, groups, digest };
  } finally {
    await endImport(db, importId);
  }
}

async function planAlone(name: string, source: string, options: ProduceOptions): Promise<Plan> {
  const manifest = await openManifest(source, options);
  for (const fault of manifest.faults) options.onFault?.(fault, manifest.name);
  const groups = new Map<string, Group>();
  const totals = { rows: 0, invalid: manifest.faults.filter(({ severity }) => severity === 'error').length };
  for await (const row of checkRows(manifest, options).rows) {
    totals.rows += 1;
    for (const fault of row.faults) options.onFault?.(fault, manifest.name);
    if (row.request === undefined) totals.invalid += 1;
    else count(groups, row.request, row.mode ?? 'text');
  }
  const sorted = [...groups.values()].toSorted((a, b) =>
    `${a.model} ${a.mode}` < `${b.model} ${b.mode}` ? -1 : 1,
  );
  return { batch: name, batchId: null, ...totals, groups: sorted, digest: null };
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
