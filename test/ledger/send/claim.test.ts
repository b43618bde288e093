import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { closeLedger, reopenLedger } from '../../../src/ledger/closed.ts';
import { cancel, pause, resume } from '../../../src/ledger/operator/pause.ts';
import { pauseModelsBy } from '../../../src/ledger/operator/pause-model.ts';
import { readBlocked, readShutGates, type Blocked } from '../../../src/ledger/send/blocked.ts';
import { claim, claimAfter, claimLocked, granted, type Claim } from '../../../src/ledger/send/claim.ts';
import { setOffPeakWindow } from '../../../src/ledger/send/window-change.ts';
import { transaction, type Database } from '../../../src/database/database.ts';
import { readAttempts } from '../../../src/ledger/read/rows.ts';
import {
  claimAll,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  recordOne,
  scopeOf,
  statesOf,
  storedOne,
  wishFor,
  editRow,
  windowAt,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';

onEvery(SQL_LEDGERS, (storage) => {
  describe('a claim', () => {
    test('takes the row and returns the exact text of its request', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const [id = 0] = made.rows;
      const text = '{ "model":"viduq3p-720p",\t"prompt":"á \\u0041 提示 😀","extra_body":{"seed":1.0} }';
      await editRow(db, id, { request: text });
      const claimed = await claimFirst(db, made);
      assert.equal(claimed.request, text);
      assert.deepEqual(
        [claimed.submissionId, claimed.number, claimed.spent, claimed.refusals, claimed.throttleLevel],
        [id, 1, 0, 0, 0],
      );
      assert.equal((await storedOne(db, id)).state, 'submitting');
    });

    test('leaves an attempt with its number, its worker, its epoch and a deadline by the database’s clock', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const [id = 0] = made.rows;
      await db.query('update vidbatch.provider set epoch = 7 where origin = $1', [made.origin]);
      await recordOne(db, await claimFirst(db, made), 'throttled');
      const attemptId = randomUUID();
      const scope = scopeOf(made, { worker: 'host-1-a', lifetimeMs: 90_000 });
      const second = only(await claim(db, scope, { batchId: made.id, attemptIds: [attemptId] }));
      assert.deepEqual([second.number, second.refusals, second.throttleLevel], [2, 1, 1]);
      const { rows } = await db.query<{ number: number; worker: string; epoch: number; lifetime: number }>(
        `select a.number, a.worker, a.epoch, a.deadline = s.deadline as same,
              (extract(epoch from a.deadline - a.claimed_at) * 1000)::float8 as lifetime
         from vidbatch.attempt a join vidbatch.submission s on s.attempt_id = a.id where a.id = $1`,
        [attemptId],
      );
      assert.deepEqual(rows, [{ number: 2, worker: 'host-1-a', epoch: 7, same: true, lifetime: 90_000 }]);
      const left = (await storedOne(db, id)).left_ms ?? 0;
      assert.ok(left > 0 && left <= 90_000, `${left} ms to the deadline`);
    });

    test('of a row is won by exactly one of many, over several connections', async () => {
      const { db, another } = storage();
      const other = await another();
      for (let n = 0; n < 3; n += 1) {
        const made = await makeBatch(db);
        const tries = Array.from({ length: 20 }, (_, m) =>
          claim(m % 2 === 0 ? db : other.db, scopeOf(made), wishFor(made.id, 1)),
        );
        const winner = only((await Promise.all(tries)).flat());
        const attempt = only(await readAttempts(db, only(made.rows)));
        assert.equal(attempt.id, winner.attemptId, 'and the others left no attempt');
      }
      await other.close();
    });

    test('of many rows over several connections gives each row to one worker, and no row is left', async () => {
      const { db, another } = storage();
      const other = await another();
      const made = await makeBatch(db, { rows: 120 });
      await db.query(
        `update vidbatch.row_state s set model = 'viduq3p-' || line % 3, priority = line % 2
           from vidbatch.row r where r.id = s.id and s.batch_id = $1`,
        [made.id],
      );
      const won: Claim[] = [];
      while (won.length < made.rows.length) {
        const tries = Array.from({ length: 12 }, (_, n) =>
          claim(n % 2 === 0 ? db : other.db, scopeOf(made), wishFor(made.id, 1 + n)),
        );
        const claims = (await Promise.all(tries)).flat();
        assert.ok(claims.length > 0, 'somebody gets some of what is left');
        won.push(...claims);
      }
      assert.deepEqual(
        won.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b),
        made.rows,
      );
      assert.equal(new Set(won.map(({ attemptId }) => attemptId)).size, made.rows.length);
      const { rows } = await db.query<{ id: string; submission_id: number }>(
        `select a.id, a.submission_id from vidbatch.attempt a
           join vidbatch.submission s on s.id = a.submission_id where s.batch_id = $1`,
        [made.id],
      );
      assert.deepEqual(
        new Map(rows.map((row) => [row.submission_id, row.id])),
        new Map(won.map((one) => [one.submissionId, one.attemptId])),
      );
      await other.close();
    });

    test('takes what it can and leaves the rest', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      const [first = 0, second = 0, third = 0, fourth = 0] = made.rows;
      await claimAll(db, made, [second]);
      await db.query(`update vidbatch.row_state set not_before = now() + interval '1 hour' where id = $1`, [
        fourth,
      ]);
      const wish = wishFor(made.id, 5);
      const claims = await claim(db, scopeOf(made), wish);
      assert.deepEqual(new Set(claims.map((one) => one.submissionId)), new Set([first, third]));
      for (const { attemptId } of claims)
        assert.ok(wish.attemptIds.includes(attemptId), 'each under an id of its wish');
    });

    test('takes no more rows than it has ids, and uses each of them once', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 5 });
      const wish = wishFor(made.id, 2);
      assert.deepEqual(await claim(db, scopeOf(made), { ...wish, attemptIds: [] }), []);
      const claims = await claim(db, scopeOf(made), wish);
      assert.deepEqual(new Set(claims.map(({ attemptId }) => attemptId)), new Set(wish.attemptIds));
      assert.deepEqual(await claim(db, scopeOf(made), wish), []);
      await recordOne(db, claims[0] as Claim, 'rejected');
      assert.deepEqual(await claim(db, scopeOf(made), wish), [], 'also once its attempt is over');
    });

    test('continues after the last row that was claimed, in the order of the manifest', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      const [, again = 0, , fourth = 0, fifth = 0, sixth = 0] = made.rows;
      const first = await claim(db, scopeOf(made), wishFor(made.id, 3));
      const place = first.at(-1)?.place ?? assert.fail('its rows have one model and one priority');
      await recordOne(db, first[1] as Claim, 'halted');
      await db.query(`update vidbatch.provider set state = 'open' where origin = $1`, [made.origin]);
      await db.query(`update vidbatch.row_state set not_before = now() where id = $1`, [fifth]);
      const next = await claimAfter(db, scopeOf(made), wishFor(made.id, 5), place);
      assert.deepEqual(
        next.map(({ submissionId }) => submissionId),
        [fourth, sixth, fifth],
        'a row before that place is for the next claim',
      );
      assert.equal(only(await claim(db, scopeOf(made), wishFor(made.id, 5))).submissionId, again);
      assert.deepEqual(await claimAfter(db, scopeOf(made), wishFor(made.id, 5), place), []);
    });

    test('continues only while all rows that are due have one model and one priority', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      await db.query(`update vidbatch.row_state set priority = 1 where id = $1`, [made.rows[3]]);
      const claims = await claim(db, scopeOf(made), wishFor(made.id, 2));
      assert.deepEqual(
        claims.map(({ place }) => place),
        [undefined, undefined],
      );
    });

    test('whose answer was lost is found again by its attempt ids', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const wish = wishFor(made.id, 2);
      const claims = await claim(db, scopeOf(made), wish);
      const never = randomUUID();
      const found = (await granted(db, [...wish.attemptIds, never])).toSorted(
        (a, b) => a.submissionId - b.submissionId,
      );
      for (const one of claims) delete one.place;
      assert.deepEqual(found, claims);
      const [first, second] = found as [Claim, Claim];
      await recordOne(db, first, 'rejected');
      assert.deepEqual(await granted(db, wish.attemptIds), [second], 'but not once it has been recorded');
    });
  });

  describe('a shut gate', () => {
    interface Gate {
      name: string;
      reason: Blocked['reason'];
      shut: (db: Database, made: Made) => Promise<unknown>;
      open?: (db: Database, made: Made) => Promise<unknown>;
      scope?: (made: Made) => Parameters<typeof scopeOf>[1];
      waitMs?: number;
    }
    const onProvider =
      (set: string) =>
      (db: Database, { origin }: Made) =>
        db.query(`update vidbatch.provider set ${set} where origin = $1`, [origin]);
    const onRow =
      (set: string) =>
      (db: Database, { id }: Made) =>
        db.query(`update vidbatch.row_state set ${set} where batch_id = $1`, [id]);

    const gates: Gate[] = [
      {
        name: 'a paused batch',
        reason: 'paused',
        shut: (db, { id }) => pause(db, id),
        open: (db, { id }) => resume(db, id),
      },
      {
        name: 'a paused ledger',
        reason: 'paused',
        shut: (db) => pause(db, null),
        open: (db) => resume(db, null),
      },
      {
        name: 'a closed ledger',
        reason: 'closed',
        shut: (db) => closeLedger(db, { code: 'copied', note: 'a test' }, 'a test'),
        open: (db) =>
          transaction(db, (session) =>
            reopenLedger(session, { code: 'copied', note: 'a test', at: new Date() }, 'a test'),
          ),
      },
      {
        name: 'a cancelled batch',
        reason: 'cancelled',
        shut: (db, { id }) => db.query(`update vidbatch.batch set state = 'cancelled' where id = $1`, [id]),
      },
      {
        name: 'a batch whose rows were cancelled',
        reason: 'cancelled',
        shut: (db, { id }) => cancel(db, id),
      },
      {
        name: 'a batch that was stopped',
        reason: 'stopped',
        shut: (db, { id }) =>
          db.query(
            `update vidbatch.batch set state = 'stopped', stop_reason = 'too many failed' where id = $1`,
            [id],
          ),
      },
      {
        name: 'a batch of which all rows are done',
        reason: 'nothing',
        shut: onRow(`previous = state, state = 'cancelled'`),
      },
      {
        name: 'a batch that has a budget of which nothing is left',
        reason: 'budget',
        shut: (db, { id }) =>
          db.query(`update vidbatch.batch set budget = 0, budget_currency = 'CNY', held = 0 where id = $1`, [
            id,
          ]),
      },
      {
        name: 'a batch that is over',
        reason: 'expired',
        shut: (db, { id }) => db.query('update vidbatch.batch set not_after = now() where id = $1', [id]),
      },
      {
        name: 'a halt',
        reason: 'halted',
        shut: onProvider(`state = 'halted'`),
        open: onProvider(`state = 'open'`),
      },
      {
        name: 'a throttled provider',
        reason: 'throttled',
        shut: onProvider(`throttled_until = now() + interval '30 s'`),
        open: (db, made) => letTimePass(db, made, 30_000),
        waitMs: 30_000,
      },
      {
        name: 'a row that is not due',
        reason: 'not-due',
        shut: onRow(`not_before = now() + interval '40 s'`),
        open: (db, made) => letTimePass(db, made, 40_000),
        waitMs: 40_000,
      },
      {
        name: 'another provider’s batch',
        reason: 'other-provider',
        shut: () => Promise.resolve(),
        scope: () => ({ origin: 'https://elsewhere.example' }),
      },
      {
        name: 'a batch that nobody has bound to a provider',
        reason: 'other-provider',
        shut: (db, { id }) => db.query('update vidbatch.batch set origin = null where id = $1', [id]),
      },
      {
        name: 'a batch that this worker was not asked for',
        reason: 'other-batch',
        shut: () => Promise.resolve(),
        scope: ({ id }) => ({ batches: [id + 1_000_000] }),
      },
      {
        name: 'an unproven batch with one in flight',
        reason: 'alone',
        shut: (db, { id }) =>
          db.query('update vidbatch.batch set proven = false, canary = $2 where id = $1', [id, randomUUID()]),
        open: (db, { id }) =>
          db.query('update vidbatch.batch set proven = true, canary = null where id = $1', [id]),
      },
      {
        name: 'a halt that is being tried out with another row',
        reason: 'alone',
        shut: onProvider(`state = 'probing', probe = gen_random_uuid()`),
        open: onProvider(`state = 'open', probe = null`),
      },
    ];

    for (const gate of gates) {
      test(`is said to be ${gate.reason}: ${gate.name}`, async () => {
        const { db } = storage();
        const made = await makeBatch(db);
        const submissionId = only(made.rows);
        const scope = scopeOf(made, gate.scope?.(made));
        const wish = wishFor(made.id, 1);
        await gate.shut(db, made);
        const before = await storedOne(db, submissionId);
        assert.deepEqual(await claim(db, scope, wish), []);
        assert.deepEqual((await claimLocked(db, scope, wish)).claims, []);
        const { blocked } = await readBlocked(db, scope, made.id);
        assert.equal(blocked.reason, gate.reason);
        if (gate.waitMs === undefined) assert.equal(blocked.waitMs, undefined);
        else assert.ok((blocked.waitMs ?? 0) > gate.waitMs - 20_000 && (blocked.waitMs ?? 0) <= gate.waitMs);
        assert.equal((await storedOne(db, submissionId)).state, before.state);
        assert.deepEqual(await readAttempts(db, submissionId), []);
        if (gate.open === undefined) return;
        await gate.open(db, made);
        assert.equal((await claim(db, scope, wish)).length, 1);
      });
    }

    test('is listed with all other shut gates, and the first one is why no row is claimed', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const shut = await windowAt(db, [3_600_000, 7_200_000]);
      assert.deepEqual(await readShutGates(db, made.id), []);
      await db.query(
        `update vidbatch.batch
            set window_id = $2, not_after = now(), budget = 0, budget_currency = 'CNY', held = 0,
                proven = false, canary = gen_random_uuid() where id = $1`,
        [made.id, shut],
      );
      await onProvider(`state = 'halted', throttled_until = now() + interval '30 s'`)(db, made);
      await pause(db, made.id);
      await pause(db, null);
      await pauseModelsBy(db, 'a test', { models: ['viduq3p-720p'], batch: made });
      await setOffPeakWindow(db, shut);
      const told = await readShutGates(db, made.id);
      await setOffPeakWindow(db, null);
      await resume(db, null);
      assert.deepEqual(told, [
        'all-paused',
        'paused',
        'model-paused',
        'halted',
        'expired',
        'window',
        'off-peak-window',
        'budget',
        'throttled',
        'alone',
      ]);
      assert.equal((await readBlocked(db, scopeOf(made), made.id)).blocked.reason, 'paused');
    });

    test('a job of no batch at all is unknown', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.deepEqual(await readBlocked(db, scopeOf(made), 987_654_321), {
        blocked: { reason: 'unknown' },
        lockNeeded: false,
      });
      assert.deepEqual(await claim(db, scopeOf(made), wishFor(987_654_321, 1)), []);
    });

    test('a batch is busy while another worker claims its last row', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const { blocked, lockNeeded } = await readBlocked(db, scopeOf(made), made.id);
      assert.deepEqual([blocked, lockNeeded], [{ reason: 'busy' }, false]);
    });
  });
});

