import { realpath } from 'node:fs/promises';
import { putBudget } from './cost/budget.ts';
import { putBatchUnder } from './calendar.ts';
import { putDeadline } from './deadline.ts';
import type { Deadline } from './deadline.ts';
import type { Fault } from './fault.ts';
import { refusal, usageError } from './errors.ts';
import { batchNameOf, checkBatchName } from './identity.ts';
import { countPaid, createBatch, findBatch, lockBatch, rebind, updateLayout } from './ledger/batch.ts';
import type { Batch } from './ledger/batch.ts';
import type { Database, Session } from './ledger/database.ts';
import { transaction } from './ledger/database.ts';
import { analyseSubmissions, assignKeys, beginImport, endImport, merge } from './ledger/import.ts';
import { compare } from './ledger/comparison.ts';
import type { Comparison } from './ledger/comparison.ts';
import { rankRows, setPriority } from './ledger/priority.ts';
import { beginTrial, setRules } from './ledger/trial.ts';
import type { Rules } from './ledger/trial.ts';
import type { Merged } from './ledger/import.ts';
import { stageManifest } from './staging.ts';
import type { Staged } from './staging.ts';
import { countHeld } from './ledger/budget.ts';
import { adoptOrphans } from './ledger/orphan.ts';
import { priceRows } from './ledger/price.ts';
import { ensureProvider } from './ledger/provider.ts';
import type { Manifest } from './manifest/entry.ts';
import { openManifest } from './manifest/manifest.ts';
import type { ManifestOptions } from './manifest/manifest.ts';
import type { Money } from './cost/money.ts';
import { objection } from './objection.ts';
import { reached } from './point.ts';
import type { Prices } from './cost/prices.ts';
import type { RowOptions } from './row.ts';
import { quoted } from './shell-word.ts';
import type { Window } from './window.ts';

export interface ProduceOptions extends ManifestOptions, RowOptions, Rules {
  /** Name of the batch; default: the file's name without extension. */
  batch?: string;
  /** Invalid rows are recorded as such and the rest is sent; else one invalid row refuses the manifest. */
  keepGoing?: boolean;
  /** Pending rows that are gone from the file are cancelled, or stay. */
  vanished?: 'prune' | 'keep';
  /** Without ids: new rows beside vanished sent ones are new, not edits. */
  add?: boolean;
  /** Content that another batch has sent already is sent again. */
  again?: boolean;
  /** Where this batch's task ids belong. */
  origin?: string;
  /** A batch that has task ids of another provider goes on at this one. */
  rebind?: boolean;
  /** Its rows are sent in these hours only; null: at any time. Without it, as it is. */
  window?: Window | null;
  /** Until when it is to be sent. Without it, as it is. */
  deadline?: Deadline;
  /** Added to that of each of its rows; from -100 to 100, higher first. Without it, as it is. */
  priority?: number;
  /** What its rows cost at most. Without them, unsent rows keep the price that they have. */
  prices?: Prices;
  /** What it may cost, all its life; null: anything. Without it, as it is. */
  budget?: Money | null;
  /** Of the manifest that a person has seen and agreed to: if it is another one by now, it is refused. */
  digest?: string;
  onFault?: (fault: Fault, manifest: string) => void;
  onProgress?: (rows: number) => void;
  /** The last of the transaction that makes the rows the batch's: what it throws undoes all of it. */
  alongside?: (session: Session, batch: Batch) => Promise<void>;
}

/** What became of a manifest. */
export interface Produced extends Merged {
  batch: Batch;
  rows: number;
  known: number;
  invalid: number;
  warnings: number;
}

/** From here on the planner needs to know of the new rows, or the first claims scan them all. */
const MANY = 1000;

/**
 * Reads a manifest into the ledger: every row is checked first, then all become the batch's in one transaction, so
 * that it may be interrupted and repeated at any point. Sends nothing.
 * @throws VidbatchError exit 3 when a row is invalid (without `keepGoing`) or when what the file asks for could
 *   surprise a purse; exit 2 when the name belongs to another file, or a row has no price that its budget can hold.
 */
