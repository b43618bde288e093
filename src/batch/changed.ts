import { usageError } from '../core/errors.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Database } from '../database/database.ts';
import { assignKeys, stageRows } from '../ledger/import/merge-rows.ts';
import { beginImport, endImport, keepImport } from '../ledger/import/stage.ts';
import { countVersions } from '../ledger/operator/retry.ts';
import type { Chosen, Versions } from '../ledger/operator/retry.ts';
import { openManifest } from '../manifest/manifest.ts';
import { brokenManifest } from './candidate.ts';
import type { CandidateOptions } from './candidate.ts';
import { stageManifest } from './staging.ts';
import type { ReadRow } from './staging.ts';

/** A manifest's rows beside those of a batch: `take` is called while they are staged. */
export async function withVersions<T>(
  db: Database,
  batch: Batch,
  source: string,
  { chosen, ...options }: CandidateOptions & { chosen: Chosen },
  take: (versions: Versions, importId: string) => Promise<T>,
): Promise<T> {
  if (batch.keyScheme !== 'id') {
    throw usageError(
      'IDS_NEEDED',
      `batch ${batch.name} has no ids: its rows are known by their content, and a row of other content is another row`,
      'Submit the corrected manifest. If it is refused, check its new rows: --add sends all of them as new videos, and pays for them.',
    );
  }
  const manifest = await openManifest(source, options);
  const importId = await beginImport(db);
  try {
    const write = (read: readonly ReadRow[]): Promise<void> =>
      stageRows(
        db,
        importId,
        read.map(({ staged }) => staged),
      );
    const { rows, scheme, broken } = await stageManifest(db, manifest, write, { ...options, into: batch });
    if (broken > 0) throw brokenManifest(manifest.name);
    if (scheme !== 'id')
      throw usageError('KEYS_CHANGED', `batch ${batch.name} knows its rows by id, and ${source} has no ids`);
    await assignKeys(db, importId, rows);
    const versions = await countVersions(db, batch.id, importId, chosen);
    // Staged rows that were deleted must not count as unchanged rows.
    await keepImport(db, importId);
    return await take(versions, importId);
  } finally {
    await endImport(db, importId);
  }
}
