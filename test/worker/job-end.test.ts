import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { DelayedError } from 'bullmq';
import { endJob } from '../../src/worker/job-end.ts';
import type { JobHands, TakenJob } from '../../src/worker/job-end.ts';
import { feed, unqueue } from '../../src/ledger/send/feed.ts';
import type { Refusal } from '../../src/ledger/send/refusal.ts';
import { createLog } from '../../src/core/log.ts';
import { jobId } from '../../src/worker/queue/queue.ts';
import { makeBatch, only } from '../contract/rows.ts';
import { onEvery } from '../contract/storages.ts';

onEvery(['postgres'], (storage) => {
  test('a job that has to wait is put off while its row is queued as this job; taken back meanwhile, it ends', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db);
    const scope = { origin, batches: null, lane: randomUUID() };
    const { submissionId, generation } = only(await feed(db, scope, 1));
    let putOff = 0;
    const job = {
      id: jobId(submissionId, generation),
      moveToDelayed: () => Promise.resolve((putOff += 1)),
    };
    const hands = { db, log: createLog('silent') } as unknown as JobHands;
    const refused = (more: Partial<Refusal>): Promise<unknown> => {
      const refusal: Refusal = { submissionId, reason: 'in-flight', waitMs: 60, ...more };
      return endJob({ job, token: 't' } as unknown as TakenJob, { kind: 'refused', refusal }, hands);
    };
    const kinds: Partial<Refusal>[] = [{ ofModel: true }, { reason: 'not-due' }];
    for (const kind of kinds) await assert.rejects(refused(kind), DelayedError);
    assert.equal(putOff, 2);

    await unqueue(db, [submissionId]);
    for (const kind of kinds) assert.match(JSON.stringify(await refused(kind)), /"not sent"/);
    assert.notEqual(only(await feed(db, scope, 1)).generation, generation);
    for (const kind of kinds) assert.match(JSON.stringify(await refused(kind)), /"not sent"/);
    assert.equal(putOff, 2);
  });
});
