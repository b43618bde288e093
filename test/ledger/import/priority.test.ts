import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { feed } from '../../../src/ledger/send/feed.ts';
import type { Fed } from '../../../src/ledger/send/feed.ts';
import { workLeft } from '../../../src/ledger/send/left.ts';
import { rankRows, setPriority } from '../../../src/ledger/import/priority.ts';
import { makeRoom, takeTurns, withdraw } from '../../../src/ledger/send/withdrawal.ts';
import { letTimePass, makeBatch, stored } from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

/** Gives the rows of a batch these priorities, in order; the rest keep theirs. */
async function prefer(db: Database, made: Made, priorities: readonly number[]): Promise<void> {
  await db.query(
    `update vidbatch.submission s set priority = p.priority
       from unnest($1::bigint[], $2::smallint[]) p(id, priority) where p.id = s.id`,
    [made.rows.slice(0, priorities.length), priorities],
  );
  await rankRows(db, made.id);
}

function laneOf({ origin }: Made): string {
  return `lane-${origin}`;
}

function feedAll(db: Database, made: Made, room = 100): Promise<Fed[]> {
  return feed(db, { lane: laneOf(made), origin: made.origin, batches: null }, room);
}

function ranks(fed: readonly Fed[]): (number | undefined)[] {
  return fed.map(({ rank }) => rank);
}

/** Of which batch each row is, as the first letters of the batches in the order in which they were made. */
function batches(fed: readonly Fed[], ...made: Made[]): string {
  return fed.map(({ batch }) => 'abc'[made.findIndex(({ name }) => name === batch)] ?? '?').join('');
}

