import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatAmount } from '../../../src/core/money/money.ts';
import { cancel } from '../../../src/ledger/operator/pause.ts';
import { countHeld, readBudgetStatus, setBudget } from '../../../src/ledger/money/budget.ts';
import { readBlocked } from '../../../src/ledger/send/blocked.ts';
import { claim, claimLocked, type Claim } from '../../../src/ledger/send/claim.ts';
import { transaction, type Database, type Queryable } from '../../../src/database/database.ts';
import { readRemainingWork } from '../../../src/ledger/send/remaining-work.ts';
import { resolveAbandon, resolveNotSent } from '../../../src/ledger/operator/resolve.ts';
import type { OutcomeKind } from '../../../src/core/outcome.ts';
import {
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  scopeOf,
  tryAlone,
  wishFor,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';

const SAID = { who: 'somebody', reason: 'looked' };

function cny(units: number): Parameters<typeof setBudget>[2] {
  return { amount: { units: BigInt(units), scale: 0 }, currency: 'CNY' };
}

async function standing(db: Queryable, { id }: Made): Promise<Record<string, string | number>> {
  const status = await readBudgetStatus(db, id);
  assert.ok(status);
  const { rows } = await db.query<{ held: string }>(
    'select held::text as held from vidbatch.batch where id = $1',
    [id],
  );
  const shown = {
    spent: formatAmount(status.spent),
    reserved: formatAmount(status.reserved),
    left: formatAmount(status.left),
    beyond: status.beyond,
  };
  const sum = Number(shown.spent) + Number(shown.reserved);
  assert.equal(Number(rows[0]?.held), sum, 'what the batch says is what its rows say');
  return shown;
}

async function take(db: Queryable, made: Made, n = 0): Promise<Claim> {
  const claimed = await tryAlone(db, made, made.rows[n] ?? 0);
  assert.ok(claimed);
  return claimed;
}

async function takeSome(db: Queryable, made: Made, rows: number): Promise<Claim[]> {
  return (await claimLocked(db, scopeOf(made), wishFor(made.id, rows))).claims;
}

function idsOf(claims: readonly Claim[]): number[] {
  return claims.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b);
}

async function asOf(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ as_of: string }>('select now()::text as as_of');
  return rows[0]?.as_of ?? '';
}

/** Nobody waits for an answer any more. */
async function letDeadlinesPass(db: Queryable, { id }: Made): Promise<void> {
  await db.query(
    `update vidbatch.attempt a set deadline = now() - interval '1 second'
       from vidbatch.submission s where s.id = a.submission_id and s.batch_id = $1`,
    [id],
  );
}

