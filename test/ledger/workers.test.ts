import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  forgetPulses,
  forgetWorker,
  isFed,
  readWorkers,
  sayAlive,
  type WorkerFacts,
} from '../../src/ledger/workers.ts';
import { readAttention } from '../../src/operate/attention.ts';
import { makeBatch } from '../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';

const PULSE = { inFlight: 2, recorded: 40, perSecond: 8, draining: false };

onEvery(SQL_LEDGERS, (storage) => {
  test('a worker is alive while it says so, silent after some seconds, gone after more, and forgotten when it ends', async () => {
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

    await db.query(`update vidbatch.worker set seen_at = now() - interval '3 seconds' where id = $1`, [
      facts.id,
    ]);
    assert.deepEqual(
      (await readWorkers(db)).map(({ id, alive, silent }) => [id, alive, silent]),
      [
        [facts.id, true, true],
        ['host-2-def', true, false],
      ],
    );

    await db.query(`update vidbatch.worker set seen_at = now() - interval '20 seconds' where id = $1`, [
      facts.id,
    ]);
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

  test('rows have a worker while one is alive that sends all batches, or a run of their batch', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const other = await makeBatch(db, { origin: made.origin });
    const fed = async (): Promise<boolean[]> => [await isFed(db, made.id), await isFed(db, other.id)];
    const facts = { host: 'host', pid: 1, version: '0.1.0', origin: made.origin, concurrency: 8, limits: [] };
    assert.deepEqual(await fed(), [false, false]);
    await sayAlive(db, { ...facts, id: 'run', batches: [made.id] }, PULSE);
    assert.deepEqual(await fed(), [true, false]);
    await sayAlive(db, { ...facts, id: 'work', batches: null }, PULSE);
    assert.deepEqual(await fed(), [true, true]);
    await forgetPulses(db);
    assert.deepEqual(await fed(), [false, false]);
    await sayAlive(db, { ...facts, id: 'run', batches: [made.id] }, PULSE);
    assert.deepEqual(await fed(), [true, false]);
  });

  test('a worker of another provider sends none of the rows, and does not hide that they wait', async () => {
    const { db } = storage();
    const [made, other] = [await makeBatch(db), await makeBatch(db)];
    const facts = { host: 'host', pid: 1, version: '0.1.0', batches: null, concurrency: 8, limits: [] };
    await sayAlive(db, { ...facts, id: 'elsewhere', origin: other.origin }, PULSE);
    assert.deepEqual([await isFed(db, made.id), await isFed(db, other.id)], [false, true]);
    const waits = (await readAttention(db)).find(({ kind }) => kind === 'no-worker');
    assert.match(
      waits?.what ?? '',
      /^the workers that are alive send only other batches, or to another provider: /,
    );
  });
});
