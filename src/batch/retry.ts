import { transaction, type Database, type Queryable, type Session } from '../database/database.ts';
import { refuseCopied } from '../ledger/closed.ts';
import { logEvent, countStates, findBatch, lockBatch, type Batch } from '../ledger/batches.ts';
import { retry, countVersions, type Chosen, type Versions } from '../ledger/operator/retry.ts';
import { adoptUnmatched } from '../ledger/send/unmatched-attempts.ts';
import { crashPoint } from '../core/crash-points.ts';
import { usageError } from '../core/errors.ts';
import { assignKeys, beginImport, endImport, keepImport } from '../ledger/import/stage.ts';
import { openManifest } from '../manifest/manifest.ts';
import { brokenManifest, type CandidateOptions } from './candidate.ts';
import { profileFor } from './batch-profile.ts';
import { stageManifest, writeStaged, type ReadRow } from './staging.ts';
import { quoted } from '../core/text.ts';
import { formatCount } from '../core/units.ts';
import type { LoadedProfile } from '../provider/profile/load.ts';

/** Stages the rows of a manifest, compares them with those of a batch, and calls `take` before they are deleted. */
export async function withVersions<T>(
  db: Database,
  batch: Batch,
  source: string,
  { chosen, profile, ...options }: CandidateOptions & { chosen: Chosen },
  take: (versions: Versions, importId: string, named: LoadedProfile | undefined) => Promise<T>,
): Promise<T> {
  if (batch.keyScheme !== 'id') {
    throw usageError(
      'IDS_NEEDED',
      `batch ${batch.name} has no ids: its rows are identified by their content, so changed content makes another row`,
      'Submit the corrected manifest. If it is refused, check its new rows: --add sends all of them as new videos, and pays for them.',
    );
  }
  const loaded = await profileFor(db, batch, profile);
  const manifest = await openManifest(source, options);
  const importId = await beginImport(db);
  try {
    const write = (read: readonly ReadRow[]): Promise<void> => writeStaged(db, importId, read);
    const { rows, scheme, broken } = await stageManifest(db, manifest, write, {
      ...options,
      profile: loaded.profile,
      into: batch,
    });
    if (broken > 0) throw brokenManifest(manifest.name);
    if (scheme !== 'id')
      throw usageError(
        'KEYS_CHANGED',
        `batch ${batch.name} knows its rows by id, and ${source} has no ids`,
        'Restore its id column; --map id=<header> says which column that is.',
      );
    await assignKeys(db, importId, rows);
    const versions = await countVersions(db, batch.id, importId, chosen);
    // Staged rows that were deleted must not count as unchanged rows.
    await keepImport(db, importId);
    return await take(versions, importId, profile === undefined ? undefined : loaded);
  } finally {
    await endImport(db, importId);
  }
}

/**
 * `retry` of some rows makes a cancelled batch active again. A row in flight that comes back unsent would then be sent
 * again, although it was not chosen. Call it in the transaction of the retry.
 * @throws VidbatchError exit 2 while rows of it are in flight; exit 3 when the ledger has a copy, which sends.
 */
export async function checkReopening(
  db: Queryable,
  { id, name }: Pick<Batch, 'id' | 'name'>,
  chosen: Chosen,
): Promise<void> {
  await refuseCopied(db);
  if (Object.keys(chosen).length === 0) return;
  await lockBatch(db, id);
  if ((await findBatch(db, name))?.state !== 'cancelled') return;
  const { submitting } = await countStates(db, id);
  if (submitting === 0) return;
  throw usageError(
    'STILL_IN_FLIGHT',
    `batch ${name} was cancelled, and ${formatCount(submitting)} of its rows ${submitting === 1 ? 'is' : 'are'} still in flight: a row that comes back unsent would be sent again with the rows that you chose; nothing was changed`,
    `\`vidbatch status ${quoted(name)}\` shows when none is in flight; then run this command again. Without a choice of rows, \`retry\` takes all of them.`,
  );
}

/**
 * Rejected, exhausted and cancelled rows become pending again. The event log says who did it and which rows were meant,
 * in the same transaction. `asOf`: when a person saw them; rows that have moved since stay as they are.
 * @throws VidbatchError exit 2 as `checkReopening`, and when the batch was cancelled since the person saw it.
 */
export async function reopenRows(
  db: Database,
  batch: Batch,
  chosen: Chosen,
  { who, filters = '', asOf }: { who: string; filters?: string; asOf?: string },
): Promise<number> {
  return transaction(db, async (session) => {
    await checkReopening(session, batch, chosen);
    if (asOf !== undefined) await refuseCancelledSince(session, batch);
    const moved = await retry(session, batch.id, chosen, asOf);
    crashPoint('rows-retried');
    await logEvent(session, 'retry', `${moved} rows${filters}`, batch.id, who);
    // A journal may know that the present content of a row was sent. Only a pending row can take that answer.
    await adoptUnmatched(session, batch.id, false);
    return moved;
  });
}

/** `retry` of a cancelled batch also sends rows again that another person has just cancelled. */
async function refuseCancelledSince(session: Session, { id, name, state }: Batch): Promise<void> {
  await lockBatch(session, id);
  if (state === 'cancelled' || (await findBatch(session, name))?.state !== 'cancelled') return;
  throw usageError(
    'CHANGED_MEANWHILE',
    `batch ${name} was cancelled meanwhile: nothing was changed`,
    'Run the same command again: it says how many rows it would send.',
  );
}