onEvery(SQL_LEDGERS, (storage, kind) => {
  describe('a budget', () => {
    test('is not exceeded by one row when many connections claim at once', async () => {
      const { db, another } = storage();
      const other = await another();
      const made = await makeBatch(db, { rows: 20, price: 3, budget: 20 });
      const claims = await Promise.all(
        made.rows.flatMap((_, n) => [
          takeSome(n % 2 === 0 ? db : other.db, made, 1 + (n % 3)),
          takeSome(other.db, made, 1),
        ]),
      );
      assert.equal(new Set(claims.flat().map(({ submissionId }) => submissionId)).size, 6);
      assert.equal(claims.flat().length, 6);
      assert.deepEqual(await standing(db, made), { spent: '0', reserved: '18', left: '2', beyond: 14 });
      await other.close();
    });

    test('is claimed from only under its lock, and then for many rows at once', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4, price: 1, budget: 3 });
      assert.deepEqual(await claim(db, scopeOf(made), wishFor(made.id, 4)), []);
      const stands = (): ReturnType<typeof readBlocked> => readBlocked(db, scopeOf(made), made.id);
      assert.deepEqual(await stands(), { blocked: { reason: 'busy' }, lockNeeded: true });
      const { claims, lockNeeded } = await claimLocked(db, scopeOf(made), wishFor(made.id, 4));
      assert.deepEqual([claims.length, lockNeeded], [3, true]);
      assert.deepEqual(await stands(), { blocked: { reason: 'budget' }, lockNeeded: true });
    });

    test('is not exceeded by rows of any price that are claimed at once', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6, price: 4, budget: 10 });
      await db.query(
        `update vidbatch.row_state set price = 1 where id in (select id from vidbatch.row where batch_id = $1 and line in (3, 6))`,
        [made.id],
      );
      const taken: number[] = [];
      for (;;) {
        const claims = await takeSome(db, made, 6);
        if (claims.length === 0) break;
        taken.push(...claims.map(({ submissionId }) => made.rows.indexOf(submissionId) + 1));
      }
      assert.deepEqual(new Set(taken), new Set([1, 2, 3, 6]));
      assert.deepEqual(await standing(db, made), { spent: '0', reserved: '10', left: '0', beyond: 2 });
    });

    const after: Record<OutcomeKind, 'spent' | 'reserved' | 'left'> = {
      accepted: 'spent',
      uncertain: 'reserved',
      rejected: 'left',
      throttled: 'left',
      'not-sent': 'left',
      halted: 'left',
      invalid: 'left',
    };
    for (const [outcome, where] of Object.entries(after)) {
      test(`is ${where} for a row that was ${outcome}`, async () => {
        const { db } = storage();
        const made = await makeBatch(db, { price: 4, budget: 4 });
        const claimed = await take(db, made);
        assert.equal((await standing(db, made))['reserved'], '4');
        await recordOne(db, claimed, outcome as OutcomeKind);
        const stands: Record<string, unknown> = await standing(db, made);
        assert.deepEqual(
          { [where]: stands[where], sum: stands['left'] },
          { [where]: '4', sum: where === 'left' ? '4' : '0' },
        );
      });
    }

    test('gets back what a person resolves as not sent, and not what is abandoned', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2, price: 4, budget: 8 });
      const [first, second] = [await take(db, made, 0), await take(db, made, 1)];
      await recordOne(db, first, 'uncertain');
      await recordOne(db, second, 'uncertain');
      await letDeadlinesPass(db, made);
      const [one = 0, two = 0] = made.rows;
      await resolveNotSent(db, { batchId: made.id, submissionId: one, asOf: await asOf(db) }, SAID);
      await resolveAbandon(db, { batchId: made.id, submissionId: two, asOf: await asOf(db) }, SAID);
      assert.deepEqual(await standing(db, made), { spent: '0', reserved: '4', left: '4', beyond: 0 });
      // The person was wrong: both ids are kept, and both are counted.
      await recordOne(db, await take(db, made, 0), 'accepted');
      const { rows } = await db.query<{ id: string }>(
        `update vidbatch.attempt set outcome = null, finished_at = null where id = $1 returning id`,
        [first.attemptId],
      );
      assert.equal(rows.length, 1);
      assert.equal(
        (await recordOne(db, first, outcomeOf('accepted', { taskId: 'task_late' }))).surplus,
        true,
      );
      assert.deepEqual(await standing(db, made), { spent: '8', reserved: '4', left: '-4', beyond: 0 });
    });

    test('counts a late acceptance of a row that had been cancelled', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { price: 4, budget: 10 });
      const claimed = await take(db, made);
      await recordOne(db, claimed, 'uncertain');
      await letDeadlinesPass(db, made);
      await resolveNotSent(db, { batchId: made.id, asOf: await asOf(db) }, SAID);
      await cancel(db, made.id);
      await db.query('update vidbatch.attempt set outcome = null, finished_at = null where id = $1', [
        claimed.attemptId,
      ]);
      await recordOne(db, claimed, 'accepted');
      assert.deepEqual(await standing(db, made), { spent: '4', reserved: '0', left: '6', beyond: 0 });
    });

    test('sends no row whose price is unknown or in another currency', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2, price: 1, budget: 100 });
      const [one = 0, two = 0] = made.rows;
      await db.query('update vidbatch.row_state set price = null, currency = null where id = $1', [one]);
      await db.query(`update vidbatch.row_state set currency = 'USD' where id = $1`, [two]);
      assert.equal(await tryAlone(db, made, one), undefined);
      assert.equal(await tryAlone(db, made, two), undefined);
      assert.deepEqual(await takeSome(db, made, 2), []);
      assert.equal((await readBlocked(db, scopeOf(made), made.id)).blocked.reason, 'budget');
      assert.equal((await standing(db, made))['beyond'], 2);
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'spent');
    });

    test('is used as far as it goes, and a cheaper row that fits is still sent', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 5, price: 4, budget: 9 });
      const [one = 0, two = 0, , , last = 0] = made.rows;
      const first = await takeSome(db, made, 5);
      assert.deepEqual(idsOf(first), [one, two]);
      for (const claimed of first) await recordOne(db, claimed, 'accepted');
      assert.deepEqual(await takeSome(db, made, 5), []);
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'spent');
      await db.query('update vidbatch.row_state set price = 1 where id = $1', [last]);
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'work');
      const claimed = only(await takeSome(db, made, 5));
      assert.equal(claimed.submissionId, last);
      assert.equal(
        await readRemainingWork(db, made.origin, [made.id]),
        'work',
        'what is in flight may be refused',
      );
      await recordOne(db, claimed, 'accepted');
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'spent');
      await setBudget(db, made.id, cny(13));
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'work');
      assert.equal((await takeSome(db, made, 5)).length, 1);
    });

    test('counts what the batch had sent before, and nothing is sent until then', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3, price: 4 });
      const [accepted] = await claim(db, scopeOf(made), wishFor(made.id, 1));
      assert.ok(accepted);
      await recordOne(db, accepted, 'accepted');
      await setBudget(db, made.id, cny(8));
      assert.equal(await tryAlone(db, made, made.rows[1] ?? 0), undefined);
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'work');
      await countHeld(db);
      assert.deepEqual(await standing(db, made), { spent: '4', reserved: '0', left: '4', beyond: 1 });
      await take(db, made, 1);
      assert.equal(await tryAlone(db, made, made.rows[2] ?? 0), undefined);
    });

    // An embedded ledger has one session: nothing is ever claimed meanwhile.
    if (kind !== 'embedded') {
      test('counts a claim that began before the budget', async () => {
        const { db, another } = storage();
        const other = await another();
        const made = await makeBatch(db, { rows: 2, price: 4 });
        const session = await db.connect();
        await session.query('begin');
        assert.equal((await claim(session, scopeOf(made), wishFor(made.id, 1))).length, 1);
        await setBudget(other.db, made.id, cny(4));
        const counted = countHeld(other.db);
        await isWaiting(other.db);
        await session.query('commit');
        session.release();
        await counted;
        assert.deepEqual(await standing(db, made), { spent: '0', reserved: '4', left: '0', beyond: 1 });
        await other.close();
      });

      test('is locked before the provider by a claim and when money is given back', async () => {
        const { db, another } = storage();
        const other = await another();
        const made = await makeBatch(db, { price: 4, budget: 4 });
        const claimed = await take(db, made);
        const session = await db.connect();
        await session.query('begin');
        await session.query('select from vidbatch.batch where id = $1 for update', [made.id]);
        const recorded = recordOne(other.db, claimed, 'throttled');
        await isWaiting(other.db);
        await session.query('select from vidbatch.provider where origin = $1 for update nowait', [
          made.origin,
        ]);
        await session.query('commit');
        session.release();
        assert.equal((await recorded).state, 'pending');
        assert.equal((await standing(db, made))['left'], '4');
        await other.close();
      });

      const callers: Record<string, (db: Database, made: Made) => Promise<unknown>> = {
        claims: (db, made) => takeSome(db, made, 1).then(only),
        cancels: (db, { id }) => cancel(db, id),
      };
      for (const [name, call] of Object.entries(callers)) {
        test(`is locked before its rows by a command that ${name}, as by an import`, async () => {
          const { db, another } = storage();
          const other = await another();
          const made = await makeBatch(db, { price: 4, budget: 4 });
          const session = await db.connect();
          await session.query('begin');
          await session.query('select from vidbatch.batch where id = $1 for update', [made.id]);
          const called = call(other.db, made);
          await isWaiting(other.db);
          await session.query('select from vidbatch.row_state where batch_id = $1 for update nowait', [
            made.id,
          ]);
          await session.query('commit');
          session.release();
          assert.notEqual(await called, undefined);
          await other.close();
        });
      }

      test('is waited for again by a transaction that a deadlock has rolled back', async () => {
        const { db, another } = storage();
        const other = await another();
        const made = await makeBatch(db, { price: 4, budget: 4 });
        const session = await other.db.connect();
        await session.query('begin');
        await session.query('select from vidbatch.row_state where batch_id = $1 for update', [made.id]);
        let tries = 0;
        let back: Promise<unknown> | undefined;
        await transaction(db, async (one) => {
          tries += 1;
          // Who looks first is rolled back.
          await one.query(`set local deadlock_timeout = '1ms'`);
          await one.query('select from vidbatch.batch where id = $1 for update', [made.id]);
          back ??= session
            .query('select from vidbatch.batch where id = $1 for update', [made.id])
            .then(() => session.query('commit'));
          if (tries === 1) await isWaiting(db);
          await one.query('update vidbatch.row_state set price = 3 where batch_id = $1', [made.id]);
        });
        await back;
        session.release();
        assert.equal(tries, 2);
        await other.close();
      });
    }
  });
});

/** Until somebody waits for a lock. */
function isWaiting(db: Queryable): Promise<void> {
  return until(async () => {
    const { rows } = await db.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.length > 0;
  });
}