onEvery(['postgres'], (storage) => {
  test('a claim does not wait for rows that another one is claiming', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 5 });
    await transaction(db, async (session) => {
      const first = await claim(session, scopeOf(made), wishFor(made.id, 2));
      assert.equal(first.length, 2);
      const second = await claim(db, scopeOf(made), wishFor(made.id, 5));
      assert.deepEqual(
        second.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b),
        made.rows.slice(2),
      );
    });
  });

  test('a statement that is repeated while the first one still runs makes no second attempt', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 5 });
    const wish = wishFor(made.id, 2);
    const session = await db.connect();
    await session.query('begin');
    const first = await claim(session, scopeOf(made), wish);
    const again = claim(db, scopeOf(made), wish);
    const failed = assert.rejects(again, /duplicate key|attempt_pkey/);
    await until(async () => {
      const { rows } = await session.query(
        `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      return rows.length > 0;
    });
    await session.query('commit');
    session.release();
    await failed;
    assert.deepEqual(
      await claim(db, scopeOf(made), wish),
      [],
      'and then there is nothing left to claim with these ids',
    );
    assert.equal((await granted(db, wish.attemptIds)).length, first.length);
    assert.equal((await statesOf(db, made)).filter((state) => state === 'submitting').length, 2);
  });
});

onEvery(['postgres'], (storage) => {
  test('a row that was edited while its claim waited is not sent under its old text', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { budget: 10, price: 1 });
    const [id = 0] = made.rows;
    const waiting = await transaction(db, async (session) => {
      await session.query('select from vidbatch.batch where id = $1 for update', [made.id]);
      await editRow(session, id, { request: '{"prompt":"new"}', contentHash: 'new' });
      const claiming = claimLocked(db, scopeOf(made), wishFor(made.id, 1));
      await until(async () => {
        const { rows } = await db.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows.length > 0;
      });
      return { claiming };
    });
    assert.deepEqual((await waiting.claiming).claims, [], 'its text was read before the edit');
    const [claimed] = (await claimLocked(db, scopeOf(made), wishFor(made.id, 1))).claims;
    assert.deepEqual([claimed?.request, claimed?.content], ['{"prompt":"new"}', 'new']);
  });
});
