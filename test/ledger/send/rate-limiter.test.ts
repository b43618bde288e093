import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimAll, makeBatch, only, recordOne, scopeOf, wishFor, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery, type Storage } from '../../contract/storages.ts';
import { readBlocked, type Blocked } from '../../../src/ledger/send/blocked.ts';
import { claim, claimLocked, type Claim } from '../../../src/ledger/send/claim.ts';
import type { Database } from '../../../src/database/database.ts';
import { limitsInForce, sayLimits, steerQuota, unsayLimits } from '../../../src/ledger/send/quota.ts';
import { AHEAD_MS } from '../../../src/ledger/send/rate-limiter.ts';
import { formatLimits } from '../../../src/cli/output/format.ts';
import type { Limit } from '../../../src/core/rate/rate-limits.ts';

const ask = (db: Database, made: Made, limits: readonly Limit[], rows = made.rows.length): Promise<Claim[]> =>
  claim(db, scopeOf(made, { limits }), wishFor(made.id, rows));

const blockedOf = async (db: Database, made: Made, limits: readonly Limit[]): Promise<Blocked> =>
  (await readBlocked(db, scopeOf(made, { limits }), made.id)).blocked;

/** Milliseconds between slots of which several are given out at a time. */
const INTERVAL_MS = AHEAD_MS / 2.5;

