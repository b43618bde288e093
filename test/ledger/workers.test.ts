import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALIVE_MS, forgetWorker, readWorkers, sayAlive } from '../../src/ledger/workers.ts';
import type { WorkerFacts } from '../../src/ledger/workers.ts';
import { makeBatch } from '../contract/rows.ts';
import { LEDGERS, onEvery } from '../contract/storages.ts';

const PULSE = { inFlight: 2, recorded: 40, perSecond: 8, draining: false };

onEvery(LEDGERS, (storage) => {
  test('a worker is alive while it says so, gone when it is silent, and forgotten when it ends', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const facts: WorkerFacts = {
      id: 'host-1-abc',
      host: 'host',
      pid: 1,
      version: '0.1.0',
      origin: made.origin,
      batches: [made.id],
      concurrency: 8,
      limits: [{ model: '', intervalMs: 100 }],
    };
    await sayAlive(db, facts, PULSE);
    await sayAlive(db, { ...facts, id: 'host-2-def', batches: null }, PULSE);
    await sayAlive(db, facts, { ...PULSE, inFlight: 0, draining: true });
    const [first, second] = await readWorkers(db);
    assert.ok(first && second);
    assert.deepEqual([first.id, first.alive, first.draining, first.inFlight], [facts.id, true, true, 0]);
    assert.deepEqual([first.batches, second.batches], [[made.name], null]);
    assert.deepEqual(first.limits, facts.limits);

    await db.query(
      `update vidbatch.worker set seen_at = now() - $1 * interval '1 millisecond' where id = $2`,
      [ALIVE_MS, facts.id],
    );
    assert.deepEqual(
      (await readWorkers(db)).map(({ id, alive }) => [id, alive]),
      [
        ['host-2-def', true],
        [facts.id, false],
      ],
    );
    await db.query(`update vidbatch.worker set seen_at = now() - interval '2 days' where id = $1`, [
      facts.id,
    ]);
    await sayAlive(db, { ...facts, id: 'host-2-def', batches: null }, PULSE);
    await forgetWorker(db, 'host-2-def');
    assert.deepEqual(await readWorkers(db), []);
  });
});
