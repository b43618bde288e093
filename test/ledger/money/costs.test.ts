import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatAmount } from '../../../src/core/money/money.ts';
import type { Database } from '../../../src/database/database.ts';
import { readHeld } from '../../../src/ledger/money/budget.ts';
import { readCosts, type Cost, type CostQuery } from '../../../src/ledger/money/costs.ts';
import { claimAll, makeBatch, recordOne, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const ALL: CostQuery = { batchId: null, since: null, by: [], zone: 'UTC' };

function shown({ spent, inFlight, atRisk, billed, ...cost }: Cost): Record<string, unknown> {
  return {
    ...cost,
    spent: formatAmount(spent),
    inFlight: formatAmount(inFlight),
    atRisk: formatAmount(atRisk),
    billed: billed === null ? null : formatAmount(billed),
  };
}

/** Of five rows at 3 CNY: two accepted, one in flight, one uncertain, one rejected. */
async function makeCosts(db: Database): Promise<Made> {
  const made = await makeBatch(db, { rows: 5, price: 3 });
  const [first, second, third, , fifth] = await claimAll(db, made, made.rows);
  assert.ok(first && second && third && fifth);
  await recordOne(db, first, 'accepted');
  await recordOne(db, second, 'accepted');
  await recordOne(db, third, 'uncertain');
  await recordOne(db, fifth, 'rejected');
  return made;
}

/** Sets when the last calls of rows were claimed. */
async function callAt(db: Database, calls: readonly (readonly [row: number, at: Date])[]): Promise<void> {
  await db.query(
    `with called as (
       update vidbatch.attempt a set claimed_at = c.at
         from jsonb_to_recordset($1) as c(id bigint, at timestamptz) where a.submission_id = c.id
       returning a.id, a.claimed_at
     )
     update vidbatch.row_state s set called_at = c.claimed_at from called c where c.id = s.attempt_id`,
    [JSON.stringify(calls.map(([id, at]) => ({ id, at })))],
  );
}

onEvery(SQL_LEDGERS, (storage) => {
  test('what is spent, in flight and at risk adds up to what the batch holds', async () => {
    const { db } = storage();
    const { id } = await makeCosts(db);
    const [cost, ...others] = await readCosts(db, { ...ALL, batchId: id });
    assert.ok(cost);
    assert.deepEqual(others, []);
    assert.deepEqual(shown(cost), {
      currency: 'CNY',
      rows: 4,
      spent: '6',
      inFlight: '3',
      atRisk: '3',
      atRiskRows: 1,
      uncertainRows: 1,
      billed: null,
    });
    assert.equal(formatAmount(await readHeld(db, id)), '12');
  });

  test('costs are grouped by batch, model and day, and only rows since a time count', async () => {
    const { db } = storage();
    const { id, name, rows } = await makeCosts(db);
    await callAt(db, [[rows[0] ?? 0, new Date('2026-03-01T20:00Z')]]);
    const costs = await readCosts(db, {
      batchId: id,
      since: null,
      by: ['batch', 'model', 'day'],
      zone: 'Asia/Shanghai',
    });
    assert.deepEqual(
      costs.map((cost) => [cost.batch, cost.model, cost.rows]),
      [
        [name, 'viduq3p-720p', 1],
        [name, 'viduq3p-720p', 3],
      ],
    );
    assert.equal(costs[0]?.day, '2026-03-02', 'the day in Shanghai');
    const since = await readCosts(db, { ...ALL, batchId: id, since: new Date('2026-03-02T00:00Z') });
    assert.deepEqual(
      since.map(shown).map(({ spent }) => spent),
      ['3'],
    );
  });

  test('a row counts from the moment of its last call, whichever quarter of an hour it was in', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 40, price: 3 });
    for (const claim of await claimAll(db, made, made.rows)) await recordOne(db, claim, 'accepted');
    const start = Date.parse('2026-03-01T00:00Z');
    const quarters = fc.integer({ min: 0, max: 3 });
    // Calls at the edges of quarters, too.
    const moments = fc
      .tuple(quarters, fc.oneof(fc.constantFrom(0, 1, 899_999), fc.integer({ min: 0, max: 899_999 })))
      .map(([quarter, ms]) => new Date(start + quarter * 900_000 + ms));
    await fc.assert(
      fc.asyncProperty(
        fc.array(moments, { minLength: made.rows.length, maxLength: made.rows.length }),
        fc.array(moments, { minLength: 4, maxLength: 4 }),
        async (calls, sinces) => {
          await callAt(
            db,
            made.rows.map((id, n) => [id, calls[n] ?? new Date(start)]),
          );
          for (const since of [...sinces, calls[0] ?? null]) {
            const [cost] = await readCosts(db, { ...ALL, batchId: made.id, since });
            const expected = calls.filter((at) => since === null || at >= since).length;
            assert.equal(cost?.rows ?? 0, expected, String(since?.toISOString()));
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test('bills count in their own currency, less refunds, and rows without a price are counted', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 1 });
    const [claim] = await claimAll(db, made, made.rows);
    assert.ok(claim);
    await recordOne(db, claim, 'accepted');
    await db.query(
      `insert into vidbatch.charge (submission_id, batch_id, model, task_id, identity, occurrence, entry, amount, currency, file, line)
       select s.id, s.batch_id, s.model, 't', c.*
         from vidbatch.row_state s,
              (values ('a', 1, 'charge', 2.5, 'USD', 'bill.csv', 2), ('b', 1, 'refund', 1, 'USD', 'bill.csv', 3)) c
        where s.id = $1`,
      [claim.submissionId],
    );
    await db.query(
      `update vidbatch.charge set billed_at = '2026-03-01T00:10Z' where submission_id = $1 and entry = 'refund'`,
      [claim.submissionId],
    );
    const billedSince = async (minute: string): Promise<unknown> =>
      (await readCosts(db, { ...ALL, batchId: made.id, since: new Date(`2026-03-01T00:${minute}Z`) }))
        .map(shown)
        .find(({ currency }) => currency === 'USD')?.['billed'];
    assert.deepEqual([await billedSince('09'), await billedSince('11')], ['1.5', '2.5']);
    const costs = await readCosts(db, { ...ALL, batchId: made.id });
    assert.deepEqual(
      costs.map(shown).map(({ currency, rows, billed }) => [currency, rows, billed]),
      [
        ['USD', 0, '1.5'],
        [null, 1, null],
      ],
    );
  });
});
