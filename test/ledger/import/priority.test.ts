import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Database } from '../../../src/database/database.ts';
import { setPriority } from '../../../src/ledger/batches.ts';
import { claim, type Claim } from '../../../src/ledger/send/claim.ts';
import { readRemainingWork } from '../../../src/ledger/send/remaining-work.ts';
import { readyBatches } from '../../../src/ledger/send/ready.ts';
import { topUp } from '../../../src/worker/top-up.ts';
import type { Chunk } from '../../../src/worker/queue/chunk.ts';
import { letTimePass, makeBatch, only, scopeOf, wishFor, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

/** Gives the rows of a batch these priorities, in order; the rest keep theirs. */
async function prefer(db: Database, made: Made, priorities: readonly number[]): Promise<void> {
  await db.query(
    `update vidbatch.row_state s set priority = p.priority
       from unnest($1::bigint[], $2::smallint[]) p(id, priority) where p.id = s.id`,
    [made.rows.slice(0, priorities.length), priorities],
  );
}

function take(db: Database, made: Made, rows: number): Promise<Claim[]> {
  return claim(db, scopeOf(made), wishFor(made.id, rows));
}

/** The jobs that a feeder would add to an empty queue, of one row each. */
async function jobsOf(db: Database, { origin }: Made, ahead = 100): Promise<Chunk[]> {
  const ready = await readyBatches(db, { origin, batches: null }, { most: 50, rows: ahead });
  return topUp(ready, { size: 1, ahead, waiting: new Map() });
}

/** Of which batch each job is, as the first letters of the batches in the order in which they were made. */
function batches(chunks: readonly Chunk[], ...made: Made[]): string {
  return chunks.map(({ batch }) => 'abc'[made.findIndex(({ id }) => id === batch)] ?? '?').join('');
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('rows of higher priority', () => {
    test('come first, and rows of the same priority in the order of the file', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      await prefer(db, made, [0, 5, -3, 100, 5, 0]);
      const [one = 0, two = 0, three = 0, four = 0, five = 0, six = 0] = made.rows;

      assert.deepEqual(new Set(idsOf(await take(db, made, 3))), new Set([four, two, five]));
      const order: number[] = [];
      for (let n = 0; n < 3; n += 1) order.push(only(await take(db, made, 1)).submissionId);
      assert.deepEqual(order, [one, six, three]);
    });

    test('and of batches: the priority of a batch is added to that of its rows', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 3 });
      const b = await makeBatch(db, { rows: 3, origin: a.origin });
      await setPriority(db, b.id, 10);
      await prefer(db, a, [20, 9, 0]);
      await prefer(db, b, [0, 0, -1]);
      const ranks = async (): Promise<string> =>
        (await readyBatches(db, { origin: a.origin, batches: null }, { most: 50, rows: 10 }))
          .map(({ id, rank }) => `${id === a.id ? 'a' : 'b'} ${rank}`)
          .join();
      assert.equal(await ranks(), 'a 20,b 10');
      await take(db, a, 1);
      assert.equal(await ranks(), 'b 10,a 9');
      await take(db, b, 2);
      assert.match(await ranks(), /^(a 9,b 9|b 9,a 9)$/);
    });

    test('take all slots as long as there are such rows', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 30 });
      const b = await makeBatch(db, { rows: 30, origin: a.origin });
      await setPriority(db, b.id, 1);
      assert.equal(batches(await jobsOf(db, a, 10), a, b), 'b'.repeat(10));
      await take(db, b, 10);
      assert.equal(batches(await jobsOf(db, a, 25), a, b), 'b'.repeat(20) + 'a'.repeat(5));
    });

    test('that wait for their own time leave the slots to others until then', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      await prefer(db, made, [9, 9, 3, -3]);
      await db.query(
        `update vidbatch.row_state set not_before = now() + interval '3 h' where batch_id = $1 and priority = 9`,
        [made.id],
      );
      assert.deepEqual(new Set(idsOf(await take(db, made, 4))), new Set(made.rows.slice(2)));
      await letTimePass(db, made, 3 * 3_600_000 + 1);
      assert.equal(await readRemainingWork(db, made.origin, null), 'work');
      assert.deepEqual(new Set(idsOf(await take(db, made, 4))), new Set(made.rows.slice(0, 2)));
    });

    test('are still sent one at a time until the first accept of their batch', async () => {
      const { db } = storage();
      const a = await makeBatch(db, { rows: 3 });
      const b = await makeBatch(db, { rows: 3, proven: false, origin: a.origin });
      await setPriority(db, b.id, 100);
      assert.equal(batches(await jobsOf(db, a), a, b), 'baaa');
    });
  });

  test('within a priority, long and short batches take turns', async () => {
    const { db } = storage();
    const a = await makeBatch(db, { rows: 100 });
    const b = await makeBatch(db, { rows: 4, origin: a.origin });
    const c = await makeBatch(db, { rows: 100, origin: a.origin });
    await setPriority(db, c.id, -1);
    assert.match(batches(await jobsOf(db, a, 10), a, b, c), /^(ab|ba){4}aa$/);
    const all = batches(await jobsOf(db, a, 300), a, b, c);
    assert.match(all, /^[ab]+c+$/, 'and the low ones come when no other is left');
    assert.equal(all.length, 204);
  });

  test('without priorities no job has one, and with a priority all jobs have one', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2 });
    const other = await makeBatch(db, { rows: 1, origin: made.origin });
    const ranks = async (): Promise<(number | undefined)[]> =>
      (await jobsOf(db, made)).map(({ rank }) => rank);
    assert.deepEqual(await ranks(), [undefined, undefined, undefined]);
    await setPriority(db, other.id, 7);
    assert.deepEqual(await ranks(), [7, 0, 0]);
  });
});

function idsOf(claims: readonly Claim[]): number[] {
  return claims.map(({ submissionId }) => submissionId);
}
