import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cancel } from '../../../src/ledger/operator/pause.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import { formatAmount } from '../../../src/core/money/money.ts';
import type { Database } from '../../../src/database/database.ts';
import { readAttempts, readEventLog } from '../../../src/ledger/read/rows.ts';
import { resolveNotSent } from '../../../src/ledger/operator/resolve.ts';
import { inspectLedger } from '../../../src/operate/verify/verify.ts';
import { readBudgetStatus } from '../../../src/ledger/money/budget.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import type { State } from '../../../src/core/states.ts';
import {
  claimFirst,
  countSurplus,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  resultOf,
  storedOne,
  tryAlone,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

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
  await db.query('update vidbatch.row_state set previous = state, state = $2 where id = $1', [id, state]);
}

async function edit(db: Database, id: number, content: string | null): Promise<void> {
  await db.query(
    `with edited as (update vidbatch.row set content_hash = $2 where id = $1)
     update vidbatch.row_state set content_hash = $2 where id = $1`,
    [id, content],
  );
}

/** Of the budget: spent, reserved, left. */
async function spentOf(db: Database, made: Made): Promise<string[]> {
  const { spent, reserved, left } = (await readBudgetStatus(db, made.id)) ?? assert.fail('it has a budget');
  return [spent, reserved, left].map((one) => formatAmount(one));
}

/** A row that an operator sent again after its first answer did not come, and which is in flight anew. */
async function twice(db: Database): Promise<Swept & { second: Claim }> {
  const first = await swept(db);
  await move(db, first.id, 'pending');
  return { ...first, second: await claimFirst(db, first.made) };
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('a late task id is kept in every state of its row', () => {
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
        assert.deepEqual([row.state, row.task_id, row.error], ['submitted', 'late', null]);
        assert.notEqual(only(await readAttempts(db, id)).sweptAt, null, 'that it was late is still known');
      });
    }
  });

  describe('of a row that was edited since, a late task id', () => {
    const edited: Record<string, State[]> = {
      pending: ['pending'],
      cancelled: ['pending', 'cancelled'],
      invalid: ['pending', 'invalid'],
      rejected: ['rejected'],
      exhausted: ['exhausted'],
    };
    for (const [name, path] of Object.entries(edited)) {
      test(`leaves it ${name}, and is surplus: it is of the earlier content`, async () => {
        const { db } = storage();
        const { made, id, claimed } = await swept(db);
        for (const state of path) await move(db, id, state);
        await edit(db, id, name === 'invalid' ? null : 'other');
        const recorded = await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'late' }));
        assert.deepEqual([recorded.state, recorded.moved, recorded.surplus], [name, false, true]);
        const row = await storedOne(db, id);
        assert.deepEqual([row.state, row.task_id], [name, null]);
        assert.equal(only(await readAttempts(db, id)).taskId, 'late');
        assert.equal(await countSurplus(db, made.id), 1);
        assert.match(JSON.stringify(await readEventLog(db, id)), /accepted-late.*earlier content.*task late/);
      });
    }

    test('costs once more, and the row is sent as it is now and gets its own task', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { price: 2, budget: 9 });
      const [id = 0] = made.rows;
      const claimed = (await tryAlone(db, made, id)) ?? assert.fail('the budget pays for it');
      await letTimePass(db, made, 100_000);
      await db.query(`update vidbatch.attempt set deadline = now() where id = $1`, [claimed.attemptId]);
      await sweep(db);
      const { rows } = await db.query<{ as_of: string }>('select now()::text as as_of');
      const seen = { batchId: made.id, submissionId: id, asOf: only(rows).as_of };
      assert.equal((await resolveNotSent(db, seen, { who: 'anna', reason: 'looked' })).pending, 1);
      await edit(db, id, 'other');
      await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'late' }));
      assert.deepEqual(await spentOf(db, made), ['2', '0', '7'], 'the earlier content is paid');
      const second = (await tryAlone(db, made, id)) ?? assert.fail('the budget pays for it');
      await recordOne(db, second, outcomeOf('accepted', { taskId: 'own' }));
      assert.equal((await storedOne(db, id)).task_id, 'own');
      assert.deepEqual(await spentOf(db, made), ['4', '0', '5']);
      assert.deepEqual(
        (await readAttempts(db, id)).map(({ taskId, surplus }) => [taskId, surplus]),
        [
          ['late', true],
          ['own', false],
        ],
      );
      const found: string[] = [];
      for await (const look of inspectLedger(db, made.id)) {
        found.push(...look.found.map(({ invariant }) => invariant));
      }
      assert.deepEqual(
        found.filter((one) => one !== 'content-hash'),
        ['paid-once'],
      );
    });

    test('does not settle it while its present content is in flight', async () => {
      const { db } = storage();
      const { made, id, claimed } = await swept(db);
      await move(db, id, 'pending');
      await edit(db, id, 'other');
      const second = await claimFirst(db, made);
      const late = await recordOne(db, claimed, outcomeOf('accepted', { taskId: 'late' }));
      assert.deepEqual([late.state, late.moved, late.surplus], ['submitting', false, true]);
      assert.equal((await recordOne(db, second, 'not-sent')).state, 'pending');
      const third = await claimFirst(db, made);
      const own = await recordOne(db, third, outcomeOf('accepted', { taskId: 'own' }));
      assert.deepEqual([own.state, own.surplus], ['submitted', false]);
    });

    for (const order of ['late first', 'own first'] as const) {
      test(`in one group with its own, ${order}: only its own settles it`, async () => {
        const { db } = storage();
        const { made, id, claimed } = await swept(db);
        await move(db, id, 'pending');
        await edit(db, id, 'other');
        const second = await claimFirst(db, made);
        const late = resultOf(claimed, outcomeOf('accepted', { taskId: 'late' }));
        const own = resultOf(second, outcomeOf('accepted', { taskId: 'own' }));
        await record(db, order === 'late first' ? [late, own] : [own, late]);
        assert.equal((await storedOne(db, id)).task_id, 'own');
        assert.deepEqual(
          (await readAttempts(db, id)).map(({ surplus }) => surplus),
          [true, false],
        );
      });
    }

    test('settles it if its content is what was sent, or if the sent content is not known', async () => {
      const { db } = storage();
      const { id, claimed } = await swept(db);
      await move(db, id, 'pending');
      await edit(db, id, 'other');
      await db.query('update vidbatch.attempt set content_hash = null where submission_id = $1', [id]);
      assert.equal((await recordOne(db, claimed, 'accepted')).state, 'submitted');
      const back = await swept(db);
      await move(db, back.id, 'pending');
      await edit(db, back.id, 'other');
      await edit(db, back.id, `${back.made.name}1`);
      assert.equal((await recordOne(db, back.claimed, 'accepted')).state, 'submitted');
    });
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
