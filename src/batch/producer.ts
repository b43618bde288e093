/**
 * The room `batch` turns the checked rows of a manifest into a batch of the ledger: import, plan, consent to
 * changes, budget, retry and export.
 * It may import manifest, provider, ledger, database and core.
 */
import { realpath } from 'node:fs/promises';
import { putBudget } from './budget.ts';
import { putBatchUnder } from '../ledger/send/calendar.ts';
import { putDeadline } from './deadline.ts';
import type { Deadline } from './deadline.ts';
import type { Fault } from '../manifest/fault.ts';
import { refusal, usageError, VidbatchError } from '../core/errors.ts';
import { batchNameOf, checkBatchName } from '../core/identity.ts';
import {
  countPaid,
  createBatch,
  findBatch,
  lockBatch,
  moveBatch,
  note,
  rebind,
  updateLayout,
} from '../ledger/batch.ts';
import type { Batch } from '../ledger/batch.ts';
import type { Database, Session } from '../database/database.ts';
import { transaction } from '../database/database.ts';
import {
  analyseSubmissions,
  assignKeys,
  beginImport,
  endImport,
  keepImport,
  merge,
} from '../ledger/import/import.ts';
import { compare } from '../ledger/import/comparison.ts';
import { compareIds, renameRows, SAME_IDS } from '../ledger/import/rename.ts';
import { rankRows, setPriority } from '../ledger/import/priority.ts';
import { beginTrial, setRules } from '../ledger/send/trial.ts';
import type { Rules } from '../ledger/send/trial.ts';
import type { Merged } from '../ledger/import/import.ts';
import { stageManifest } from './staging.ts';
import type { Staged } from './staging.ts';
import { countHeld, readBudget } from '../ledger/budget.ts';
import { adoptOrphans } from '../ledger/send/orphan.ts';
import { priceRows } from '../ledger/import/price.ts';
import { ensureProvider } from '../ledger/send/provider.ts';
import { missingColumns } from '../manifest/columns.ts';
import type { ColumnMap } from '../manifest/columns.ts';
import type { Manifest } from '../manifest/entry.ts';
import { openManifest } from '../manifest/manifest.ts';
import type { ManifestOptions } from '../manifest/manifest.ts';
import type { Money } from '../core/money/money.ts';
import { mapFlags } from '../manifest/understanding.ts';
import type { Understanding } from '../manifest/understanding.ts';
import { objection } from './objection.ts';
import { reached } from '../core/point.ts';
import type { Prices } from '../core/money/prices.ts';
import type { RowOptions } from '../manifest/row.ts';
import { count } from '../core/format.ts';
import { quoted } from '../core/shell-word.ts';
import type { Window } from '../core/time/window.ts';

export interface ProduceOptions extends ManifestOptions, RowOptions, Rules {
  /** Name of the batch; default: the file's name without extension. */
  batch?: string;
  /** Invalid rows are recorded as such and the rest is sent; else one invalid row refuses the manifest. */
  keepGoing?: boolean;
  /** Pending rows that are gone from the file are cancelled, or stay. */
  vanished?: 'prune' | 'keep';
  /** New ids with the content of rows that the batch has are these rows. */
  rename?: boolean;
  /** New rows that may be sent ones, edited or renamed, are new videos. */
  add?: boolean;
  /** Content that another batch has sent already is sent again. */
  again?: boolean;
  /** Who says so; it stands in the trail. */
  who?: string;
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
  /** Rows that took a new id. */
  renamed: number;
  columns: Understanding;
}

/** From here on the planner needs to know of the new rows, or the first claims scan them all. */
const MANY = 1000;

/**
 * Reads a manifest into the ledger: every row is checked first, then all become the batch's in one transaction, so
 * that it may be interrupted and repeated at any point. Sends nothing.
 * @throws VidbatchError exit 3 when a row is invalid (without `keepGoing`) or when what the file asks for could
 *   cost money unexpectedly; exit 2 when the name belongs to another file, or a row has no price that its budget can hold.
 */
export async function produce(db: Database, source: string, options: ProduceOptions = {}): Promise<Produced> {
  return withCandidate(db, source, options, async (candidate) => {
    const { staged } = candidate;
    checkStaged(candidate, options);
    const merged = await transaction(db, (session) => mergeInto(session, candidate, options));
    reached('batch-committed');
    await countHeld(db);
    if (merged.added + merged.updated >= MANY) await analyseSubmissions(db);
    const { rows, invalid, warnings, columns } = staged;
    return { ...merged, rows, invalid, warnings, columns };
  });
}

