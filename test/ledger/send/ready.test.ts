import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { cancel, pause, resume } from '../../../src/ledger/operator/pause.ts';
import { claim, claimLocked } from '../../../src/ledger/send/claim.ts';
import type { Database } from '../../../src/database/database.ts';
import { armProbe } from '../../../src/ledger/send/provider.ts';
import { readyBatches, type FeedScope, type ReadyBatch } from '../../../src/ledger/send/ready.ts';
import { setOffPeakWindow } from '../../../src/ledger/send/window-change.ts';
import {
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  recordOne,
  scopeOf,
  stored,
  tryAlone,
  windowAt,
  wishFor,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

function ready(
  db: Database,
  { origin }: Made,
  { most = 50, rows = 100, ...scope }: Partial<FeedScope> & { most?: number; rows?: number } = {},
): Promise<ReadyBatch[]> {
  return readyBatches(db, { origin, batches: null, ...scope }, { most, rows });
}

onEvery(SQL_LEDGERS, (storage) => {
  afterEach(() => setOffPeakWindow(storage().db, null));

  describe('a batch with rows that may be sent', () => {
    test('is returned with the facts that a job needs, and nothing is changed', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 7 });
      const before = await stored(db, made.rows);
      assert.deepEqual(await ready(db, made), [
        {
          id: made.id,
          name: made.name,
          rank: 0,
          alone: false,
          probing: false,
          halted: false,
          rows: 7,
          full: false,
        },
      ]);
      assert.deepEqual(await stored(db, made.rows), before);
      assert.equal((await claim(db, scopeOf(made), wishFor(made.id, 7))).length, 7, 'and no row is taken');
      assert.deepEqual(await ready(db, made), []);
    });

    test('counts its rows that are due, of all models and priorities, up to what was asked for', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 9 });
      await db.query(
        `update vidbatch.row_state s
            set model = 'viduq3p-' || line % 2, priority = line % 3,
                not_before = case when line = 9 then now() + interval '3 h' else '-infinity' end
           from vidbatch.row r where r.id = s.id and s.batch_id = $1`,
        [made.id],
      );
      assert.equal(only(await ready(db, made)).rows, 8);
      assert.equal(only(await ready(db, made, { rows: 5 })).rows, 5);
      await letTimePass(db, made, 3 * 3_600_000 + 1);
      assert.equal(only(await ready(db, made)).rows, 9);
    });

    test('of a run is one of its own batches', async () => {
      const { db } = storage();
      const mine = await makeBatch(db, { rows: 2 });
      await makeBatch(db, { rows: 2, origin: mine.origin });
      const batches = await ready(db, mine, { batches: [mine.id] });
      assert.deepEqual(
        batches.map(({ id }) => id),
        [mine.id],
      );
    });

    test('is found after some queries among many other batches', async () => {
      const { db } = storage();
      const first = await makeBatch(db);
      const all = [first.id];
      for (let n = 1; n < 8; n += 1) all.push((await makeBatch(db, { origin: first.origin })).id);
      const seen = new Set<number>();
      while (seen.size < all.length) {
        const some = await ready(db, first, { most: 3 });
        assert.equal(some.length, 3);
        for (const { id } of some) seen.add(id);
      }
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        all,
      );
    });

    test('is not hidden by batches of a lower rank', async () => {
      const { db } = storage();
      const low = await makeBatch(db, { rows: 5 });
      for (let n = 0; n < 5; n += 1) await makeBatch(db, { rows: 5, origin: low.origin });
      const high = await makeBatch(db, { origin: low.origin });
      await db.query('update vidbatch.row_state set priority = 1 where batch_id = $1', [high.id]);
      assert.deepEqual(
        (await ready(db, low, { most: 1 })).map(({ id, rank }) => [id, rank]),
        [[high.id, 1]],
      );
    });
  });

  describe('where only one may be in flight', () => {
    test('an unproven batch sends one row alone; while its canary is in flight it is not ready; an accept ends this', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 5, proven: false });
      const { alone, probing } = only(await ready(db, made));
      assert.deepEqual([alone, probing], [true, false]);
      const { claims } = await claimLocked(db, scopeOf(made), wishFor(made.id, 1));
      assert.deepEqual(await ready(db, made), [], 'while it is in flight');
      await recordOne(db, only(claims), 'rejected');
      assert.equal(only(await ready(db, made)).alone, true);
      const second = only((await claimLocked(db, scopeOf(made), wishFor(made.id, 1))).claims);
      await recordOne(db, second, 'accepted');
      const { alone: still, rows } = only(await ready(db, made));
      assert.deepEqual([still, rows], [false, 3]);
    });

    test('a proven batch beside it is not', async () => {
      const { db } = storage();
      const proven = await makeBatch(db, { rows: 3 });
      const fresh = await makeBatch(db, { rows: 3, proven: false, origin: proven.origin });
      const found = new Map((await ready(db, proven)).map(({ id, alone }) => [id, alone]));
      assert.deepEqual(
        found,
        new Map([
          [proven.id, false],
          [fresh.id, true],
        ]),
      );
    });

    test('a halt shuts all batches; while it is probed, each sends one row alone until the probe is in flight', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      await makeBatch(db, { rows: 3, origin: made.origin });
      await recordOne(db, await claimFirst(db, made), 'halted');
      assert.deepEqual(await ready(db, made), [], 'nothing while it stands');
      await armProbe(db, made.origin);
      const both = await ready(db, made);
      assert.deepEqual(
        both.map(({ alone, probing, halted }) => [alone, probing, halted]),
        [
          [true, true, false],
          [true, true, false],
        ],
      );
      const probe = only((await claimLocked(db, scopeOf(made), wishFor(made.id, 1))).claims);
      assert.deepEqual(await ready(db, made), []);
      await recordOne(db, probe, 'accepted');
      assert.deepEqual(
        (await ready(db, made)).map(({ alone, probing }) => [alone, probing]),
        [
          [false, false],
          [false, false],
        ],
      );
    });

    test('a batch says so if every row that may be sent has caused a halt', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [bad = 0, other = 0] = made.rows;
      const claimed = await tryAlone(db, made, bad);
      assert.ok(claimed);
      await recordOne(db, claimed, 'halted');
      await armProbe(db, made.origin);
      assert.equal(only(await ready(db, made)).halted, false);
      await db.query(`update vidbatch.row_state set not_before = now() + interval '2 h' where id = $1`, [
        other,
      ]);
      assert.equal(only(await ready(db, made)).halted, true, 'the other one waits for its time');
    });
  });

  describe('a shut gate leaves no batch', () => {
    const gates: [string, (db: Database, made: Made) => Promise<unknown>][] = [
      ['a paused batch', (db, { id }) => pause(db, id)],
      ['a cancelled batch', (db, { id }) => cancel(db, id)],
      [
        'a stopped batch',
        (db, { id }) =>
          db.query(`update vidbatch.batch set state = 'stopped', stop_reason = 'r' where id = $1`, [id]),
      ],
      [
        'a halt',
        (db, { origin }) =>
          db.query(`update vidbatch.provider set state = 'halted' where origin = $1`, [origin]),
      ],
      [
        'a throttled provider',
        (db, { origin }) =>
          db.query(
            `update vidbatch.provider set throttled_until = now() + interval '1 h' where origin = $1`,
            [origin],
          ),
      ],
      [
        'rows that are not due',
        (db, { id }) =>
          db.query(`update vidbatch.row_state set not_before = now() + interval '1 h' where batch_id = $1`, [
            id,
          ]),
      ],
      [
        'no provider yet',
        (db, { id }) => db.query('update vidbatch.batch set origin = null where id = $1', [id]),
      ],
      [
        'a batch that is over',
        (db, { id }) => db.query('update vidbatch.batch set not_after = now() where id = $1', [id]),
      ],
      [
        'a budget of which nothing is left',
        (db, { id }) =>
          db.query(`update vidbatch.batch set budget = 0, budget_currency = 'CNY', held = 0 where id = $1`, [
            id,
          ]),
      ],
    ];
    for (const [name, shut] of gates) {
      test(name, async () => {
        const { db } = storage();
        const made = await makeBatch(db, { rows: 2 });
        await shut(db, made);
        assert.deepEqual(await ready(db, made), []);
      });
    }

    test('a paused ledger', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      await pause(db, null);
      assert.deepEqual(await ready(db, made), []);
      await resume(db, null);
      assert.equal(only(await ready(db, made)).rows, 2);
    });

    test('a shut window of off-peak rows, but for the batch that has others', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { model: 'viduq3t-720p-offpeak' });
      const mixed = await makeBatch(db, { rows: 2, origin: made.origin });
      await db.query('update vidbatch.row_state set model = $2 where id = $1', [
        mixed.rows[0],
        'viduq3t-720p-offpeak',
      ]);
      await setOffPeakWindow(db, await windowAt(db, [3_600_000, 7_200_000]));
      assert.deepEqual(
        (await ready(db, made)).map(({ id, rows }) => [id, rows]),
        [[mixed.id, 1]],
      );
    });
  });

  describe('under limits', () => {
    test('a batch whose models all have to wait is full, and one that has another model is not', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const other = await makeBatch(db, { rows: 3, origin: made.origin });
      await db.query(`update vidbatch.row_state set model = 'viduq3p-1080p' where id = $1`, [other.rows[0]]);
      const limits = [{ model: 'viduq3p-720p', intervalMs: 60_000 }];
      assert.ok((await ready(db, made, { limits })).every(({ full }) => !full));
      assert.equal((await claim(db, scopeOf(made, { limits }), wishFor(made.id, 3))).length, 1);
      const full = new Map((await ready(db, made, { limits })).map((one) => [one.id, one.full]));
      assert.deepEqual([full.get(made.id), full.get(other.id)], [true, false]);
    });

    test('a batch is full while as many tasks run as may', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const limits = [{ model: '', inFlight: 1 }];
      const claimed = only(await claim(db, scopeOf(made, { limits }), wishFor(made.id, 3)));
      assert.equal(only(await ready(db, made, { limits })).full, true);
      await recordOne(db, claimed, 'rejected');
      assert.equal(only(await ready(db, made, { limits })).full, false);
    });
  });
});
