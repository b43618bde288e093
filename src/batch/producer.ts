/**
 * The room `batch` turns the checked rows of a manifest into a batch of the ledger: import, plan, consent to
 * changes, budget, retry and export.
 * It may import manifest, provider, ledger, database and core.
 */
import { unfit, withCandidate } from './candidate.ts';
import type { Candidate, CandidateOptions } from './candidate.ts';
import { mergeInto } from './merge.ts';
import type { Look, MergeOptions } from './merge.ts';
import { VidbatchError } from '../core/errors.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Database } from '../database/database.ts';
import { transaction } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { countHeld } from '../ledger/money/budget.ts';
import { analyseSubmissions } from '../ledger/import/merge-rows.ts';
import type { Merged } from '../ledger/import/merge-rows.ts';
import type { Understanding } from '../manifest/understanding.ts';

export interface ProduceOptions extends CandidateOptions, MergeOptions {}

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
  return withCandidate(db, source, options, (candidate) => bringIn(db, candidate, options));
}

/** Merges the staged rows into their batch. @throws VidbatchError as `produce` does. */
export async function bringIn(
  db: Database,
  candidate: Candidate,
  options: ProduceOptions,
): Promise<Produced> {
  const { manifest, staged } = candidate;
  const refused = unfit(manifest.name, staged, options);
  if (refused !== undefined) throw refused;
  const merged = await transaction(db, (session) => mergeInto(session, candidate, options));
  crashPoint('batch-committed');
  await countHeld(db);
  if (merged.added + merged.updated >= MANY) await analyseSubmissions(db);
  const { rows, invalid, warnings, columns } = staged;
  return { ...merged, rows, invalid, warnings, columns };
}

class Undone extends Error {}

/**
 * Does what `produce` does, looks, and undoes all of it: what this refuses, `produce` would refuse, in the same words.
 * `look` is asked when all has been compared; before anything is written.
 */
export async function rehearse(
  db: Database,
  candidate: Candidate,
  options: ProduceOptions,
  look: Look,
): Promise<VidbatchError | undefined> {
  const { manifest, staged } = candidate;
  const unfitting = unfit(manifest.name, staged, options);
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
