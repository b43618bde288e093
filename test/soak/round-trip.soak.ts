/** Hundreds of dirty manifests, each submitted, exported and submitted again. */
import { test } from 'node:test';
import * as fc from 'fast-check';
import { dirtyCsv, dirtyJson } from '../contract/dirty.ts';
import { asksForTheSame, bringIn, comesBack } from '../contract/round-trip.ts';
import { onEvery } from '../contract/storages.ts';

onEvery(['postgres'], (storage) => {
  for (const [what, manifest] of Object.entries({ CSV: dirtyCsv, JSON: dirtyJson })) {
    test(`an export of a manifest of ${what} comes back`, async () => {
      const { db } = storage();
      await fc.assert(
        fc.asyncProperty(manifest, async (dirty) => {
          await db.query('truncate vidbatch.batch, vidbatch.import cascade');
          const name = await bringIn(db, dirty);
          for (const format of ['csv', 'jsonl'] as const) await comesBack(db, name, format);
          for (const format of ['csv', 'jsonl'] as const) await asksForTheSame(db, name, format);
        }),
        { numRuns: 400 },
      );
    });
  }

  test('also one with a cell of ten million characters', async () => {
    const { db } = storage();
    const content = `model,prompt\nviduq3p-720p,"画${'=画,'.repeat(3_500_000)}"\n`;
    await comesBack(db, await bringIn(db, { extension: 'csv', content }), 'csv');
  });
});