/** Reads and checks a manifest beside the ledger, for as long as `use` takes. */
export async function withCandidate<T>(
  db: Database,
  source: string,
  options: ProduceOptions,
  use: (candidate: Candidate) => Promise<T>,
): Promise<T> {
  const name = batchName(source, options.batch);
  const manifest = await openManifest(source, options);
  if (options.keepGoing !== true) checkHeader(manifest, options.map);
  const path = source === '-' ? '-' : await realpath(source);
  const batch = await findBatch(db, name);
  const explicit = options.batch !== undefined;
  // An export may lie anywhere; whether this is one is seen in the rows of JSON only.
  if (batch !== undefined && !explicit && manifest.format === 'csv' && manifest.exported !== true)
    checkSource(batch, path);
  const importId = await beginImport(db);
  reached('import-begun');
  try {
    const staged = await stageManifest(db, importId, manifest, { ...options, into: batch ?? { name } });
    if (batch !== undefined && !explicit) checkSource(batch, path, staged);
    await assignKeys(db, importId);
    reached('keys-assigned');
    return await use({ name, path, manifest, importId, staged, batch });
  } finally {
    await endImport(db, importId);
    reached('import-ended');
  }
}

/**
 * Without these columns no row of a manifest can be sent: one refusal, and not two faults for each row.
 * @throws VidbatchError exit 3
 */
export function checkHeader(manifest: Manifest, map: ColumnMap | undefined): void {
  const missing = missingColumns(manifest, map);
  if (missing === undefined) return;
  throw refusal(
    'HEADER_MISSING',
    `${manifest.name}: ${missing}`,
    '`vidbatch validate` with the same flags checks it again.',
  );
}

/** `--keep-going` leaves out rows, and not a column or the rest of a file. */
export function brokenManifest(name: string): VidbatchError {
  return refusal(
    'BROKEN_MANIFEST',
    `${name}: a fault may concern all of its rows; nothing was sent`,
    `\`vidbatch validate ${quoted(name)}\` shows it. --keep-going leaves out single rows only.`,
  );
}

/** Why no batch takes a manifest, whatever the ledger has. */
export function unfit(
  name: string,
  { rows, invalid, broken }: Pick<Staged, 'rows' | 'invalid' | 'broken'>,
  { keepGoing }: ProduceOptions,
): VidbatchError | undefined {
  if (broken > 0) return brokenManifest(name);
  if (rows === 0) return refusal('EMPTY_MANIFEST', `${name}: no rows`, 'A manifest needs at least one row.');
  if (invalid === 0 || keepGoing === true) return undefined;
  return refusal(
    'INVALID_ROWS',
    `${name}: ${count(invalid)} of ${rows === 1 ? '1 row' : `${count(rows)} rows`} ${invalid === 1 ? 'is' : 'are'} invalid; nothing was sent`,
    '--keep-going sends the valid rows and records the others as invalid.',
  );
}

function checkStaged({ manifest, staged }: Candidate, options: ProduceOptions): void {
  const refused = unfit(manifest.name, staged, options);
  if (refused !== undefined) throw refused;
  if (options.digest !== undefined && options.digest !== staged.digest) {
    throw refusal(
      'MANIFEST_CHANGED',
      `${manifest.name}: was changed while you were asked; nothing was sent`,
      'The same command again shows what it says now.',
    );
  }
}

class Undone extends Error {}

/**
 * Does what `produce` does, looks, and undoes all of it: what this refuses, `produce` would refuse, in the same words.
 * `look` is asked once the rows are known to be taken; before they are written.
 */
export async function rehearse(
  db: Database,
  candidate: Candidate,
  options: ProduceOptions,
  look: (session: Session, batch: Batch) => Promise<void>,
): Promise<VidbatchError | undefined> {
  try {
    checkStaged(candidate, options);
    await transaction(db, async (session) => {
      await mergeInto(session, candidate, options, look);
      throw new Undone();
    });
  } catch (error) {
    if (error instanceof VidbatchError) return error;
    if (!(error instanceof Undone)) throw error;
  }
  return undefined;
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
 * A name that nobody gave is that of the file, and another file of that name is most likely another manifest.
 * @throws VidbatchError exit 2 when the batch was made from another file, of which this one is no export.
 */
function checkSource(
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
    `--batch ${quoted(batch.name)} goes on with that batch, and sends what is new in it. If it is another manifest, --batch NAME makes a new batch, and pays for all of its rows.`,
  );
}

/** A manifest that is read and checked, and whose rows stand beside the ledger. */
export interface Candidate {
  name: string;
  path: string;
  manifest: Manifest;
  importId: string;
  staged: Staged;
  /** Of that name, when it was looked for. */
  batch: Batch | undefined;
}

type Taken = Merged & { batch: Batch; known: number; renamed: number };