onEvery(SQL_LEDGERS, (storage: () => Storage) => {
  test('under a rate, rows have slots that lie apart, as many as come soon', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 10 });
    const limits = [{ model: '', intervalMs: INTERVAL_MS }];
    const claims = (await ask(db, made, limits)).toSorted((a, b) => a.submissionId - b.submissionId);
    for (const [n, { slotMs = NaN }] of claims.entries())
      assert.ok(slotMs >= n * INTERVAL_MS && slotMs < (n + 0.1) * INTERVAL_MS, `${slotMs} ms`);
    assert.deepEqual(
      claims.map(({ submissionId }) => submissionId),
      made.rows.slice(0, 3),
    );
  });

  test('over several connections, no slot is given out twice', async () => {
    const { db, another } = storage();
    const made = await makeBatch(db, { rows: 12 });
    const limits = [{ model: '', intervalMs: 3_600_000 }];
    const other = await another();
    const all = await Promise.all(
      made.rows.map((_, n) => ask(n % 2 === 0 ? db : other.db, made, limits, 1 + n)),
    );
    assert.equal(all.flat().length, 1);
    const soon = [{ model: 'viduq3p-720p', intervalMs: INTERVAL_MS }];
    const taken = await Promise.all(made.rows.map((_, n) => ask(n % 2 === 0 ? db : other.db, made, soon, 1)));
    const turns = taken.flat().map(({ nowMs = NaN, slotMs = NaN }) => nowMs + slotMs);
    for (const [n, turn] of turns.toSorted((a, b) => a - b).entries()) {
      const before = turns.toSorted((a, b) => a - b)[n - 1] ?? -Infinity;
      assert.ok(turn - before >= INTERVAL_MS - 0.01, `${turn - before} ms apart`);
    }
    assert.ok(turns.length >= 2, 'several slots come soon');
    await other.close();
  });

  test('rows that must wait get the length of the wait, and rows of other models are sent', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const other = await makeBatch(db, { rows: 2, origin: made.origin, model: 'viduq3p-1080p' });
    const limits = [
      { model: '', intervalMs: 1 },
      { model: 'viduq3p-720p', intervalMs: 60_000 },
    ];
    assert.equal((await ask(db, made, limits)).length, 1);
    const held = await blockedOf(db, made, limits);
    assert.equal(held.reason, 'rate');
    assert.ok((held.waitMs ?? 0) > 50_000 && (held.waitMs ?? 0) < 61_000, `${held.waitMs} ms`);
    assert.deepEqual(await blockedOf(db, other, limits), { reason: 'busy' }, 'nothing keeps them');
    assert.equal((await ask(db, other, limits, 1)).length, 1);
    const all = [{ model: '', intervalMs: 60_000 }];
    assert.equal((await ask(db, made, all)).length, 1);
    assert.equal((await blockedOf(db, made, all)).reason, 'rate');
    assert.equal((await blockedOf(db, other, all)).reason, 'rate');
  });

  test('a row whose gate is shut has no turn', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2, proven: false });
    const limits = [{ model: '', intervalMs: 3_600_000 }];
    assert.deepEqual(await ask(db, made, limits), []);
    const locked = async (): Promise<Claim[]> =>
      (await claimLocked(db, scopeOf(made, { limits }), wishFor(made.id, 2))).claims;
    assert.equal(only(await locked()).slotMs, 0);
    assert.deepEqual(await locked(), []);
    const { rows } = await db.query<{ slots: number }>(
      'select slots::int as slots from vidbatch.quota where origin = $1',
      [made.origin],
    );
    assert.equal(only(rows).slots, 1);
  });

  test('rows whose model has to wait are no obstacle to those of another one in their batch', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 30 });
    await db.query(
      `update vidbatch.row_state set model = 'viduq3p-1080p' where id in (select id from vidbatch.row where batch_id = $1 and line > 20)`,
      [made.id],
    );
    const limits = [{ model: 'viduq3p-720p', intervalMs: 10_000 }];
    const modelsOf = (claims: Claim[]): Promise<string[]> =>
      db
        .query<{ model: string }>('select model from vidbatch.submission where id = any($1::bigint[])', [
          claims.map(({ submissionId }) => submissionId),
        ])
        .then(({ rows }) => rows.map(({ model }) => model));
    const first = await modelsOf(await ask(db, made, limits, 8));
    assert.deepEqual(first.toSorted(), [...Array<string>(7).fill('viduq3p-1080p'), 'viduq3p-720p']);
    assert.deepEqual(await modelsOf(await ask(db, made, limits, 30)), Array<string>(3).fill('viduq3p-1080p'));
    assert.ok((await blockedOf(db, made, limits)).reason === 'rate', 'only the slow ones are left');
  });

  test('no more tasks run than the limit allows when many workers ask at once', async () => {
    const { db, another } = storage();
    const made = await makeBatch(db, { rows: 12 });
    const limits = [{ model: '', inFlight: 3 }];
    const other = await another();
    const claims = (
      await Promise.all(made.rows.map((_, n) => ask(n % 2 === 0 ? db : other.db, made, limits, 1 + n)))
    ).flat();
    await other.close();
    assert.equal(claims.length, 3);
    for (const one of claims) await recordOne(db, one, 'accepted');
    assert.deepEqual(await ask(db, made, limits), []);
    assert.equal((await blockedOf(db, made, limits)).reason, 'in-flight');

    const finish = `update vidbatch.row_state set provider_status = $2 where id = $1`;
    await db.query(finish, [claims[0]?.submissionId, 'in_progress']);
    assert.deepEqual(await ask(db, made, limits), []);
    for (const [n, status] of ['failed', 'completed', 'missing'].entries()) {
      await db.query(finish, [claims[n]?.submissionId, status]);
      assert.equal((await ask(db, made, limits)).length, 1, status);
      assert.deepEqual(await ask(db, made, limits), []);
    }
  });

  test('a place is kept for what may be running, and free once it was refused', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const limits = [{ model: 'viduq3p-720p', inFlight: 1 }];
    const [first] = await ask(db, made, limits);
    assert.ok(first);
    await recordOne(db, first, 'rejected');
    const [second] = await ask(db, made, limits);
    assert.ok(second);
    await recordOne(db, second, 'uncertain');
    assert.deepEqual(await ask(db, made, limits), []);
    assert.equal((await blockedOf(db, made, limits)).reason, 'in-flight');
    await db.query(`update vidbatch.row_state set updated_at = now() - interval '61 min' where id = $1`, [
      second.submissionId,
    ]);
    assert.equal((await ask(db, made, limits)).length, 1);
    const other = await makeBatch(db, { origin: made.origin, model: 'viduq3p-1080p' });
    assert.equal((await ask(db, other, limits)).length, 1);
  });

  test('the rate that is found is one for all, and an old refusal says nothing new', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 9 });
    const limits = [{ model: '', intervalMs: 'auto' }] as const;
    const begun = await steerQuota(db, made.origin, {});
    const [early, ...more] = await ask(db, made, limits);
    assert.ok(early);
    assert.deepEqual(more, []);
    const refuse = ({ attemptId }: Claim): ReturnType<typeof steerQuota> =>
      steerQuota(db, made.origin, { refused: { attemptId, stopMs: 100 } });
    const both = await Promise.all([refuse(early), refuse(early)]);
    const lowered = Math.min(...both.map(({ perSecond }) => perSecond));
    assert.ok(lowered < begun.perSecond && lowered > begun.perSecond * 0.9, `${lowered}`);
    assert.equal((await refuse(early)).perSecond, lowered);
    const { rows } = await db.query<{ ahead: number }>(
      `select extract(epoch from next_slot - now())::float8 as ahead from vidbatch.quota where origin = $1`,
      [made.origin],
    );
    assert.ok((rows[0]?.ahead ?? 1) < 1 / begun.perSecond);
  });

  test('workers with different limits get a warning', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db);
    assert.deepEqual(await sayLimits(db, origin, [{ model: '', intervalMs: 100 }]), []);
    assert.deepEqual(await sayLimits(db, origin, [{ model: '', intervalMs: 100 }]), []);
    const others = [
      { model: '', intervalMs: 100, inFlight: 5 },
      { model: 'x', inFlight: 5 },
    ];
    assert.deepEqual(await sayLimits(db, origin, others), ['']);
    const shown = (await limitsInForce(db, origin)).map(({ origin: _origin, ...limit }) => limit);
    assert.deepEqual(shown, [
      { model: null, perSecond: 10, found: false, maxInFlight: 5, inFlight: 0, uncertain: 0 },
      { model: 'x', perSecond: null, found: false, maxInFlight: 5, inFlight: 0, uncertain: 0 },
    ]);
    assert.equal(formatLimits(shown), '10/s, 0 of 5 tasks in flight · x 0 of 5 tasks in flight');
    await sayLimits(db, origin, [{ model: '', intervalMs: 'auto' }]);
    await steerQuota(db, origin, {});
    assert.match(formatLimits((await limitsInForce(db, origin)).slice(0, 1)), /^2\/s \(found\)$/);
  });

  test('of places that are taken, those of uncertain rows are named: a person can free them', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const limits = [{ model: '', inFlight: 2 }];
    await sayLimits(db, made.origin, limits);
    const [first, ...others] = await claimAll(db, made, made.rows.slice(0, 3));
    assert.ok(first);
    await recordOne(db, first, 'uncertain');
    const shown = async (): Promise<string> => formatLimits(await limitsInForce(db, made.origin));
    assert.match(await shown(), /^2 of 2 tasks in flight, 1 of them uncertain: `vidbatch uncertain`/);
    for (const other of others) await recordOne(db, other, 'uncertain');
    assert.match(await shown(), /^2 of 2 tasks in flight, 2 of them uncertain/);
    await db.query(
      `update vidbatch.row_state set updated_at = updated_at - interval '61 minutes' where batch_id = $1`,
      [made.id],
    );
    assert.equal(await shown(), '0 of 2 tasks in flight');
  });

  test('limits of a worker that ends are forgotten, unless another one goes by them', async () => {
    const { db } = storage();
    const { origin } = await makeBatch(db);
    const [all, one] = [
      { model: '', intervalMs: 100 },
      { model: 'x', inFlight: 5 },
    ];
    await sayLimits(db, origin, [all, one]);
    await unsayLimits(db, origin, [all, one]);
    await sayLimits(db, origin, [all]);
    // As if twelve seconds went by.
    await db.query(`update vidbatch.quota set said_at = said_at - interval '12 seconds' where origin = $1`, [
      origin,
    ]);
    assert.deepEqual(
      (await limitsInForce(db, origin)).map(({ model }) => model),
      [null],
    );
  });
});
