import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { openJournal } from '../../src/journal.ts';
import type { Claim } from '../../src/ledger/claim.ts';
import { sweep } from '../../src/ledger/sweep.ts';
import { replayJournals } from '../../src/replay.ts';
import { bring, ManifestFile, ORIGIN, row, states, submissions } from '../contract/manifest-file.ts';
import { outcomeOf } from '../contract/rows.ts';
import { LEDGERS, onEvery } from '../contract/storages.ts';

onEvery(LEDGERS, (storage) => {
  test('rows that were sent before this copy of the ledger was made come back as sent, not as pending', async () => {
    const { db } = storage();
    const folder = await mkdtemp(join(tmpdir(), 'vidbatch-orphan-'));
    after(() => rm(folder, { recursive: true, force: true }));
    const file = await new ManifestFile().write(
      ['paid', 'unanswered', 'refused', 'new'].map((id) => row(id)),
    );
    const journal = await openJournal(
      folder,
      { ledger: 'this', worker: `before-${randomUUID()}`, origin: ORIGIN },
      { reserve: 1024, flushAnswers: false },
    );
    const claims = ['paid', 'unanswered', 'refused'].map((key, n): Claim => ({
      attemptId: randomUUID(),
      submissionId: 9_000_000 + n,
      batch: file.name,
      key,
      request: '{}',
      number: 1,
      epoch: 0,
      spent: 0,
      throttleLevel: 0,
      refusals: 0,
    }));
    const [paid, , refused] = claims as [Claim, Claim, Claim];
    for (const claim of claims) await journal.intend(claim);
    // What Postgres cannot hold may stand in any answer.
    await journal.answer(paid, outcomeOf('accepted', { taskId: 'task_\u0000\ud800\\u0000paid' }));
    await journal.answer(refused, outcomeOf('throttled'));
    await journal.close();

    const told = await replayJournals(db, folder, 'this');
    assert.deepEqual([told.orphans, told.restored, told.answers], [3, 0, 0]);
    assert.equal((await replayJournals(db, folder, 'this')).journals, 0, 'the ledger has them now');

    await bring(db, file);
    assert.deepEqual(await states(db, file), ['submitted', 'submitting', 'pending', 'pending']);
    await sweep(db);
    assert.deepEqual(await states(db, file), ['submitted', 'uncertain', 'pending', 'pending']);
    assert.match((await submissions(db, file))[0]?.taskId ?? '', /^task_.+paid$/);
    await bring(db, file);
    assert.deepEqual(await states(db, file), ['submitted', 'uncertain', 'pending', 'pending']);
  });
});
