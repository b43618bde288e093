import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cancel, pause, resume } from '../../../src/ledger/batch.ts';
import { transaction } from '../../../src/database/database.ts';
import type { Database } from '../../../src/database/database.ts';
import {
  feed,
  freeAllLanes,
  keepLane,
  leaveLane,
  queuedSince,
  unqueue,
} from '../../../src/ledger/send/feed.ts';
import type { Fed } from '../../../src/ledger/send/feed.ts';
import { armProbe } from '../../../src/ledger/send/provider.ts';
import {
  claimAll,
  letTimePass,
  makeBatch,
  only,
  recordOne,
  stored,
  storedOne,
  tryAlone,
} from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

function feedAll(db: Database, { origin }: Made, room = 100, lane = `lane-${origin}`): Promise<Fed[]> {
  return feed(db, { lane, origin, batches: null }, room);
}

function idsOf(fed: readonly Fed[]): number[] {
  return fed.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b);
}

onEvery(LEDGERS, (storage) => {
  test('at most as many rows as there is room for, from the top, each once', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 7 });
    assert.deepEqual(idsOf(await feedAll(db, made, 3)), made.rows.slice(0, 3));
    assert.deepEqual(idsOf(await feedAll(db, made, 3)), made.rows.slice(3, 6));
    assert.deepEqual(idsOf(await feedAll(db, made, 3)), made.rows.slice(6));
    assert.deepEqual(await feedAll(db, made, 3), []);
  });

  test('a row comes with what a person wants to see of it', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    await db.query(`update vidbatch.submission set request = $2 where batch_id = $1`, [
      made.id,
      JSON.stringify({ model: 'viduq3p-720p', prompt: '长'.repeat(5000), image: 'data:secret' }),
    ]);
    assert.deepEqual(await feedAll(db, made), [
      {
        submissionId: made.rows[0],
        generation: 1,
        batch: made.name,
        key: 'k1',
        line: 1,
        model: 'viduq3p-720p',
        mode: 'text',
        preview: '长'.repeat(100),
      },
    ]);
  });

  test('batches take turns, however long they are', async () => {
    const { db } = storage();
    const long = await makeBatch(db, { rows: 1000 });
    const short = await makeBatch(db, { rows: 10, origin: long.origin });
    const first = await feedAll(db, long, 8);
    assert.equal(first.length, 8);
    assert.equal(first.filter(({ batch }) => batch === short.name).length, 4);
    const second = await feedAll(db, long, 100);
    assert.equal(
      second.filter(({ batch }) => batch === short.name).length,
      6,
      'all that is left of the short one',
    );
    assert.equal((await feedAll(db, long, 50)).length, 50, 'and then the long one has the room for itself');
  });

  test('a run takes rows of its own batches only', async () => {
    const { db } = storage();
    const mine = await makeBatch(db, { rows: 2 });
    await makeBatch(db, { rows: 2, origin: mine.origin });
    const fed = await feed(db, { lane: 'run', origin: mine.origin, batches: [mine.id] }, 10);
    assert.deepEqual(idsOf(fed), mine.rows);
  });

  test('many feeders at once never take the same row', async () => {
    const { db, another } = storage();
    const other = await another();
    const made = await makeBatch(db, { rows: 200 });
    const fed = await Promise.all(
      Array.from({ length: 8 }, (_, n) => feedAll(n % 2 === 0 ? db : other.db, made, 30, `lane-${n}`)),
    );
    const ids = idsOf(fed.flat());
    assert.equal(new Set(ids).size, ids.length);
    const rest: Fed[] = [];
    for (let more = await feedAll(db, made, 30); more.length > 0; more = await feedAll(db, made, 30))
      rest.push(...more);
    assert.deepEqual(idsOf([...fed.flat(), ...rest]), made.rows, 'and between them all of them');
    await other.close();
  });

  describe('where only one may be in flight', () => {
    test('an unproven batch gives one row, and the next only after it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 5, proven: false });
      const { submissionId } = only(await feedAll(db, made));
      assert.deepEqual(await feedAll(db, made), [], 'while it is queued');
      const claimed = await tryAlone(db, made, submissionId);
      assert.ok(claimed);
      assert.deepEqual(await feedAll(db, made), [], 'while it is in flight');
      await recordOne(db, claimed, 'rejected');
      const second = only(await feedAll(db, made));
      const again = await tryAlone(db, made, second.submissionId);
      assert.ok(again);
      await recordOne(db, again, 'accepted');
      assert.deepEqual(idsOf(await feedAll(db, made)), made.rows.slice(2), 'until one was accepted');
    });

    test('one of each unproven batch, and all of the proven ones beside them', async () => {
      const { db } = storage();
      const proven = await makeBatch(db, { rows: 3 });
      const fresh = await makeBatch(db, { rows: 3, proven: false, origin: proven.origin });
      const fed = await feedAll(db, proven);
      assert.deepEqual(idsOf(fed), [...proven.rows, fresh.rows[0] ?? 0]);
    });

    test('a halt that is tried out gives one row over all batches', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      await makeBatch(db, { rows: 3, origin: made.origin });
      await recordOne(db, only(await claimAll(db, made, made.rows.slice(2))), 'halted');
      assert.deepEqual(await feedAll(db, made), [], 'nothing while it stands');
      await armProbe(db, made.origin);
      const { submissionId } = only(await feedAll(db, made));
      assert.deepEqual(await feedAll(db, made), []);
      const trial = await tryAlone(db, made, submissionId);
      assert.ok(trial);
      assert.deepEqual(await feedAll(db, made), []);
      await recordOne(db, trial, 'accepted');
      assert.equal((await feedAll(db, made)).length, 5);
    });

    test('a halt is tried out with another row than the one that ran into it, if there is one', async () => {
      const { db } = storage();
      for (const proven of [true, false]) {
        const made = await makeBatch(db, { rows: 2, proven });
        const [bad = 0, good = 0] = made.rows;
        const claimed = await tryAlone(db, made, bad);
        assert.ok(claimed);
        await recordOne(db, claimed, 'halted');
        await armProbe(db, made.origin);
        assert.deepEqual(
          idsOf(await feedAll(db, made)),
          [good],
          'or one bad row would keep it shut for ever',
        );
        const trial = await tryAlone(db, made, good);
        assert.ok(trial);
        await recordOne(db, trial, 'rejected');
        assert.deepEqual(
          idsOf(await feedAll(db, made)),
          [bad],
          'when all others are settled, its turn comes',
        );
      }
    });
  });

  describe('a shut gate feeds nothing', () => {
    const gates: [string, (db: Database, made: Made) => Promise<unknown>][] = [
      ['a paused batch', (db, { id }) => pause(db, id)],
      ['a cancelled batch', (db, { id }) => cancel(db, id)],
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
          db.query(`update vidbatch.submission set not_before = now() + interval '1 h' where batch_id = $1`, [
            id,
          ]),
      ],
      [
        'no provider yet',
        (db, { id }) => db.query('update vidbatch.batch set origin = null where id = $1', [id]),
      ],
    ];
    for (const [name, shut] of gates) {
      test(name, async () => {
        const { db } = storage();
        const made = await makeBatch(db, { rows: 2 });
        await shut(db, made);
        assert.deepEqual(await feedAll(db, made), []);
      });
    }

    test('a paused ledger', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      await pause(db, null);
      assert.deepEqual(await feedAll(db, made), []);
      await resume(db, null);
      assert.equal((await feedAll(db, made)).length, 2);
    });

    test('a row is fed once its time has come', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await db.query(
        `update vidbatch.submission set not_before = now() + interval '1 h' where batch_id = $1`,
        [made.id],
      );
      await letTimePass(db, made, 3_600_001);
      assert.deepEqual(idsOf(await feedAll(db, made)), made.rows);
    });
  });

  describe('lanes', () => {
    test('rows of a dead lane are free again, those of a living one are not', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      for (const lane of ['a', 'b', 'c']) await keepLane(db, lane);
      const a = await feedAll(db, made, 2, 'a');
      await feedAll(db, made, 2, 'b');
      const c = await feedAll(db, made, 2, 'c');
      await db.query(`update vidbatch.lane set seen_at = seen_at - interval '31 s' where name = 'a'`);
      await leaveLane(db, 'c');
      await keepLane(db, 'b');
      const lanes = (await stored(db, made.rows)).map(({ lane }) => lane);
      assert.deepEqual(lanes, [null, null, 'b', 'b', null, null]);
      assert.deepEqual(idsOf(await feedAll(db, made, 10, 'b')), idsOf([...a, ...c]));
    });

    test('a feeder that keeps its lane keeps its rows', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 1 });
      await feedAll(db, made, 1, 'mine');
      await db.query(`update vidbatch.lane set seen_at = seen_at - interval '1 h' where name = 'mine'`);
      await keepLane(db, 'mine');
      assert.equal((await storedOne(db, made.rows[0] ?? 0)).lane, 'mine');
    });

    test('a row that was taken out is fed again under a new generation', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      await feedAll(db, made);
      await unqueue(db, made.rows.slice(0, 1));
      const again = only(await feedAll(db, made));
      assert.deepEqual([again.submissionId, again.generation], [made.rows[0], 2]);
    });

    test('a row in flight is not taken out of its lane', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await feedAll(db, made);
      await claimAll(db, made, made.rows);
      await unqueue(db, made.rows);
      await freeAllLanes(db);
      assert.equal((await storedOne(db, made.rows[0] ?? 0)).lane, `lane-${made.origin}`);
    });

    test('what has been queued for a while is listed with its generation, and whether it is due', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      await feedAll(db, made, 2, 'listed');
      assert.deepEqual(await queuedSince(db, 'listed', 3000), []);
      await letTimePass(db, made, 3001);
      await feedAll(db, made, 1, 'listed');
      await db.query(`update vidbatch.submission set not_before = now() where id = $1`, [made.rows[1]]);
      assert.deepEqual(
        (await queuedSince(db, 'listed', 3000)).toSorted((a, b) => a.submissionId - b.submissionId),
        made.rows.slice(0, 2).map((submissionId, n) => ({ submissionId, generation: 1, due: n === 0 })),
      );
    });

    test('freeing all of them frees every queued row', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      await feedAll(db, made, 2, 'x');
      await freeAllLanes(db);
      assert.deepEqual(idsOf(await feedAll(db, made)), made.rows);
    });
  });
});

onEvery(['postgres'], (storage) => {
  test('where there are more batches than room, no row is locked that is not taken', async () => {
    const { db } = storage();
    const origin = (await makeBatch(db)).origin;
    for (let batches = 1; batches < 8; batches += 1) await makeBatch(db, { rows: 2, origin });
    await transaction(db, async (session) => {
      assert.equal((await feed(session, { lane: 'many', origin, batches: null }, 3)).length, 3);
      const { rows } = await db.query<{ id: number }>(
        `select s.id from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
          where b.origin = $1 for update of s skip locked`,
        [origin],
      );
      assert.equal(rows.length, 15 - 3);
    });
  });
});
