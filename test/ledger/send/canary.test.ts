import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claim, claimLocked, type Claim } from '../../../src/ledger/send/claim.ts';
import type { Queryable } from '../../../src/database/database.ts';
import { armProbe } from '../../../src/ledger/send/provider.ts';
import {
  claimFirst,
  makeBatch,
  only,
  providerOf,
  recordOne,
  scopeOf,
  statesOf,
  wishFor,
  type Made,
} from '../../contract/rows.ts';
import { until } from '../../until.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

async function locked(db: Queryable, made: Made, rows: number): Promise<Claim[]> {
  return (await claimLocked(db, scopeOf(made), wishFor(made.id, rows))).claims;
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('where only one may be in flight', () => {
    test('an unproven batch sends one of fifty that are claimed at once, until the first accept', async () => {
      const { db, another } = storage();
      const other = await another();
      const made = await makeBatch(db, { rows: 50, proven: false });
      const tryAll = async (): Promise<Claim[]> => {
        const tries = made.rows.map((_, n) => locked(n % 2 === 0 ? db : other.db, made, 1 + (n % 3)));
        return (await Promise.all(tries)).flat();
      };
      assert.deepEqual(
        await claim(db, scopeOf(made), wishFor(made.id, 50)),
        [],
        'the claim of many rows is not for it',
      );
      const canary = only(await tryAll());
      assert.deepEqual(await tryAll(), [], 'while it is in flight');
      await recordOne(db, canary, 'not-sent');
      const second = only(await tryAll());
      await recordOne(db, second, 'accepted');
      const rest = await claim(db, scopeOf(made), wishFor(made.id, 50));
      assert.equal(rest.length, 49, 'an accept opens the batch');
      await other.close();
    });

    test('of many that saw the batch unproven at the same moment, one is granted', async () => {
      const { db, kind } = storage();
      const made = await makeBatch(db, { rows: 5, proven: false });
      const holder = await db.connect();
      await holder.query('begin');
      await holder.query('select from vidbatch.batch where id = $1 for update', [made.id]);
      const tries = made.rows.map(() => locked(db, made, 2));
      // The embedded database grants its one session to the holder alone: there, nobody has looked yet.
      const waiting = async (): Promise<boolean> => {
        const { rows } = await holder.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        );
        return kind === 'embedded' || only(rows).n === made.rows.length;
      };
      await until(waiting);
      await holder.query('commit');
      holder.release();
      only((await Promise.all(tries)).flat());
      assert.equal((await statesOf(db, made)).filter((state) => state === 'submitting').length, 1);
    });

    test('two unproven batches of one provider have a canary each', async () => {
      const { db } = storage();
      const one = await makeBatch(db, { rows: 2, proven: false });
      const two = await makeBatch(db, { rows: 2, proven: false, origin: one.origin });
      const tries = [one, two, one, two].map((made) => locked(db, made, 2));
      assert.equal((await Promise.all(tries)).flat().length, 2);
      assert.deepEqual((await statesOf(db, one)).toSorted(), ['pending', 'submitting']);
      assert.deepEqual((await statesOf(db, two)).toSorted(), ['pending', 'submitting']);
    });

    test('the claim of a batch whose gates are all open says that it needs no lock', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3, proven: false });
      const first = await claimLocked(db, scopeOf(made), wishFor(made.id, 3));
      assert.equal(first.lockNeeded, true);
      await recordOne(db, only(first.claims), 'accepted');
      const rest = await claimLocked(db, scopeOf(made), wishFor(made.id, 3));
      assert.deepEqual([rest.claims.length, rest.lockNeeded], [2, false]);
    });

    test('a halted provider is probed with one row of all batches, proven or not', async () => {
      const { db, another } = storage();
      const other = await another();
      const one = await makeBatch(db, { rows: 10 });
      const two = await makeBatch(db, { rows: 10, proven: false, origin: one.origin });
      await recordOne(db, await claimFirst(db, one), 'halted');
      assert.equal((await providerOf(db, one)).state, 'halted');
      assert.deepEqual(await locked(db, one, 10), [], 'nothing, until somebody tries');
      assert.equal(await armProbe(db, one.origin), true);
      const probes = [one, two].flatMap((made) =>
        made.rows.map((_, n) => locked(n % 2 === 0 ? db : other.db, made, 1 + (n % 3))),
      );
      const probe = only((await Promise.all(probes)).flat());
      assert.equal((await providerOf(db, one)).probe, probe.attemptId);
      await recordOne(db, probe, 'accepted');
      assert.deepEqual(
        { ...(await providerOf(db, one)), throttle_level: 0 },
        { state: 'open', epoch: 1, probe: null, throttle_level: 0, uncertain_streak: 0, throttled: false },
      );
      assert.equal((await claim(db, scopeOf(one), wishFor(one.id, 5))).length, 5);
      await other.close();
    });

    test('a halted provider is probed with another row than the one that caused the halt, if one may be sent', async () => {
      const { db } = storage();
      for (const proven of [true, false]) {
        const made = await makeBatch(db, { rows: 3, proven });
        const [bad = 0, good = 0, later = 0] = made.rows;
        await db.query(`update vidbatch.row_state set not_before = now() + interval '3 h' where id = $1`, [
          later,
        ]);
        const [first] = await locked(db, made, 1);
        assert.ok(first);
        assert.equal(first.submissionId, bad);
        await recordOne(db, first, 'halted');
        await armProbe(db, made.origin);
        const trial = only(await locked(db, made, 3));
        assert.equal(trial.submissionId, good, 'or one bad row would keep it shut for ever');
        await recordOne(db, trial, 'rejected');
        const last = only(await locked(db, made, 3));
        assert.equal(last.submissionId, bad, 'its turn comes when no other may be sent');
      }
    });

    test('a probe does nothing without a halt', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.equal(await armProbe(db, made.origin), false);
      assert.equal((await providerOf(db, made)).epoch, 0);
    });
  });
});