export async function produce(db: Database, source: string, options: ProduceOptions = {}): Promise<Produced> {
  const name = batchName(source, options.batch);
  const manifest = await openManifest(source, options);
  const path = source === '-' ? '-' : await realpath(source);
  const batch = await checkSource(db, name, path, manifest);
  const importId = await beginImport(db);
  reached('import-begun');
  try {
    const staged = await stageManifest(db, importId, manifest, { ...options, into: batch ?? { name } });
    if (batch !== undefined) checkSameFile(batch, path, staged);
    if (staged.rows === 0) {
      throw refusal('EMPTY_MANIFEST', `${manifest.name}: no rows`, 'A manifest needs at least one row.');
    }
    if (staged.invalid > 0 && options.keepGoing !== true) {
      throw refusal(
        'INVALID_ROWS',
        `${manifest.name}: ${staged.invalid} of ${staged.rows} rows are invalid; nothing was sent`,
        '--keep-going sends the valid rows and records the others as invalid.',
      );
    }
    if (options.digest !== undefined && options.digest !== staged.digest) {
      throw refusal(
        'MANIFEST_CHANGED',
        `${manifest.name}: was changed while you were asked; nothing was sent`,
        'The same command again shows what it says now.',
      );
    }
    await assignKeys(db, importId);
    reached('keys-assigned');
    const merged = await transaction(db, (session) =>
      mergeInto(session, { name, path, manifest, importId, staged }, options),
    );
    reached('batch-committed');
    await countHeld(db);
    if (merged.added + merged.updated >= MANY) await analyseSubmissions(db);
    return { ...merged, rows: staged.rows, invalid: staged.invalid, warnings: staged.warnings };
  } finally {
    await endImport(db, importId);
    reached('import-ended');
  }
}

/** The name of a manifest's batch. @throws VidbatchError exit 2 when there is none, or none that is allowed. */
export function batchName(source: string, given: string | undefined): string {
  if (given === undefined && source === '-') {
    throw usageError(
      'BATCH_NEEDED',
      'a manifest from standard input has no name',
      'Give one with --batch NAME.',
    );
  }
  const name = given ?? batchNameOf(source);
  checkBatchName(name);
  return name;
}

/**
 * The batch of that name, if there is one. What is only known of the rows (they may be an export of it) is still to be
 * checked, by `checkSameFile`.
 * @throws VidbatchError exit 2 when the name belongs to another file, and this one cannot be its export.
 */
export async function checkSource(
  db: Database,
  name: string,
  path: string,
  { format, exported }: Manifest,
): Promise<Batch | undefined> {
  const batch = await findBatch(db, name);
  if (batch !== undefined && format === 'csv' && exported !== true) checkSameFile(batch, path);
  return batch;
}

/** @throws VidbatchError exit 2 when the name belongs to another file, of which this one is no export. */
export function checkSameFile(
  batch: Batch,
  path: string,
  { own, others }: Pick<Staged, 'own' | 'others'> = { own: 0, others: [] },
): void {
  if (batch.source === path || (own > 0 && others.length === 0)) return;
  const [other] = others;
  const rows = other === undefined ? '' : `, and has rows that are exported from batch ${other}`;
  throw usageError(
    'BATCH_OF_OTHER_FILE',
    `batch ${batch.name} was made from ${batch.source}, not from ${path}${rows}`,
    'Name this one differently with --batch NAME.',
  );
}

interface Candidate {
  name: string;
  path: string;
  manifest: Manifest;
  importId: string;
  staged: Staged;
}

