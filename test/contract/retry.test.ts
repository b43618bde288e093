import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { beforeEach, describe, test } from 'node:test';
import { formatBudget } from '../../src/batch/budget.ts';
import { withVersions } from '../../src/batch/retry.ts';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import { readBudgetStatus } from '../../src/ledger/money/budget.ts';
import type { Database } from '../../src/database/database.ts';
import { readEventLog } from '../../src/ledger/read/rows.ts';
import {
  countRetryable,
  retry,
  retryChanged,
  type Chosen,
  type Versions,
} from '../../src/ledger/operator/retry.ts';
import { readGates, readRowGates } from '../../src/operate/gates.ts';
import {
  bring,
  ManifestFile,
  plain,
  refused,
  row,
  send,
  states,
  submissions,
  told,
} from './manifest-file.ts';
import { LEDGERS, onEvery } from './storages.ts';

onEvery(LEDGERS, (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  /** Rows a to f: rejected twice, exhausted, submitted, uncertain, invalid. */
  async function mixed(db: Database): Promise<ManifestFile> {
    const file = await new ManifestFile().write(
      ['a', 'b', 'c', 'd', 'e'].map((id) => row(id)).concat(row('f', { duration: 99 })),
    );
    await bring(db, file, { keepGoing: true });
    const end = (
      id: string,
      state: string,
      code: string | null,
      task: string | null = null,
    ): Promise<unknown> =>
      db.query(
        `update vidbatch.row_state set previous = 'submitting', state = $2, error_code = $3, error = $3, task_id = $4,
                http_status = 400 where id = (select id from vidbatch.row where row_key = $1)`,
        [id, state, code, task],
      );
    // In two steps, as the database knows no shorter way.
    await db.query(
      `update vidbatch.row_state set previous = state, state = 'submitting', attempts = 1, deadline = now(),
              attempt_id = gen_random_uuid() where state = 'pending'`,
    );
    await end('a', 'rejected', 'invalid_request');
    await end('b', 'rejected', 'TaskPromptPolicyViolation');
    await end('c', 'exhausted', 'ECONNREFUSED');
    await end('d', 'submitted', null, 'task_1');
    await end('e', 'uncertain', 'ECONNRESET');
    return file;
  }

  const batchOf = async (db: Database, file: ManifestFile): Promise<Batch> =>
    (await findBatch(db, file.name)) as Batch;

  describe('retry', () => {
    test('takes the rows that all of its filters choose, and shows first how they ended', async () => {
      const { db } = storage();
      const file = await mixed(db);
      const { id } = await batchOf(db, file);
      assert.deepEqual(
        new Set(
          (await countRetryable(db, id, {})).map(
            ({ state, errorCode, rows }) => `${rows} ${state} ${errorCode}`,
          ),
        ),
        new Set([
          '1 exhausted ECONNREFUSED',
          '1 rejected invalid_request',
          '1 rejected TaskPromptPolicyViolation',
        ]),
      );
      const both: Chosen = {
        states: ['rejected', 'submitted'],
        errorCodes: ['invalid_request', 'ECONNREFUSED'],
      };
      assert.equal(await retry(db, id, { ...both, keys: ['b', 'c'] }), 0);
      assert.equal(await retry(db, id, both), 1);
      assert.equal(await retry(db, id, { keys: ['c', 'd', 'e', 'f'] }), 1);
      assert.deepEqual(await states(db, file), [
        'pending',
        'rejected',
        'pending',
        'submitted',
        'uncertain',
        'invalid',
      ]);
    });
  });

  describe('retry --changed', () => {
    const take = async (
      db: Database,
      file: ManifestFile,
      chosen: Chosen = {},
    ): Promise<[Versions, number]> => {
      const batch = await batchOf(db, file);
      return withVersions(db, batch, file.path, { chosen }, async (versions, importId) => [
        versions,
        await retryChanged(db, batch.id, importId, chosen, 'anna'),
      ]);
    };

    test('takes new versions of rejected and invalid rows, and of no other', async () => {
      const { db } = storage();
      const file = await mixed(db);
      await file.write([
        row('a', { prompt: 'A' }),
        row('b'),
        row('c', { prompt: 'C' }),
        row('d', { prompt: 'D' }),
        row('e', { prompt: 'E' }),
        row('f', { duration: 9 }),
        row('g'),
      ]);
      const before = await submissions(db, file);
      assert.deepEqual(await take(db, file), [
        { changed: 2, invalid: 0, same: 1, others: 3, unknown: 1, elsewhere: 0 },
        2,
      ]);
      const after = await submissions(db, file);
      assert.deepEqual(
        after.map(({ key, state }) => `${key} ${state}`),
        ['a pending', 'b rejected', 'c exhausted', 'd submitted', 'e uncertain', 'f pending'],
      );
      assert.equal((JSON.parse(after[0]?.request ?? '') as { prompt: string }).prompt, 'A');
      assert.deepEqual(after.slice(1, 5), before.slice(1, 5));
      assert.deepEqual([after[0]?.spent, after[0]?.error], [0, null]);
    });

    test('keeps the price if model and duration are the same: the rows still fit the budget', async () => {
      const { db } = storage();
      const file = await mixed(db);
      await db.query(`update vidbatch.row_state set price = 4, currency = 'CNY'`);
      await file.write([row('a', { prompt: 'A', duration: 5 }), row('b', { duration: 9 })]);
      assert.equal((await take(db, file))[1], 2);
      const prices = (await submissions(db, file)).map(({ price }) => price?.amount ?? null);
      assert.deepEqual(prices.slice(0, 2), ['4', null]);
    });

    test('says what a row without a known price waits for under a budget', async () => {
      const { db } = storage();
      const file = await mixed(db);
      await db.query(`update vidbatch.row_state set price = 4, currency = 'CNY'`);
      await db.query(`update vidbatch.batch set budget = 100, budget_currency = 'CNY', held = 8`);
      await file.write([row('a', { prompt: 'A', duration: 5 }), row('b', { duration: 9 })]);
      assert.equal((await take(db, file))[1], 2);
      const batch = await batchOf(db, file);
      const gatesOf = async (n: number): Promise<string[]> => {
        const [view] = (await submissions(db, file)).slice(n);
        assert.ok(view);
        return (await readRowGates(db, batch, view)).map(({ gate, reason }) => `${gate}: ${reason}`);
      };
      const [gate = '', ...more] = await gatesOf(1);
      assert.match(gate, /^budget: its price is not known, .+ submit .+ --prices/);
      assert.deepEqual([more, await gatesOf(0)], [[], []]);
      const status = await readBudgetStatus(db, batch.id);
      assert.ok(status);
      assert.match(formatBudget(status), / left · 1 row has no known price$/);
      assert.deepEqual(await readGates(db, batch), [], 'the other one may go');

      await db.query(`update vidbatch.row_state set price = null, currency = null where state = 'pending'`);
      const [all] = await readGates(db, batch);
      assert.match(all?.reason ?? '', /^the price of the remaining rows is not known, .+ submit .+ --prices/);
      assert.equal((await gatesOf(1)).length, 1);
    });

    test('keeps what was refused in the event log: the request and its end, or what was read', async () => {
      const { db } = storage();
      const file = await mixed(db);
      await file.write([row('a', { prompt: 'A' }), row('f', { duration: 9 })]);
      await take(db, file, { states: ['rejected'] });
      // A manifest that is submitted takes new versions too.
      await bring(db, file, { vanished: 'keep' });
      const rows = await submissions(db, file);
      const [a, f] = ['a', 'f'].map((key) => rows.find((one) => one.key === key));
      const [refused] = await readEventLog(db, a?.id ?? 0);
      assert.deepEqual([refused?.event, refused?.who], ['retry --changed', 'anna']);
      assert.equal(
        refused?.detail,
        'was rejected (HTTP 400 · invalid_request · invalid_request), with the request {"model":"viduq3p-720p","prompt":"prompt a"}',
      );
      const [unread] = await readEventLog(db, f?.id ?? 0);
      assert.equal(unread?.event, 'submit');
      assert.match(
        unread.detail,
        /^was invalid \(duration-range · .*\), and had been read as \{"id":"f",.*"duration":99\}$/,
      );
    });

    test('leaves a row that still cannot be sent, and says so; what another batch has sent is counted', async () => {
      const { db } = storage();
      const file = await mixed(db);
      const other = await new ManifestFile().write([row('z', { prompt: 'elsewhere' })]);
      await bring(db, other);
      await db.query(
        `update vidbatch.row_state set previous = 'pending', state = 'uncertain' where id = (select id from vidbatch.row where row_key = 'z')`,
      );
      await file.write([row('a', { prompt: 'elsewhere' }), row('f', { duration: 98 })]);
      const [versions, taken] = await take(db, file, { keys: ['f', 'a'], states: ['invalid', 'rejected'] });
      assert.deepEqual(versions, { changed: 1, invalid: 1, same: 0, others: 0, unknown: 0, elsewhere: 1 });
      assert.equal(taken, 1);
    });

    test('what it has replaced is not put back by the old manifest, before it is sent or after', async () => {
      const { db } = storage();
      const file = await mixed(db);
      const old = await readFile(file.path, 'utf8');
      await file.write([row('a', { prompt: 'A' }), row('f', { duration: 9 })]);
      await take(db, file);
      await writeFile(file.path, old);
      const again = (...parts: string[]): Promise<void> =>
        refused(db, file, { keepGoing: true, again: true }, 'NEWER_IN_LEDGER', 3, ...parts);
      await again(
        '2 rows of batch',
        'ledger:   {"model":"viduq3p-720p","prompt":"A"}',
        '"prompt":"prompt a"',
      );
      await send(db, file, 'A');
      await again('2 rows of batch', 'a (submitted)');
      const newer = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => row(id, id === 'a' ? { prompt: 'A' } : {}));
      await file.write([...newer.slice(0, 5), row('f', { duration: 9 })]);
      assert.deepEqual(told(await bring(db, file)), { rows: 6, known: 6 }, 'with the change, it is the same');
      await file.write([...newer.slice(0, 5), row('f', { duration: 8 })]);
      assert.deepEqual(
        told(await bring(db, file)),
        { rows: 6, known: 5, updated: 1 },
        'a third one is taken',
      );
    });

    test('needs ids: without them, a row of other content is another row', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('p')]);
      await bring(db, file);
      await assert.rejects(take(db, file), { code: 'IDS_NEEDED', exitCode: 2 });
    });
  });
});