onEvery(LEDGERS, (storage) => {
  const unranked = (): Promise<unknown> => storage().db.query('update vidbatch.meta set ranked = false');
  beforeEach(unranked);
  afterEach(unranked);

  describe('rows of higher priority', () => {
    test('come first, and those of the same one in the order of the file', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      await prefer(db, made, [0, 5, -3, 100, 5, 0]);
      const [one = 0, two = 0, three = 0, four = 0, five = 0, six = 0] = made.rows;
      const first = await feedAll(db, made, 4);
      assert.deepEqual(
        first.map(({ submissionId }) => submissionId),
        [four, two, five, one],
      );
      assert.deepEqual(ranks(first), [100, 5, 5, 0]);
      const rest = await feedAll(db, made);
      assert.deepEqual(
        rest.map(({ submissionId }) => submissionId),
        [six, three],
      );
    });

    test('and of batches: their priority is added to that of their rows', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 3 });
      const b = await makeBatch(db, { rows: 3, origin: a.origin });
      await setPriority(db, b.id, 10);
      await prefer(db, a, [20, 10, 0]);
      await prefer(db, b, [0, 0, -1]);
      const fed = await feedAll(db, a);
      assert.deepEqual(ranks(fed), [20, 10, 10, 10, 9, 0]);
      assert.equal(batches(fed, a, b).slice(0, 1), 'a');
      assert.equal(batches(fed, a, b).slice(4), 'ba');
    });

    test('take all of the room, as long as there are some', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 30 });
      const b = await makeBatch(db, { rows: 30, origin: a.origin });
      await setPriority(db, b.id, 1);
      await rankRows(db, b.id);
      assert.equal(batches(await feedAll(db, a, 10), a, b), 'b'.repeat(10));
      assert.equal(batches(await feedAll(db, a, 25), a, b), 'b'.repeat(20) + 'a'.repeat(5));
    });

    test('that wait for their own time leave the room to others, and come when it has come', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      await prefer(db, made, [9, 9, 3, -3]);
      await db.query(
        `update vidbatch.submission set not_before = now() + interval '3 h' where batch_id = $1 and priority = 9`,
        [made.id],
      );
      assert.deepEqual(ranks(await feedAll(db, made)), [3, -3]);
      await letTimePass(db, made, 3 * 3_600_000 + 1);
      assert.equal(await workLeft(db, made.origin, null), 'work');
      assert.deepEqual(ranks(await feedAll(db, made)), [9, 9]);
    });

    test('are one at a time all the same until the first accept of their batch', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 3 });
      const b = await makeBatch(db, { rows: 3, proven: false, origin: a.origin });
      await setPriority(db, b.id, 100);
      await rankRows(db, b.id);
      assert.equal(batches(await feedAll(db, a), a, b), 'baaa');
    });
  });

  test('within a priority batches take turns, however long they are', async () => {
    const { db } = storage();
    const a = await makeBatch(db, { rows: 100 });
    const b = await makeBatch(db, { rows: 4, origin: a.origin });
    const c = await makeBatch(db, { rows: 100, origin: a.origin });
    await setPriority(db, c.id, -1);
    await prefer(db, a, [1]);
    await rankRows(db, c.id);
    assert.match(batches(await feedAll(db, a, 10), a, b, c), /^a(ab|ba){4}[ac]$/);
    const rest = batches(await feedAll(db, a, 200), a, b, c);
    assert.match(rest, /^a+c+$/, 'and the low ones come when no other is left');
  });

  test('without any priority jobs have none', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2 });
    await rankRows(db, made.id);
    assert.deepEqual(ranks(await feedAll(db, made)), [undefined, undefined]);
  });

  describe('a row in the queue', () => {
    test('whose priority changes is taken out, to come again in its place', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      await feedAll(db, made);
      assert.deepEqual(await withdraw(db, laneOf(made)), []);
      const [, second = 0] = made.rows;
      await prefer(db, made, [0, 4]);
      const taken = await withdraw(db, laneOf(made));
      assert.equal(taken.length, 3, 'the first priority of a ledger ranks all of them');
      assert.ok(taken.every(({ shut }) => !shut));
      assert.deepEqual(
        (await feedAll(db, made)).map(({ submissionId, rank }) => [submissionId === second, rank]),
        [
          [true, 4],
          [false, 0],
          [false, 0],
        ],
      );
      await setPriority(db, made.id, -7);
      assert.equal((await withdraw(db, laneOf(made))).length, 3);
      assert.deepEqual(ranks(await feedAll(db, made)), [-3, -7, -7]);
    });

    test('makes room for rows that rank higher, the lowest first, and no more than they need', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 6 });
      await prefer(db, a, [2, 2, 1, 1, 0, 0]);
      const scope = { lane: laneOf(a), origin: a.origin, batches: null };
      assert.equal((await feedAll(db, a)).length, 6);
      const full = { depth: 6, room: 0 };
      assert.deepEqual(await makeRoom(db, scope, full), [], 'nobody waits');
      const b = await makeBatch(db, { rows: 4, origin: a.origin });
      await prefer(db, b, [1, 1, 1, -1]);
      assert.equal((await makeRoom(db, scope, { ...full, room: 2 })).length, 1, 'there is room for two');
      const lanes = async (): Promise<boolean[]> =>
        (await stored(db, a.rows)).map(({ lane }) => lane !== null);
      assert.deepEqual(await lanes(), [true, true, true, true, true, false]);
      assert.equal((await makeRoom(db, scope, full)).length, 1, 'only one is left that ranks lower');
      assert.deepEqual(await lanes(), [true, true, true, true, false, false]);
    });

    test('leaves its place for a while when a batch waits behind it that came later, the last that came first', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 6 });
      const scope = { lane: laneOf(a), origin: a.origin, batches: null };
      await feedAll(db, a);
      const keep = { keep: 2 };
      assert.deepEqual(await takeTurns(db, scope, keep), [], 'nobody waits');
      const b = await makeBatch(db, { rows: 2, origin: a.origin });
      await setPriority(db, b.id, -1);
      assert.deepEqual(await takeTurns(db, scope, keep), [], 'it ranks lower');
      await setPriority(db, b.id, 0);
      const taken = (await takeTurns(db, scope, keep)).map(({ submissionId }) => submissionId);
      assert.deepEqual(
        taken.toSorted((one, other) => one - other),
        a.rows.slice(2),
      );
      const fed = (await feed(db, scope, 10)).map(({ submissionId }) => b.rows.includes(submissionId));
      assert.deepEqual(fed.slice(0, 4).filter(Boolean).length, 2, 'they take turns');
      assert.deepEqual(await takeTurns(db, scope, keep), []);

      // Queued, but behind all the others: the same.
      const c = await makeBatch(db, { rows: 1, origin: a.origin });
      await feed(db, scope, 10);
      assert.equal((await takeTurns(db, scope, keep)).length, 7);
      const again = (await feed(db, scope, 10)).findIndex(({ submissionId }) =>
        c.rows.includes(submissionId),
      );
      assert.ok(again >= 0 && again < 3);
      assert.deepEqual(await takeTurns(db, scope, { keep: 3 }), []);
    });
  });
});