async function mergeInto(
  session: Session,
  { name, path, manifest, importId, staged }: Candidate,
  options: ProduceOptions,
): Promise<Merged & { batch: Batch; known: number }> {
  const { scheme } = staged;
  const layout = {
    format: manifest.format,
    delimiter: manifest.delimiter ?? null,
    columns: manifest.layout?.map((header) => options.map?.get(header) ?? header) ?? null,
  };
  const batch = await createBatch(session, { name, source: path, keyScheme: scheme, ...layout });
  await lockBatch(session, batch.id);
  // Another producer may have made it since it was looked for.
  checkSameFile(batch, path, staged);
  if (batch.keyScheme !== scheme) throw otherScheme(batch);
  await bindProvider(session, batch, options);
  const comparison: Comparison = await compare(session, importId, batch.id);
  if (batch.state === 'cancelled' && comparison.fresh + comparison.changed > 0) throw cancelled(batch);
  const [exportOf] = staged.others;
  const objected = objection(comparison, {
    name,
    keyScheme: scheme,
    ...options,
    ...(exportOf === undefined ? {} : { exportOf }),
  });
  if (objected !== undefined) throw objected;
  const merged = await merge(session, importId, batch.id, {
    prune: options.vanished === 'prune',
    exported: staged.own > 0,
  });
  if (options.prices !== undefined) await priceRows(session, batch.id, options.prices);
  await adoptOrphans(session, batch.id);
  await putBudget(session, batch, options.budget);
  // Its export has the same columns, or more: those are found in the rows.
  if (staged.own === 0) await updateLayout(session, batch.id, layout);
  if (options.window !== undefined) await putBatchUnder(session, batch.id, options.window);
  if (options.deadline !== undefined) await putDeadline(session, batch, options.deadline);
  if (options.priority !== undefined) await setPriority(session, batch.id, options.priority);
  await rankRows(session, batch.id);
  await setRules(session, batch.id, options);
  if (isTriedAnew(batch, options, merged)) await beginTrial(session, batch.id);
  await options.alongside?.(session, batch);
  reached('rows-merged');
  return { ...merged, batch, known: comparison.known };
}

/**
 * A stopped batch goes on when something about it has changed; canaries are asked for again with what is new. The same
 * command again changes nothing.
 */
function isTriedAnew(batch: Batch, { failShare, canaryRows }: ProduceOptions, merged: Merged): boolean {
  const fresh = merged.added + merged.updated;
  return (
    (failShare !== undefined && failShare !== batch.failShare) ||
    (canaryRows !== undefined && (canaryRows !== batch.canaryRows || (canaryRows !== null && fresh > 0))) ||
    (batch.state === 'stopped' && fresh + merged.pruned > 0)
  );
}

function cancelled(batch: Batch): Error {
  return refusal(
    'BATCH_CANCELLED',
    `batch ${batch.name} was cancelled; nothing was sent`,
    `\`vidbatch retry ${quoted(batch.name)}\` takes its rows up again; or give this manifest a batch of its own with --batch NAME.`,
  );
}

function otherScheme(batch: Batch): Error {
  return batch.keyScheme === 'id'
    ? refusal('KEYS_CHANGED', `batch ${batch.name} knows its rows by id, and this manifest has no ids`)
    : refusal(
        'KEYS_CHANGED',
        `batch ${batch.name} knows its rows by their content, and this manifest has ids`,
        'Remove the id column, or give the new manifest a batch of its own with --batch NAME.',
      );
}

async function bindProvider(session: Session, batch: Batch, options: ProduceOptions): Promise<void> {
  const { origin } = options;
  if (origin === undefined || batch.origin === origin) return;
  await ensureProvider(session, origin);
  const paid = batch.origin === null ? 0 : await countPaid(session, batch.id);
  if (paid > 0 && options.rebind !== true) {
    throw usageError(
      'OTHER_PROVIDER',
      `batch ${batch.name} belongs to ${batch.origin}, which may have accepted ${paid} of its rows; this is ${origin}`,
      'Set VIDBATCH_BASE_URL back, give this run a batch of its own with --batch NAME, or say --rebind.',
    );
  }
  await rebind(session, batch.id, origin);
  batch.origin = origin;
}
