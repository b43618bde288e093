import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { produce, rehearse, withCandidate } from '../../src/batch/producer.ts';
import { ManifestFile, row } from './manifest-file.ts';
import { LEDGERS, onEvery } from './storages.ts';

onEvery(LEDGERS, (storage) => {
  test('staged rows that another command has swept away do not look like an empty file', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row(1), row(2)]);
    await produce(db, file.path);
    await withCandidate(db, file.path, { vanished: 'prune' }, async (candidate) => {
      await db.query('delete from vidbatch.import');
      const refused = await rehearse(db, candidate, { vanished: 'prune' }, async () => undefined);
      assert.ok(refused instanceof VidbatchError);
      assert.equal(refused.code, 'IMPORT_LOST');
    });
    const { rows } = await db.query('select state from vidbatch.submission');
    assert.deepEqual(rows, [{ state: 'pending' }, { state: 'pending' }]);
  });
});
