import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cancel, countSurplus } from '../../../src/ledger/batch.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import type { Database } from '../../../src/database/database.ts';
import { readAttempts } from '../../../src/ledger/read/read.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import type { State } from '../../../src/core/submission.ts';
import {
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  resultOf,
  storedOne,
} from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

interface Swept {
  made: Made;
  id: number;
  claimed: Claim;
}

/** A row whose deadline passed while its answer was under way. */
async function swept(db: Database): Promise<Swept> {
  const made = await makeBatch(db);
  const claimed = await claimFirst(db, made);
  await letTimePass(db, made, 100_000);
  await sweep(db);
  assert.equal((await storedOne(db, claimed.submissionId)).state, 'uncertain');
  return { made, id: claimed.submissionId, claimed };
}

async function move(db: Database, id: number, state: State): Promise<void> {
  await db.query('update vidbatch.submission set previous = state, state = $2 where id = $1', [id, state]);
}

/** A row that an operator sent again after its first answer did not come, and which is in flight anew. */
async function twice(db: Database): Promise<Swept & { second: Claim }> {
  const first = await swept(db);
  await move(db, first.id, 'pending');
  return { ...first, second: await claimFirst(db, first.made) };
}

onEvery(LEDGERS, (storage) => {
  describe('a late task id is kept wherever its row stands by then', () => {
    const paths: Record<string, State[]> = {
      uncertain: [],
      pending: ['pending'],
      cancelled: ['pending', 'cancelled'],
      invalid: ['pending', 'invalid'],
      rejected: ['rejected'],
      exhausted: ['exhausted'],
      abandoned: ['abandoned'],
    };
    for (const [name, path] of Object.entries(paths)) {
      test(`${name}: submitted`, async () => {
        const { db } = storage();
        const { id, claimed } = await swept(db);
        for (const state of path) await move(db, id, state);
        const recorded = await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'late' }));
        assert.deepEqual([recorded.state, recorded.moved, recorded.surplus], ['submitted', true, false]);
        const row = await storedOne(db, id);
        assert.deepEqual([row.state, row.task_id, row.error, row.lane], ['submitted', 'late', null, null]);
        assert.notEqual(only(await readAttempts(db, id)).sweptAt, null, 'that it was late is still known');
      });
    }
  });

  describe('another late answer settles an uncertain row', () => {
    const table = {
      rejected: 'rejected',
      throttled: 'pending',
      'not-sent': 'pending',
      halted: 'pending',
      uncertain: 'uncertain',
    } as const;
    for (const [kind, state] of Object.entries(table)) {
      test(`${kind}: ${state}`, async () => {
        const { db } = storage();
        const { id, claimed } = await swept(db);
        const recorded = await recordOne(db, claimed, kind as keyof typeof table);
        assert.deepEqual([recorded.state, recorded.moved], [state, state !== 'uncertain']);
        const row = await storedOne(db, id);
        assert.deepEqual(
          [row.state, row.error, row.spent],
          [state, `was ${kind}`, kind === 'not-sent' ? 1 : 0],
        );
      });
    }

    test('not sent, attempts used up: exhausted', async () => {
      const { db } = storage();
      const { claimed } = await swept(db);
      assert.equal((await recordOne(db, claimed, 'not-sent', { maxAttempts: 1 })).state, 'exhausted');
    });

    test('not sent, its batch cancelled meanwhile: cancelled', async () => {
      const { db } = storage();
      const { made, claimed } = await swept(db);
      await cancel(db, made.id);
      assert.equal((await recordOne(db, claimed, 'not-sent')).state, 'cancelled');
    });

    test('but not one that a person has settled already', async () => {
      const { db } = storage();
      for (const state of ['abandoned', 'rejected'] as const) {
        const { id, claimed } = await swept(db);
        await move(db, id, state);
        const recorded = await recordOne(db, claimed, 'not-sent');
        assert.deepEqual([recorded.state, recorded.moved], [state, false]);
        const row = await storedOne(db, id);
        assert.deepEqual([row.state, row.spent], [state, 0]);
        assert.equal(only(await readAttempts(db, id)).outcome, 'not-sent', 'the attempt knows');
      }
    });
  });

  describe('while a newer attempt is in flight, a late answer to the older one', () => {
    for (const kind of ['not-sent', 'rejected', 'throttled', 'halted', 'uncertain'] as const) {
      test(`${kind}: leaves the row alone`, async () => {
        const { db } = storage();
        const { id, claimed, second } = await twice(db);
        const before = await storedOne(db, id);
        const recorded = await recordOne(db, claimed, kind);
        assert.deepEqual([recorded.state, recorded.moved], ['submitting', false]);
        assert.deepEqual({ ...(await storedOne(db, id)), left_ms: 0 }, { ...before, left_ms: 0 });
        assert.equal((await recordOne(db, second, 'accepted')).state, 'submitted');
      });
    }

    test('accepted: settles the row, and a task id of the newer one is surplus', async () => {
      const { db } = storage();
      const { made, id, claimed, second } = await twice(db);
      await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'first' }));
      assert.equal((await storedOne(db, id)).state, 'submitted');
      const recorded = await recordOne(db, second, outcomeOf('accepted', { taskId: 'second' }));
      assert.deepEqual([recorded.state, recorded.moved, recorded.surplus], ['submitted', false, true]);
      assert.equal((await storedOne(db, id)).task_id, 'first', 'the first stays');
      assert.deepEqual(
        (await readAttempts(db, id)).map(({ taskId, surplus }) => [taskId, surplus]),
        [
          ['first', false],
          ['second', true],
        ],
      );
      assert.equal(await countSurplus(db, made.id), 1);
    });

    test('accepted, and the newer one not sent: the row stays submitted', async () => {
      const { db } = storage();
      const { id, claimed, second } = await twice(db);
      await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'first' }));
      assert.equal((await recordOne(db, second, 'not-sent')).state, 'submitted');
      assert.equal((await storedOne(db, id)).task_id, 'first');
    });
  });

  describe('both answers of a row in one group', () => {
    for (const order of ['older first', 'newer first'] as const) {
      const arrange = <T>(older: T, newer: T): T[] =>
        order === 'older first' ? [older, newer] : [newer, older];

      test(`accepted twice, ${order}: one task id, and one surplus`, async () => {
        const { db } = storage();
        const { made, id, claimed, second } = await twice(db);
        const recorded = await record(
          db,
          arrange(
            resultOf(claimed, outcomeOf('accepted', { taskId: 'first' })),
            resultOf(second, outcomeOf('accepted', { taskId: 'second' })),
          ),
        );
        assert.equal(recorded.filter(({ surplus }) => surplus).length, 1);
        assert.equal((await storedOne(db, id)).task_id, 'first');
        assert.equal(await countSurplus(db, made.id), 1);
      });

      for (const kind of ['not-sent', 'rejected', 'throttled', 'uncertain'] as const) {
        test(`the older accepted, the newer ${kind}, ${order}: submitted`, async () => {
          const { db } = storage();
          const { id, claimed, second } = await twice(db);
          const recorded = await record(db, arrange(resultOf(claimed, 'accepted'), resultOf(second, kind)));
          assert.deepEqual(
            recorded.map(({ state }) => state),
            ['submitted', 'submitted'],
          );
          assert.equal((await storedOne(db, id)).state, 'submitted');
        });
      }

      test(`the older not sent, the newer accepted, ${order}: submitted`, async () => {
        const { db } = storage();
        const { id, claimed, second } = await twice(db);
        await record(db, arrange(resultOf(claimed, 'not-sent'), resultOf(second, 'accepted')));
        assert.equal((await storedOne(db, id)).state, 'submitted');
      });
    }
  });
});
