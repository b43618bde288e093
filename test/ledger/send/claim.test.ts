import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { cancel, pause, resume } from '../../../src/ledger/batch.ts';
import { claim, claimAlone, granted } from '../../../src/ledger/send/claim.ts';
import { refusals } from '../../../src/ledger/send/refusal.ts';
import type { Refusal } from '../../../src/ledger/send/refusal.ts';
import type { Database } from '../../../src/database/database.ts';
import { readAttempts } from '../../../src/ledger/read/read.ts';
import {
  claimAll,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  recordOne,
  scopeOf,
  storedOne,
} from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

onEvery(LEDGERS, (storage) => {
  describe('a claim', () => {
    test('takes the row and returns the exact text of its request', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const [id = 0] = made.rows;
      const text = '{ "model":"viduq3p-720p",\t"prompt":"á \\u0041 提示 😀","extra_body":{"seed":1.0} }';
      await db.query('update vidbatch.submission set request = $2 where id = $1', [id, text]);
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
      const second = only(await claim(db, scope, [{ submissionId: id, attemptId }]));
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

    test('is won by exactly one of many, over several connections', async () => {
      const { db, another } = storage();
      const other = await another();
      const made = await makeBatch(db, { rows: 3 });
      for (const submissionId of made.rows) {
        const tries = Array.from({ length: 20 }, (_, n) =>
          claim(n % 2 === 0 ? db : other.db, scopeOf(made), [{ submissionId, attemptId: randomUUID() }]),
        );
        const winners = (await Promise.all(tries)).flat();
        assert.equal(winners.length, 1);
        const { rows } = await db.query('select id from vidbatch.attempt where submission_id = $1', [
          submissionId,
        ]);
        assert.deepEqual(rows, [{ id: winners[0]?.attemptId }], 'and nobody else left an attempt');
      }
      await other.close();
    });

    test('of a group takes what it can and leaves the rest', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 4 });
      const [first = 0, second = 0, third = 0, fourth = 0] = made.rows;
      await claimAll(db, made, [second]);
      await db.query(`update vidbatch.submission set not_before = now() + interval '1 hour' where id = $1`, [
        fourth,
      ]);
      const wishes = [...made.rows, 999_999_999].map((submissionId) => ({
        submissionId,
        attemptId: randomUUID(),
      }));
      const claims = await claim(db, scopeOf(made), wishes);
      assert.deepEqual(new Set(claims.map((one) => one.submissionId)), new Set([first, third]));
      for (const one of claims) {
        assert.ok(
          wishes.some((w) => w.submissionId === one.submissionId && w.attemptId === one.attemptId),
          'each under the attempt that was asked for it',
        );
      }
    });

    test('whose answer was lost is found again by its attempt id', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [won = 0, other = 0] = made.rows;
      const wishes = [
        { submissionId: won, attemptId: randomUUID() },
        { submissionId: other, attemptId: randomUUID() },
      ];
      const first = only(await claim(db, scopeOf(made), wishes.slice(0, 1)));
      assert.deepEqual(await granted(db, wishes), [first]);
      await recordOne(db, first, 'rejected');
      assert.deepEqual(await granted(db, wishes), [], 'but not once it has been recorded');
    });
  });

  describe('a shut gate', () => {
    interface Gate {
      name: string;
      reason: Refusal['reason'];
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
        db.query(`update vidbatch.submission set ${set} where batch_id = $1`, [id]);

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
        name: 'a cancelled batch',
        reason: 'cancelled',
        shut: (db, { id }) => db.query(`update vidbatch.batch set state = 'cancelled' where id = $1`, [id]),
      },
      { name: 'a row that was cancelled', reason: 'not-pending', shut: (db, { id }) => cancel(db, id) },
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
        const submissionId = made.rows[0] ?? 0;
        const scope = scopeOf(made, gate.scope?.(made));
        await gate.shut(db, made);
        const before = await storedOne(db, submissionId);
        assert.deepEqual(await claim(db, scope, [{ submissionId, attemptId: randomUUID() }]), []);
        assert.equal(await claimAlone(db, scope, { submissionId, attemptId: randomUUID() }), undefined);
        const refusal = only(await refusals(db, scope, [submissionId]));
        assert.equal(refusal.reason, gate.reason);
        if (gate.waitMs === undefined) assert.equal(refusal.waitMs, undefined);
        else assert.ok((refusal.waitMs ?? 0) > gate.waitMs - 20_000 && (refusal.waitMs ?? 0) <= gate.waitMs);
        assert.equal((await storedOne(db, submissionId)).state, before.state);
        assert.deepEqual(await readAttempts(db, submissionId), []);
        if (gate.open === undefined) return;
        await gate.open(db, made);
        assert.equal((await claim(db, scope, [{ submissionId, attemptId: randomUUID() }])).length, 1);
      });
    }

    test('a job of no submission at all is unknown', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.deepEqual(await refusals(db, scopeOf(made), [987_654_321]), [
        { submissionId: 987_654_321, reason: 'unknown' },
      ]);
    });
  });
});
