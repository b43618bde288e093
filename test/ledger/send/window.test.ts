import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { readBlocked, type Blocked } from '../../../src/ledger/send/blocked.ts';
import { claim, claimLocked, granted } from '../../../src/ledger/send/claim.ts';
import { WINDOW_MS } from '../../../src/core/states.ts';
import { readRemainingWork } from '../../../src/ledger/send/remaining-work.ts';
import { setBatchWindow, setOffPeakWindow } from '../../../src/ledger/send/window-change.ts';
import {
  claimAll,
  makeBatch,
  scopeOf,
  storedOne,
  windowAt,
  wishFor,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const HOUR = 3_600_000;
const OFF_PEAK = { model: 'viduq3t-720p-offpeak' };

onEvery(SQL_LEDGERS, (storage) => {
  const blockedOf = async (made: Made): Promise<Blocked> =>
    (await readBlocked(storage().db, scopeOf(made), made.id)).blocked;
  const claimOne = async (made: Made): Promise<boolean> =>
    (await claim(storage().db, scopeOf(made), wishFor(made.id, 1))).length === 1;
  /** The rows of a batch that may be sent now; they are sent. */
  const sendAll = async (made: Made, rows = 100): Promise<number[]> =>
    (await claim(storage().db, scopeOf(made), wishFor(made.id, rows)))
      .map(({ submissionId }) => submissionId)
      .sort((a, b) => a - b);
  afterEach(() => setOffPeakWindow(storage().db, null));

  describe('outside the window of off-peak rows', () => {
    test('an off-peak row is not claimed, costs no attempt, and says why', async () => {
      const { db } = storage();
      const made = await makeBatch(db, OFF_PEAK);
      const [submissionId = 0] = made.rows;
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, -1], [HOUR, 2 * HOUR]));
      const before = await storedOne(db, submissionId);
      assert.equal(await claimOne(made), false);
      assert.deepEqual((await claimLocked(db, scopeOf(made), wishFor(made.id, 1))).claims, []);
      assert.deepEqual(await blockedOf(made), { reason: 'window' });
      assert.deepEqual(await storedOne(db, submissionId), before);
    });

    test('rows of other models are sent as usual, also in the same batch', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      const offPeak = made.rows.filter((_, n) => n % 2 === 0);
      await db.query(`update vidbatch.row_state set model = $2 where id = any($1)`, [
        offPeak,
        OFF_PEAK.model,
      ]);
      await setOffPeakWindow(db, await windowAt(db));
      assert.deepEqual(
        await sendAll(made),
        made.rows.filter((id) => !offPeak.includes(id)),
      );
      assert.deepEqual(await blockedOf(made), { reason: 'window' });
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.deepEqual(await sendAll(made), offPeak);
    });

    test('rows of both kinds are sent in their order while it is open', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      await db.query(`update vidbatch.row_state set model = $2 where id = any($1)`, [
        made.rows.slice(3),
        OFF_PEAK.model,
      ]);
      assert.deepEqual(await sendAll(made, 4), made.rows.slice(0, 4));
    });

    test('nothing is claimed that could leave after the window shuts', async () => {
      const { db } = storage();
      const made = await makeBatch(db, OFF_PEAK);
      const closing: [number, number][][] = [[[-HOUR, WINDOW_MS - 100]], []];
      const gap: [number, number][] = [
        [-HOUR, 2000],
        [3001, HOUR],
      ];
      for (const spans of [...closing, gap]) {
        await setOffPeakWindow(db, await windowAt(db, ...spans));
        assert.equal(await claimOne(made), false, JSON.stringify(spans));
        assert.deepEqual(await blockedOf(made), { reason: 'window' });
      }
      await setOffPeakWindow(db, await windowAt(db, [0, WINDOW_MS + 60_000]));
      assert.equal(await claimOne(made), true);
    });

    test('a claim whose answer was lost is still granted after the window has shut', async () => {
      const { db } = storage();
      const made = await makeBatch(db, OFF_PEAK);
      const [claimed] = await claimAll(db, made, made.rows);
      assert.ok(claimed !== undefined);
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, -1]));
      delete claimed.place;
      assert.deepEqual(await granted(db, [claimed.attemptId]), [claimed]);
    });
  });

  describe('a batch under a window of its own', () => {
    test('waits as a whole, and its off-peak rows for both', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const both = await makeBatch(db, OFF_PEAK);
      const other = await makeBatch(db);
      const open = await windowAt(db, [-HOUR, HOUR]);
      const shut = await windowAt(db, [HOUR, 2 * HOUR]);
      await setBatchWindow(db, made.id, shut);
      assert.deepEqual(await sendAll(made), []);
      assert.equal((await blockedOf(made)).reason, 'window');
      assert.deepEqual(await sendAll(other), other.rows);

      await setOffPeakWindow(db, open);
      await setBatchWindow(db, both.id, shut);
      assert.equal(await claimOne(both), false);
      await setBatchWindow(db, both.id, open);
      await setOffPeakWindow(db, shut);
      assert.equal(await claimOne(both), false);
      await setBatchWindow(db, both.id, open);
      await setOffPeakWindow(db, open);
      assert.equal(await claimOne(both), true);
    });

    test('is sent until its last moment, and not after', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const until = (moment: string): Promise<unknown> =>
        db.query(`update vidbatch.batch set not_after = now() + $2::interval where id = $1`, [
          made.id,
          moment,
        ]);
      for (const moment of [`${WINDOW_MS - 100} ms`, '-1 s']) {
        await until(moment);
        assert.equal(await claimOne(made), false, moment);
        assert.deepEqual(await blockedOf(made), { reason: 'expired' });
      }
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'expired');
      await until(`${WINDOW_MS + 5_000} ms`);
      await claimAll(db, made, made.rows.slice(1));
      assert.equal(await readRemainingWork(db, made.origin, [made.id]), 'work');
    });
  });

  describe('when a window shuts', () => {
    test('what is left waits for it, and is not worked on', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [normal = 0, offPeak = 0] = made.rows;
      await db.query(`update vidbatch.row_state set model = $2 where id = $1`, [offPeak, OFF_PEAK.model]);
      const left = (): Promise<string> => readRemainingWork(db, made.origin, [made.id]);
      await setOffPeakWindow(db, await windowAt(db, [HOUR, 2 * HOUR]));
      assert.equal(await left(), 'work');
      await claimAll(db, made, [normal]);
      assert.equal(await left(), 'work', 'one is in flight');
      await db.query(
        `update vidbatch.row_state set previous = state, state = 'submitted', task_id = 't' where id = $1`,
        [normal],
      );
      assert.equal(await left(), 'later');
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.equal(await left(), 'work');
      const inAnHour = `not_before = now() + interval '1 hour'`;
      await db.query(`update vidbatch.row_state set ${inAnHour} where id = $1`, [offPeak]);
      assert.equal(await left(), 'later', 'it waits for its own time');
      await db.query(`update vidbatch.row_state set attempts = 1 where id = $1`, [offPeak]);
      assert.equal(await left(), 'work', 'it waits for its next try');
    });
  });
});
