import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { claim } from '../../../src/ledger/send/claim.ts';
import { armProbe } from '../../../src/ledger/send/provider.ts';
import {
  claimAll,
  claimFirst,
  makeBatch,
  only,
  providerOf,
  recordOne,
  scopeOf,
  statesOf,
  tryAlone,
} from '../../contract/rows.ts';
import { until } from '../../until.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

onEvery(LEDGERS, (storage) => {
  describe('where only one may be in flight', () => {
    test('an unproven batch sends one of fifty that are claimed at once, until the first accept', async () => {
      const { db, another } = storage();
      const other = await another();
      const made = await makeBatch(db, { rows: 50, proven: false });
      const tryAll = async (): Promise<string[]> => {
        const tries = made.rows.map((id, n) => tryAlone(n % 2 === 0 ? db : other.db, made, id));
        return (await Promise.all(tries)).flatMap((one) => (one === undefined ? [] : [one.attemptId]));
      };
      const wishes = made.rows.map((submissionId) => ({ submissionId, attemptId: randomUUID() }));
      assert.deepEqual(await claim(db, scopeOf(made), wishes), [], 'the claim of groups is not for it');
      const canary = only(await tryAll());
      assert.deepEqual(await tryAll(), [], 'while it is in flight');
      await recordOne(db, { attemptId: canary }, 'not-sent');
      const second = only(await tryAll());
      await recordOne(db, { attemptId: second }, 'accepted');
      const rest = await claim(db, scopeOf(made), wishes);
      assert.equal(rest.length, 49, 'an accept opens the batch');
      await other.close();
    });

    test('of many that saw the batch unproven at the same moment, one is granted', async () => {
      const { db, kind } = storage();
      const made = await makeBatch(db, { rows: 5, proven: false });
      const holder = await db.connect();
      await holder.query('begin');
      await holder.query('select from vidbatch.batch where id = $1 for update', [made.id]);
      const tries = made.rows.map((id) => tryAlone(db, made, id));
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
      only((await Promise.all(tries)).filter((claimed) => claimed !== undefined));
    });

    test('two unproven batches of one provider have a canary each', async () => {
      const { db } = storage();
      const one = await makeBatch(db, { rows: 2, proven: false });
      const two = await makeBatch(db, { rows: 2, proven: false, origin: one.origin });
      const tries = [one, two].flatMap((made) => made.rows.map((id) => tryAlone(db, made, id)));
      const claims = (await Promise.all(tries)).filter((claimed) => claimed !== undefined);
      assert.equal(claims.length, 2);
      assert.deepEqual((await statesOf(db, one)).toSorted(), ['pending', 'submitting']);
      assert.deepEqual((await statesOf(db, two)).toSorted(), ['pending', 'submitting']);
    });

    test('a halt is tried out with one row over all batches, proven or not', async () => {
      const { db, another } = storage();
      const other = await another();
      const one = await makeBatch(db, { rows: 10 });
      const two = await makeBatch(db, { rows: 10, proven: false, origin: one.origin });
      await recordOne(db, await claimFirst(db, one), 'halted');
      assert.equal((await providerOf(db, one)).state, 'halted');
      assert.equal(await tryAlone(db, one, one.rows[1] ?? 0), undefined, 'nothing, until somebody tries');
      assert.equal(await armProbe(db, one.origin), true);
      const probes = [one, two].flatMap((made) =>
        made.rows.map((id, n) => tryAlone(n % 2 === 0 ? db : other.db, made, id)),
      );
      const probe = only((await Promise.all(probes)).filter((claimed) => claimed !== undefined));
      assert.equal((await providerOf(db, one)).probe, probe.attemptId);
      await recordOne(db, probe, 'accepted');
      assert.deepEqual(
        { ...(await providerOf(db, one)), throttle_level: 0 },
        { state: 'open', epoch: 1, probe: null, throttle_level: 0, uncertain_streak: 0, throttled: false },
      );
      await claimAll(db, one, one.rows.filter((id) => id !== probe.submissionId).slice(0, 5));
      await other.close();
    });

    test('trying again does nothing where there is no halt', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      assert.equal(await armProbe(db, made.origin), false);
      assert.equal((await providerOf(db, made)).epoch, 0);
    });
  });
});
