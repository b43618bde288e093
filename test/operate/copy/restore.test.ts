import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { databaseOf } from '../../../src/database/incoming.ts';
import { openEmbedded } from '../../../src/database/embedded.ts';
import { backupLedger } from '../../../src/operate/copy/backup.ts';
import { restoreLedger } from '../../../src/operate/copy/restore.ts';
import { journalFolder, openJournal } from '../../../src/worker/journal/journal.ts';
import { replayJournals } from '../../../src/worker/journal/replay.ts';
import { claimFirst, makeBatch, storedOne } from '../../contract/rows.ts';
import { openStorage } from '../../contract/storages.ts';

test('a restored journal does not prove that an attempt never left: its worker may have sent it after the backup', async () => {
  const storage = await openStorage('embedded');
  after(() => storage.close());
  const { config, db, ledgerId } = storage;
  const made = await makeBatch(db);
  const journal = await openJournal(
    journalFolder(config.dataDir),
    { ledger: ledgerId, worker: 'w1', origin: made.origin },
    { reserve: 64 * 1024, flushAnswers: false },
  );
  const claim = await claimFirst(db, made);
  // The claim is committed, and its intent is not written yet.
  const file = join(config.dataDir, '..', 'b.ledger');
  const backup = await backupLedger(storage, config, file);
  assert.equal(backup.journals, 1);
  await journal.intend(claim);
  await journal.close();

  const restored = { ...config, dataDir: join(config.dataDir, '..', 'restored') };
  await restoreLedger(restored, file, { who: 'a test' });
  const copy = await openEmbedded(databaseOf(restored.dataDir));
  after(() => copy.end());
  const told = await replayJournals(copy, journalFolder(restored.dataDir), ledgerId);
  assert.deepEqual([told.journals, told.neverSent], [1, 0]);
  assert.equal((await storedOne(copy, claim.submissionId)).state, 'submitting');
});
