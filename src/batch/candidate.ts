import { realpath } from 'node:fs/promises';
import { Intake, type FreshRows } from './intake.ts';
import { profileFor } from './batch-profile.ts';
import { stageManifest, type Staged } from './staging.ts';
import { refusal, usageError, type VidbatchError } from '../core/errors.ts';
import { formatCount, plural } from '../core/units.ts';
import { batchNameOf, checkBatchName } from '../core/identity.ts';
import { quoted } from '../core/text.ts';
import type { Database } from '../database/database.ts';
import { findBatch, hasUnmatchedAttempts, type Batch } from '../ledger/batches.ts';
import type { ReadRows } from '../ledger/import/known.ts';
import { changedError } from '../manifest/bytes.ts';
import { missingColumns, type ColumnMap } from '../manifest/columns.ts';
import type { Manifest, Fault } from '../manifest/entry.ts';
import { openManifest, type ManifestOptions } from '../manifest/manifest.ts';
import type { RowOptions } from '../manifest/check-rows.ts';
import type { LoadedProfile } from '../provider/profile/load.ts';
import { pricingOf } from '../provider/profile/pricing.ts';
import type { Prices, Pricing } from '../core/money/prices.ts';

/** How a manifest is read, and into which batch. */
export interface CandidateOptions extends ManifestOptions, Omit<RowOptions, 'profile'> {
  /** Of a price file. Absent: rows keep their prices, and those without one have that of the profile. */
  prices?: Prices;
  /** What its provider looks like: the name of a built-in profile, or a file. Default: as the batch remembers it. */
  profile?: string;
  /** Name of the batch; default: the file's name without extension. */
  batch?: string;
  /** Valid rows are sent beside invalid ones. Without it, one invalid row refuses the manifest. */
  keepGoing?: boolean;
  /** The rows are for a plan, and never merged. */
  planOnly?: boolean;
  onFault?: (fault: Fault, manifest: string) => void;
  onProgress?: (rows: number) => void;
}

/** A manifest that was read and checked. Its new and changed rows stay in the staging table until `close`. */
export interface Candidate {
  name: string;
  path: string;
  manifest: Manifest;
  read: ReadRows;
  staged: Staged;
  /** The profile by which its rows were checked; undefined: no profile was named, and that of the batch counts. */
  named: LoadedProfile | undefined;
  /** How its rows get their prices. */
  pricing: Pricing;
  /** For a plan: it is never merged. */
  planOnly: boolean;
  /** For a plan of a batch that does not exist yet: its rows. */
  fresh?: FreshRows;
  /** The batch when the manifest was read; undefined: it did not exist. */
  batch: Batch | undefined;
  /** Deletes the staged rows. Idempotent. */
  close(): Promise<void>;
}

/**
 * Reads, checks and stages a manifest. `opened`: the manifest, when it is already open.
 * @throws VidbatchError exit 2 or 3 when it cannot be read as a whole, or the name belongs to another file.
 */
