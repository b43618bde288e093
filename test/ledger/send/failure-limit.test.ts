import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findBatch } from '../../../src/ledger/batches.ts';
import { resume } from '../../../src/ledger/operator/pause.ts';
import type { Database } from '../../../src/database/database.ts';
import { readRemainingWork } from '../../../src/ledger/send/remaining-work.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import { FEWEST_OUTCOMES } from '../../../src/ledger/send/decide/limits.ts';
import { restartCounts, setFailureLimits } from '../../../src/ledger/send/failure-limit.ts';
import {
  claimAll,
  letTimePass,
  makeBatch,
  outcomeOf,
  recordOne,
  resultOf,
  tryAlone,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const REFUSED = outcomeOf('rejected', { message: 'no such style' });

async function stopOf(db: Database, { name }: Made): Promise<string | null> {
  const batch = await findBatch(db, name);
  return batch?.state === 'stopped' ? batch.stopReason : null;
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('a batch that is wrong as a whole', () => {
    test('is stopped when fifty outcomes are known and the share of failures is reached; other batches continue', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: FEWEST_OUTCOMES + 4 });
      const other = await makeBatch(db, { rows: 2, origin: made.origin });
      await setFailureLimits(db, made.id, { failShare: 0.1 });
      const claims = await claimAll(db, made, made.rows.slice(0, FEWEST_OUTCOMES + 2));
      const results = claims.map((one, n) => resultOf(one, n < 5 ? REFUSED : 'accepted'));
      await record(db, results.slice(0, FEWEST_OUTCOMES - 1));
      assert.equal(await stopOf(db, made), null, 'a share of 49 says nothing yet');
      await record(db, results.slice(FEWEST_OUTCOMES - 1, FEWEST_OUTCOMES));
      assert.equal(
        await stopOf(db, made),
        '5 of 50 rows failed, and 10% stop the batch',
        'also when the one that completes the fifty is accepted',
      );
      await assert.rejects(claimAll(db, made, made.rows.slice(-1)), 'nothing of it is claimed');
      await claimAll(db, other, other.rows);
      await record(db, results.slice(FEWEST_OUTCOMES));
      assert.equal(
        await readRemainingWork(db, made.origin, [made.id]),
        'halted',
        'what was in flight is recorded',
      );
    });

    test('continues after resume, and is judged by rows that are sent from then on', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 * FEWEST_OUTCOMES + 10 });
      await setFailureLimits(db, made.id, { failShare: 0.5 });
      const before = await claimAll(db, made, made.rows.slice(0, FEWEST_OUTCOMES + 5));
      const [first, late] = [before.slice(0, FEWEST_OUTCOMES), before.slice(FEWEST_OUTCOMES)];
      await record(
        db,
        first.map((one) => resultOf(one, REFUSED)),
      );
      assert.equal(
        await stopOf(db, made),
        '50 of 50 rows failed, and 50% stop the batch; the last: no such style',
      );
      await resume(db, made.id);
      await record(
        db,
        late.map((one) => resultOf(one, REFUSED)),
      );
      const after = await claimAll(db, made, made.rows.slice(FEWEST_OUTCOMES + 5));
      const failing = (n: number): boolean => n < FEWEST_OUTCOMES / 2 - 1;
      await record(
        db,
        after.slice(0, FEWEST_OUTCOMES).map((one, n) => resultOf(one, failing(n) ? REFUSED : 'accepted')),
      );
      assert.equal(await stopOf(db, made), null, 'five that were claimed before do not count');
      await recordOne(db, after[FEWEST_OUTCOMES] ?? { attemptId: '' }, REFUSED);
      await recordOne(db, after[FEWEST_OUTCOMES + 1] ?? { attemptId: '' }, REFUSED);
      assert.match((await stopOf(db, made)) ?? '', /^26 of 52 rows failed/);
    });
  });

  describe('a batch with canaries', () => {
    async function withCanaries(rows: number, canaryRows: number): Promise<Made> {
      const made = await makeBatch(storage().db, { rows, proven: false });
      await setFailureLimits(storage().db, made.id, { canaryRows });
      await restartCounts(storage().db, made.id);
      return made;
    }

    test('sends its canary rows one after another, and the rest when they are accepted', async () => {
      const { db } = storage();
      const made = await withCanaries(6, 3);
      for (const id of made.rows.slice(0, 3)) {
        await assert.rejects(claimAll(db, made, [id]), 'not in groups');
        const one = await tryAlone(db, made, id);
        assert.ok(one);
        assert.equal(await tryAlone(db, made, made.rows[5] ?? 0), undefined, 'one at a time');
        await recordOne(db, one, 'accepted');
      }
      await claimAll(db, made, made.rows.slice(3));
    });

    test('is stopped by one that is refused', async () => {
      const { db } = storage();
      const made = await withCanaries(4, 2);
      const [first = 0, second = 0, third = 0] = made.rows;
      await recordOne(db, (await tryAlone(db, made, first)) ?? { attemptId: '' }, 'accepted');
      await recordOne(db, (await tryAlone(db, made, second)) ?? { attemptId: '' }, REFUSED);
      assert.equal(
        await stopOf(db, made),
        'row k2 failed, and the first 2 rows must be accepted before the rest: no such style',
      );
      assert.equal(await tryAlone(db, made, third), undefined);
      await resume(db, made.id);
      const again = await tryAlone(db, made, third);
      assert.ok(again, 'and begins anew');
      await recordOne(db, again, 'accepted');
      await assert.rejects(claimAll(db, made, made.rows.slice(3)), 'two are wanted again');
    });

    test('without a known outcome is replaced by another, and counts when its answer comes', async () => {
      const { db } = storage();
      const made = await withCanaries(4, 2);
      const [first = 0, second = 0] = made.rows;
      const lost = await tryAlone(db, made, first);
      assert.ok(lost);
      await letTimePass(db, made, 60_001);
      await sweep(db);
      const next = await tryAlone(db, made, second);
      assert.ok(next, 'its worker was killed');
      await recordOne(db, next, 'accepted');
      await assert.rejects(claimAll(db, made, made.rows.slice(2)));
      await recordOne(db, lost, 'accepted');
      await claimAll(db, made, made.rows.slice(2));
    });
  });
});
