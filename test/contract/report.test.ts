import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { formatEstimate } from '../../src/batch/estimate.ts';
import { parsePrices } from '../../src/core/money/prices.ts';
import { readReport } from '../../src/operate/report.ts';
import { bring, ManifestFile, ORIGIN, row } from './manifest-file.ts';
import { LEDGERS, onEvery } from './storages.ts';

onEvery(LEDGERS, (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  /** Ten rows: each was throttled once, five accepted, five rejected; the n-th answer took n seconds. */
  async function sent(db: Database): Promise<Batch> {
    const file = await new ManifestFile().write(
      Array.from({ length: 10 }, (_, n) => row(n, n === 0 ? { duration: 8 } : {})),
    );
    await bring(db, file);
    await db.query(
      `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, claimed_at, deadline, finished_at,
                                     outcome, http_status, error_code, error, task_id)
       select gen_random_uuid(), s.id, t.number, 'w', $1, 0, '2026-03-01T00:00:00Z', '2026-03-01T01:00:00Z',
              timestamptz '2026-03-01T00:00:00Z' + s.line * interval '1 second',
              case when t.number = 1 then 'throttled' when s.line <= 5 then 'accepted' else 'rejected' end,
              case when t.number = 1 then 429 when s.line <= 5 then 200 else 400 end,
              case when t.number = 1 then 'rate' when s.line > 5 then 'policy' end,
              case when t.number = 2 and s.line > 5 then 'no ' || s.row_key end,
              case when t.number = 2 and s.line <= 5 then 'task_' || s.row_key end
         from vidbatch.submission s cross join (values (1), (2)) t(number)`,
      [ORIGIN],
    );
    await db.query(
      `update vidbatch.row_state set previous = state, state = 'submitting', attempts = 2, deadline = now(),
              attempt_id = (select a.id from vidbatch.attempt a where a.submission_id = row_state.id and number = 2)`,
    );
    await db.query(
      `update vidbatch.row_state s set previous = state, state = case when line <= 5 then 'submitted' else 'rejected' end,
              task_id = case when line <= 5 then 'task_' || row_key end,
              provider_status = case when line <= 2 then 'completed' when line = 3 then 'failed' end
         from vidbatch.row r where r.id = s.id`,
    );
    await db.query(
      `insert into vidbatch.charge (submission_id, batch_id, model, task_id, identity, occurrence, entry, amount, currency, file, line)
       select id, batch_id, model, task_id, 'i', n, case n when 1 then 'charge' else 'refund' end, case n when 1 then 2.50 else 0.10 end, 'CNY', 'f', 1
         from vidbatch.submission cross join (values (1), (2)) c(n) where line <= 2`,
    );
    return (await findBatch(db, file.name)) as Batch;
  }

  describe('a report', () => {
    test('counts calls, how long their answers took, and how they ended, with three examples', async () => {
      const { db } = storage();
      const seen = await readReport(db, await sent(db), new Map());
      const { calls, endings, durationMs } = seen;
      assert.deepEqual([calls.total, calls.open, calls.repeated, calls.throttled], [20, 0, 10, 10]);
      assert.deepEqual([calls.latency?.p50, calls.latency?.max, durationMs], [5500, 10_000, 10_000]);
      assert.deepEqual(
        endings.map(({ outcome, errorCode, calls: n, examples }) => [outcome, errorCode, n, examples.length]),
        [
          ['throttled', 'rate', 10, 3],
          ['accepted', null, 5, 0],
          ['rejected', 'policy', 5, 3],
        ],
      );
      const [example] = endings[2]?.examples ?? [];
      assert.equal(example?.error, `no ${example?.key}`);
      assert.equal(example.httpStatus, 400);
    });

    test('says how many tasks are settled, and what they cost, by the prices and by the bill', async () => {
      const { db } = storage();
      const prices = parsePrices('{"viduq3p-720p":{"perSecond":"0.5","currency":"CNY"}}', 'prices.json');
      const { tasks, estimated, billed } = await readReport(db, await sent(db), prices);
      assert.deepEqual(tasks.byStatus, { completed: 2, failed: 1, open: 2 });
      assert.equal(tasks.settled, 3);
      assert.deepEqual(
        estimated?.totals.map(({ amount, currency }) => [
          Number(amount.units) / 10 ** amount.scale,
          currency,
        ]),
        [[14, 'CNY']],
      );
      assert.deepEqual(billed, [{ currency: 'CNY', amount: '4.80', tasks: 2 }]);
    });

    test('goes by the prices that the ledger has where no others are given', async () => {
      const { db } = storage();
      const batch = await sent(db);
      assert.equal((await readReport(db, batch, new Map())).estimated, null);
      await db.query(
        `update vidbatch.row_state set price = 0.75, currency = 'CNY' where id in (select id from vidbatch.row where line <= 4)`,
      );
      const { estimated } = await readReport(db, batch, new Map());
      assert.match(formatEstimate(estimated ?? assert.fail()), /^at most 3\.00 CNY, and unknown for 1 row;/);
    });

    test('shows one moment, even if answers are recorded while it is read', async () => {
      const { db, kind } = storage();
      const batch = await sent(db);
      let changed: Promise<unknown> | undefined;
      const moving: Database = {
        query: (text, params) => db.query(text, params),
        end: () => db.end(),
        async connect() {
          const session = await db.connect();
          return {
            release: (destroy) => session.release(destroy),
            async query<Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
              const result = await session.query<Row>(text, params);
              if (!text.includes('vidbatch.')) return result;
              changed ??= db.query(
                `update vidbatch.row_state set provider_status = 'completed' where id = (select id from vidbatch.row where line = 4)`,
              );
              // An embedded ledger has one session at a time: what is written meanwhile waits.
              if (kind === 'postgres') await changed;
              return result;
            },
          };
        },
      };
      assert.equal((await readReport(moving, batch, new Map())).tasks.byStatus['completed'], 2);
      await changed;
      assert.equal((await readReport(db, batch, new Map())).tasks.byStatus['completed'], 3);
    });

    test('is empty for a batch without sent rows', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1)]);
      await bring(db, file);
      const { calls, endings, durationMs, tasks, billed } = await readReport(
        db,
        (await findBatch(db, file.name)) as Batch,
        new Map(),
      );
      assert.deepEqual([calls.total, calls.latency, durationMs], [0, null, null]);
      assert.deepEqual([endings, billed, tasks.byStatus], [[], [], {}]);
    });
  });
});