export async function openCandidate(
  db: Database,
  source: string,
  options: CandidateOptions,
  opened?: Manifest,
): Promise<Candidate> {
  const name = batchName(source, options.batch);
  const manifest = opened ?? (await openManifest(source, options));
  if (options.keepGoing !== true) checkHeader(manifest, options.map);
  const path = await pathOf(source, manifest);
  const batch = await findBatch(db, name);
  const explicit = options.batch !== undefined;
  const { profile, ...asked } = options;
  const loaded = await profileFor(db, batch, profile);
  // An export may be in any folder. In JSON, only the rows show whether a file is an export.
  if (batch !== undefined && !explicit && manifest.format === 'csv' && manifest.exported !== true)
    checkSource(batch, path);
  const planOnly = options.planOnly === true;
  const countOnly = planOnly && batch === undefined && !(await hasUnmatchedAttempts(db, name));
  const intake = new Intake(db, batch, {
    planOnly,
    countOnly,
    seconds: loaded.profile.fields.defaultDuration,
  });
  const close = (): Promise<void> => intake.close();
  try {
    const staged = await stageManifest(db, manifest, (rows) => intake.take(rows), {
      ...asked,
      profile: loaded.profile,
      into: batch ?? { name },
      // Exported rows have numbers, and the other rows take the free ones. In JSON, only the rows show whether they are exported.
      numbering: intake.fresh !== undefined || (manifest.format === 'csv' && manifest.exported !== true),
    });
    if (batch !== undefined && !explicit) checkSource(batch, path, staged);
    const read = await intake.finish();
    const { fresh } = intake;
    const named = profile === undefined ? undefined : loaded;
    const pricing = pricingOf(loaded.profile, options.prices);
    const rest = { pricing, planOnly, ...(fresh && { fresh }), close };
    return { name, path, manifest, read, staged, named, batch, ...rest };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The path of a manifest; `-`: it has none, and cannot be opened again. */
async function pathOf(source: string, manifest: Manifest): Promise<string> {
  if (source === '-') return '-';
  try {
    return await realpath(source);
  } catch {
    // A pipe of the shell, `<(…)`, has no path.
    if (await manifest.isChanged()) throw changedError(source);
    return '-';
  }
}

/** Opens a candidate, and closes it when `use` ends. */
export async function withCandidate<T>(
  db: Database,
  source: string,
  options: CandidateOptions,
  use: (candidate: Candidate) => Promise<T>,
): Promise<T> {
  const candidate = await openCandidate(db, source, options);
  try {
    return await use(candidate);
  } finally {
    await candidate.close();
  }
}

/**
 * Refuses a file that changed after a person agreed to its rows.
 * @throws VidbatchError exit 3
 */
export async function checkUnchanged({ manifest }: Candidate): Promise<void> {
  if (!(await manifest.isChanged())) return;
  throw refusal(
    'MANIFEST_CHANGED',
    `${manifest.name}: the file changed while you were asked; nothing was sent`,
    'Run the same command again to see the rows that it has now.',
  );
}

/**
 * Refuses a manifest without the required columns: one refusal is clearer than two faults for each row.
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

/** `--keep-going` leaves out single rows. It does not leave out a column or the rest of a file. */
export function brokenManifest(name: string): VidbatchError {
  return refusal(
    'BROKEN_MANIFEST',
    `${name}: a fault may concern all of its rows; nothing was sent`,
    `\`vidbatch validate ${quoted(name)}\` shows it. --keep-going leaves out single rows only.`,
  );
}

/** Refuses a manifest that no batch accepts. */
export function refuseManifest(
  name: string,
  { rows, invalid, broken }: Pick<Staged, 'rows' | 'invalid' | 'broken'>,
  { keepGoing }: CandidateOptions,
): VidbatchError | undefined {
  if (broken > 0) return brokenManifest(name);
  if (rows === 0) return refusal('EMPTY_MANIFEST', `${name}: no rows`, 'A manifest needs at least one row.');
  if (invalid === 0 || keepGoing === true) return undefined;
  return refusal(
    'INVALID_ROWS',
    `${name}: ${formatCount(invalid)} of ${plural(rows, 'row')} ${invalid === 1 ? 'is' : 'are'} invalid; nothing was sent`,
    invalid === rows
      ? `\`vidbatch validate ${quoted(name)} --all\` shows every fault.`
      : '--keep-going sends the valid rows and records the others as invalid.',
  );
}

/** The name of a manifest's batch. @throws VidbatchError exit 2 when there is no name, or it is not allowed. */
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
 * Without `--batch`, the file gives the name. Another file of the same name is probably another manifest.
 * @throws VidbatchError exit 2 when the batch was made from another file, and this file is not an export of the batch.
 */
export function checkSource(
  batch: Batch,
  path: string,
  { own, others }: Pick<Staged, 'own' | 'others'> = { own: 0, others: [] },
): void {
  if (batch.source === path || (own > 0 && others.length === 0)) return;
  const [other] = others;
  const rows = other === undefined ? '' : `; the file has rows that were exported from batch ${other}`;
  throw usageError(
    'BATCH_OF_OTHER_FILE',
    `batch ${batch.name} was made from ${batch.source}, not from ${path}${rows}`,
    `--batch ${quoted(batch.name)} continues that batch, and sends its new rows. If it is another manifest, --batch NAME makes a new batch, and pays for all of its rows.`,
  );
}
