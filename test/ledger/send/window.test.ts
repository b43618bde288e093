import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { claim, claimAlone, granted } from '../../../src/ledger/send/claim.ts';
import { refusals } from '../../../src/ledger/send/refusal.ts';
import type { Refusal } from '../../../src/ledger/send/refusal.ts';
import type { Database } from '../../../src/database/database.ts';
import { feed } from '../../../src/ledger/send/feed.ts';
import { withdraw } from '../../../src/ledger/send/withdrawal.ts';
import { workLeft } from '../../../src/ledger/send/left.ts';
import { setBatchWindow, setOffPeakWindow } from '../../../src/ledger/send/window.ts';
import { claimAll, makeBatch, only, scopeOf, storedOne, windowAt } from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery } from '../../contract/storages.ts';

const HOUR = 3_600_000;
const OFF_PEAK = { model: 'viduq3t-720p-offpeak' };

function fedOf(db: Database, made: Made, room = 100): Promise<number[]> {
  const scope = { lane: `lane-${made.origin}`, origin: made.origin, batches: null };
  return feed(db, scope, room).then((fed) => fed.map((row) => row.submissionId).sort((a, b) => a - b));
}

onEvery(LEDGERS, (storage) => {
  const refusalOf = async (made: Made): Promise<Refusal> =>
    only(await refusals(storage().db, scopeOf(made), made.rows.slice(0, 1)));
  const claimOne = async (made: Made): Promise<boolean> => {
    const wish = { submissionId: made.rows[0] ?? 0, attemptId: randomUUID() };
    return (await claim(storage().db, scopeOf(made), [wish])).length === 1;
  };
  afterEach(() => setOffPeakWindow(storage().db, null));

  describe('outside the window of off-peak rows', () => {
    test('an off-peak row is not claimed, costs no attempt, and says when it will be', async () => {
      const { db } = storage();
      const made = await makeBatch(db, OFF_PEAK);
      const [submissionId = 0] = made.rows;
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, -1], [HOUR, 2 * HOUR]));
      const before = await storedOne(db, submissionId);
      assert.equal(await claimOne(made), false);
      const wish = { submissionId, attemptId: randomUUID() };
      assert.equal(await claimAlone(db, scopeOf(made), wish), undefined);
      const { reason, waitMs = 0 } = await refusalOf(made);
      assert.equal(reason, 'window');
      assert.ok(waitMs > HOUR - 20_000 && waitMs <= HOUR, `${waitMs} ms`);
      assert.deepEqual(await storedOne(db, submissionId), before);
      assert.deepEqual(await fedOf(db, made), []);
    });

    test('rows of other models are sent as ever, also those beside them in a batch', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      const offPeak = made.rows.filter((_, n) => n % 2 === 0);
      await db.query(`update vidbatch.submission set model = $2 where id = any($1)`, [
        offPeak,
        OFF_PEAK.model,
      ]);
      await setOffPeakWindow(db, await windowAt(db));
      assert.deepEqual(
        await fedOf(db, made),
        made.rows.filter((id) => !offPeak.includes(id)),
      );
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.deepEqual(await fedOf(db, made), offPeak);
    });

    test('rows of both kinds are fed in their order while it is open', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 6 });
      await db.query(`update vidbatch.submission set model = $2 where id = any($1)`, [
        made.rows.slice(3),
        OFF_PEAK.model,
      ]);
      assert.deepEqual(await fedOf(db, made, 4), made.rows.slice(0, 4));
    });

    test('a claim says how long the row may still leave, also when its answer was lost', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { ...OFF_PEAK, rows: 2 });
      assert.equal(only(await claimAll(db, made, made.rows.slice(1))).openMs, undefined);
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, 40_000]));
      const claimed = only(await claimAll(db, made, made.rows.slice(0, 1)));
      const { openMs = 0 } = claimed;
      assert.ok(openMs > 20_000 && openMs <= 40_000, `${openMs} ms`);
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, -1]));
      assert.equal(only(await granted(db, [claimed])).openMs, 0, 'the window has shut meanwhile');
    });

    test('nothing is claimed in its last second, and nothing after what is known of it', async () => {
      const { db } = storage();
      const made = await makeBatch(db, OFF_PEAK);
      for (const spans of [[[-HOUR, 900]], []] as [number, number][][]) {
        await setOffPeakWindow(db, await windowAt(db, ...spans));
        assert.equal(await claimOne(made), false);
        assert.deepEqual(await refusalOf(made), { submissionId: made.rows[0], reason: 'window' });
      }
      await setOffPeakWindow(db, await windowAt(db, [0, HOUR]));
      assert.equal(await claimOne(made), true);
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
      const later = await windowAt(db, [3 * HOUR, 4 * HOUR]);
      await setBatchWindow(db, made.id, shut);
      assert.deepEqual(await fedOf(db, made), []);
      assert.equal((await refusalOf(made)).reason, 'window');
      assert.deepEqual(await fedOf(db, other), other.rows);

      await setOffPeakWindow(db, open);
      await setBatchWindow(db, both.id, shut);
      assert.equal(await claimOne(both), false);
      await setBatchWindow(db, both.id, open);
      await setOffPeakWindow(db, shut);
      assert.equal(await claimOne(both), false);
      await setBatchWindow(db, both.id, later);
      const { waitMs = 0 } = await refusalOf(both);
      assert.ok(waitMs > 2 * HOUR, 'until the later of the two');
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
      await until('-1 s');
      assert.equal(await claimOne(made), false);
      assert.deepEqual(await refusalOf(made), { submissionId: made.rows[0], reason: 'expired' });
      assert.deepEqual(await fedOf(db, made), []);
      assert.equal(await workLeft(db, made.origin, [made.id]), 'expired');
      await until('1 h');
      const { openMs = 0 } = only(await claimAll(db, made, made.rows.slice(1)));
      assert.ok(openMs > HOUR - 20_000 && openMs <= HOUR);
      assert.equal(await workLeft(db, made.origin, [made.id]), 'work');
    });
  });

  describe('when a window shuts', () => {
    test('queued rows go back to the ledger, once, and come again when it opens', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [normal = 0, offPeak = 0] = made.rows;
      await db.query(`update vidbatch.submission set model = $2 where id = $1`, [offPeak, OFF_PEAK.model]);
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.deepEqual(await fedOf(db, made), made.rows);
      const lane = `lane-${made.origin}`;
      assert.deepEqual(await withdraw(db, lane), []);
      await setOffPeakWindow(db, await windowAt(db, [HOUR, 2 * HOUR]));
      assert.deepEqual(await withdraw(db, lane), [{ submissionId: offPeak, generation: 1, shut: true }]);
      assert.deepEqual(await withdraw(db, lane), []);
      assert.equal((await storedOne(db, normal)).lane, lane);
      assert.deepEqual(await fedOf(db, made), []);
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.deepEqual(await fedOf(db, made), [offPeak]);
      assert.equal((await storedOne(db, offPeak)).generation, 2);
    });

    test('what is left waits for it, and is not worked on', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [normal = 0, offPeak = 0] = made.rows;
      await db.query(`update vidbatch.submission set model = $2 where id = $1`, [offPeak, OFF_PEAK.model]);
      const left = (): Promise<string> => workLeft(db, made.origin, [made.id]);
      await setOffPeakWindow(db, await windowAt(db, [HOUR, 2 * HOUR]));
      assert.equal(await left(), 'work');
      await claimAll(db, made, [normal]);
      assert.equal(await left(), 'work', 'one is in flight');
      await db.query(
        `update vidbatch.submission set previous = state, state = 'submitted', task_id = 't' where id = $1`,
        [normal],
      );
      assert.equal(await left(), 'later');
      await setOffPeakWindow(db, await windowAt(db, [-HOUR, HOUR]));
      assert.equal(await left(), 'work');
      const inAnHour = `not_before = now() + interval '1 hour'`;
      await db.query(`update vidbatch.submission set ${inAnHour} where id = $1`, [offPeak]);
      assert.equal(await left(), 'later', 'it waits for its own time');
      await db.query(`update vidbatch.submission set attempts = 1 where id = $1`, [offPeak]);
      assert.equal(await left(), 'work', 'it waits for its next try');
    });
  });
});