/** `look`: this is a rehearsal. Then only what can be refused is written, and the caller undoes it. */
async function mergeInto(
  session: Session,
  candidate: Candidate,
  options: ProduceOptions,
  look?: (session: Session, batch: Batch) => Promise<void>,
): Promise<Taken> {
  const { importId, staged, path } = candidate;
  await keepImport(session, importId);
  const { batch, layout } = await openBatch(session, candidate, options);
  await bindProvider(session, batch, options);
  const renamed = options.rename === true ? await renameRows(session, importId, batch.id, options.who) : 0;
  const comparison = await compare(session, importId, batch.id);
  if (batch.state === 'cancelled' && comparison.fresh + comparison.changed > 0) throw cancelled(batch);
  const byId = batch.keyScheme === 'id';
  const ids = byId ? await compareIds(session, importId, batch.id, comparison) : SAME_IDS;
  const [exportOf] = staged.others;
  const objected = objection(
    { ...comparison, ...ids },
    {
      keyScheme: batch.keyScheme,
      ...options,
      name: batch.name,
      ...(batch.source === path || staged.own > 0 ? {} : { otherSource: batch.source }),
      ...(exportOf === undefined ? {} : { exportOf }),
      unsent: mapFlags(keptBefore(batch, staged.columns)),
    },
  );
  if (objected !== undefined) throw objected;
  await look?.(session, batch);
  const { known } = comparison;
  if (look !== undefined && !(await hangsOnRows(session, batch, options)))
    return { added: 0, updated: 0, pruned: 0, batch, known, renamed };
  const merged = await merge(session, importId, batch.id, {
    prune: options.vanished === 'prune',
    exported: staged.own > 0,
  });
  if (options.prices !== undefined) await priceRows(session, batch.id, options.prices);
  await adoptOrphans(session, batch.id);
  await putBudget(session, batch, options.budget);
  // Its export has the same columns, or more: those are found in the rows.
  if (staged.own === 0) {
    await updateLayout(session, batch.id, layout);
    await follow(session, batch, path, options.who);
  }
  if (options.window !== undefined) await putBatchUnder(session, batch.id, options.window);
  if (options.deadline !== undefined) await putDeadline(session, batch, options.deadline);
  if (options.priority !== undefined) await setPriority(session, batch.id, options.priority);
  await rankRows(session, batch.id);
  await setRules(session, batch.id, options);
  if (isTriedAnew(batch, options, merged)) await beginTrial(session, batch.id);
  await options.alongside?.(session, batch);
  reached('rows-merged');
  return { ...merged, batch, known, renamed };
}

/** The batch that the rows are to go into, locked: two producers never merge into it at once. */
async function openBatch(
  session: Session,
  { name, path, manifest, staged }: Candidate,
  options: ProduceOptions,
): Promise<{ batch: Batch; layout: Pick<Batch, 'format' | 'delimiter' | 'columns'> }> {
  const { scheme } = staged;
  const layout = {
    format: manifest.format,
    delimiter: manifest.delimiter ?? null,
    columns: manifest.layout?.map((header) => staged.columns.map.get(header) ?? header) ?? null,
  };
  const { id } = await createBatch(session, { name, source: path, keyScheme: scheme, ...layout });
  await lockBatch(session, id);
  // Another producer may have made it, or moved it, since it was looked for.
  const batch = await findBatch(session, name);
  if (batch === undefined) throw new Error(`batch ${name} vanished while it was locked`);
  if (options.batch === undefined) checkSource(batch, path, staged);
  if (batch.keyScheme !== scheme) throw otherScheme(batch, staged.columns);
  return { batch, layout };
}

/** A budget and a deadline are held against all rows of the batch, as they will be. */
async function hangsOnRows(
  session: Session,
  batch: Batch,
  { budget, deadline }: ProduceOptions,
): Promise<boolean> {
  if (deadline !== undefined && deadline.at !== null && deadline.on === 'fail') return true;
  return (budget === undefined ? await readBudget(session, batch.id) : budget) !== null;
}

/** A batch remembers where its manifest came from last. Standard input is no place to go back to. */
async function follow(session: Session, batch: Batch, path: string, who: string | undefined): Promise<void> {
  if (path === '-' || path === batch.source) return;
  await moveBatch(session, batch.id, path);
  await note(session, 'manifest', `${batch.source} → ${path}`, batch.id, who);
  batch.source = path;
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
    `\`vidbatch retry ${quoted(batch.name)}\` takes its rows up again. --batch NAME makes a new batch, and pays for all of its rows.`,
  );
}

function otherScheme(batch: Batch, columns: Understanding): Error {
  if (batch.keyScheme === 'id') {
    return refusal(
      'KEYS_CHANGED',
      `batch ${batch.name} knows its rows by id, and this manifest has no ids`,
      'Give it the id column that it had; --map id=<header> says which column that is.',
    );
  }
  const unsent = keptBefore(batch, columns);
  const understood = [...columns.understood].some(([, field]) => field === 'id');
  return refusal(
    'KEYS_CHANGED',
    `batch ${batch.name} knows its rows by their content, and this manifest has ids`,
    `${understood ? `Go on with ${mapFlags(unsent)}` : 'Submit it without the id column, or without its --map'}. In a new batch, all of its rows are new videos, and are paid.`,
  );
}

/** Headers that the batch kept and did not send, and that are understood now: header → header. */
function keptBefore(batch: Batch, { understood }: Understanding): Map<string, string> {
  return new Map(
    [...understood.keys()].flatMap((header) =>
      batch.columns?.includes(header) === true ? [[header, header]] : [],
    ),
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
      `batch ${batch.name} belongs to ${batch.origin}, which may have accepted ${paid} of its rows; VIDBATCH_BASE_URL is ${origin}`,
      'Set VIDBATCH_BASE_URL back. Or say --rebind: rows that still wait go to this provider. --batch NAME makes a new batch, and pays for all of its rows.',
    );
  }
  await rebind(session, batch.id, origin);
  batch.origin = origin;
}
