/**
 * The room `batch` turns the checked rows of a manifest into a batch of the ledger: import, plan, refusal of risky changes,
 * budget, retry and export.
 * It may import manifest, provider, ledger, database and core.
 */
import { refuseManifest, withCandidate, type Candidate, type CandidateOptions } from './candidate.ts';
import { mergeInto, type Look, type MergeOptions, type MergeResult } from './merge.ts';
import { VidbatchError } from '../core/errors.ts';
import { crashPoint } from '../core/crash-points.ts';
import { transaction, type Database } from '../database/database.ts';
import { countHeld } from '../ledger/money/budget.ts';
import { analyseSubmissions } from '../ledger/import/merge-rows.ts';
import type { Understanding } from '../manifest/columns.ts';

export interface ProduceOptions extends CandidateOptions, MergeOptions {}

/** The result of `produce`. */
export type Produced = MergeResult & {
  rows: number;
  invalid: number;
  warnings: number;
  columns: Understanding;
};

/** With more new rows, Postgres needs new statistics, or the first claims scan all of them. */
const MANY = 1000;

/**
 * Reads a manifest into the ledger. It checks every row, then merges all of them in one transaction, so it can be stopped
 * and repeated at any point. Sends nothing.
 * @throws VidbatchError exit 3 when a row is invalid (without `keepGoing`), or when a change could cost money unexpectedly;
 *   exit 2 when the name belongs to another file, or the budget cannot hold the price of a row.
 */
export async function produce(db: Database, source: string, options: ProduceOptions = {}): Promise<Produced> {
  return withCandidate(db, source, options, (candidate) => bringIn(db, candidate, options));
}

/** Merges the staged rows into their batch. @throws VidbatchError as `produce` does. */
export async function bringIn(
  db: Database,
  candidate: Candidate,
  options: ProduceOptions,
): Promise<Produced> {
  const { manifest, staged } = candidate;
  const refused = refuseManifest(manifest.name, staged, options);
  if (refused !== undefined) throw refused;
  const merged = await transaction(db, (session) => mergeInto(session, candidate, options));
  crashPoint('batch-committed');
  await countHeld(db);
  if (merged.added + merged.updated >= MANY) await analyseSubmissions(db);
  const { rows, invalid, warnings, columns } = staged;
  return { ...merged, rows, invalid, warnings, columns };
}

/** Rolls the transaction of a rehearsal back. */
class Undone extends Error {}

/**
 * Does what `produce` does, and rolls it back. Returns the refusal of `produce`, if there is one. `look` is called after the
 * comparison and before the merge.
 */
export async function rehearse(
  db: Database,
  candidate: Candidate,
  options: ProduceOptions,
  look: Look,
): Promise<VidbatchError | undefined> {
  const { manifest, staged } = candidate;
  const unfitting = refuseManifest(manifest.name, staged, options);
  if (unfitting !== undefined) return unfitting;
  try {
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
