import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FindingType } from '../../../src/results/audit/finding-type.ts';
import { readBilled } from '../../../src/ledger/audit/provider-lines.ts';
import { priceOf } from '../../../src/core/money/prices.ts';
import { MISTAKE_NAMES, type Mistake } from '../../../src/simulator/mistake.ts';
import { openAccount, type Account, type Row } from './account.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

/** What each mistake of the simulator's books is found as. */
const FOUND: Record<Mistake, FindingType> = {
  missing: 'only-ledger',
  unlisted: 'unlisted',
  extra: 'only-provider',
  'other-model': 'model-differs',
  'other-duration': 'duration-differs',
  'other-end': 'status-differs',
  unbilled: 'free-completed',
  'billed-twice': 'charged-twice',
  'billed-failed': 'charged-failed',
  'other-amount': 'amount-differs',
  'other-currency': 'currency-differs',
  refunded: 'refunded-completed',
  'refund-alone': 'refund-too-high',
  unreadable: 'unreadable',
  'billed-refused': 'charged-rejected',
};

const EACH = 3;
const CLEAN = 30;

function row(name: string, n: number): Row {
  return { id: `${name}-${n}`, prompt: `${name}-${n}.`, model: 'viduq3p-720p', duration: 1 + (n % 8) };
}

const many = (name: string, n = EACH): Row[] => Array.from({ length: n }, (_, index) => row(name, index));

describe('a bill with every kind of difference', () => {
  onEvery(SQL_LEDGERS, (storage) => {
    let account: Account;

    before(async () => {
      const rows = [...MISTAKE_NAMES, 'lost', 'broken', 'throttled', 'failing'].flatMap((name) => many(name));
      account = await openAccount(storage().db, [...rows, ...many('clean', CLEAN)]);
      const { faults } = account.simulator;
      for (const mistake of MISTAKE_NAMES) faults.add({ match: { prompt: `${mistake}-` }, mistake });
      for (const prompt of ['billed-failed-', 'failing-'])
        faults.add({ match: { prompt }, task: { ends: 'failed' } });
      faults.add({ match: { prompt: 'billed-refused-' }, fault: 'policy' });
      faults.add({ match: { prompt: 'lost-' }, fault: 'status-502:created' });
      faults.add({ match: { prompt: 'broken-' }, fault: 'status-502:not-created' });
      faults.add({ match: { prompt: 'throttled-', times: EACH }, fault: 'throttle' });
      for (const prompt of ['broken-', 'throttled-'])
        faults.add({ match: { prompt }, mistake: 'billed-refused' });
      await account.send();
      await account.send();
    });
    after(() => account.close());

    /** Which kinds were found of which rows. */
    async function found(): Promise<Record<string, string[]>> {
      const extra = await account.write(
        'extra.csv',
        'task_id,created_at,amount,currency,type\nold,1000000000,5,CNY,charge\n,1000000000,100,CNY,top-up\n,,1,CNY,charge\n',
      );
      const files = [await account.book('list.json'), await account.book('bill.csv'), extra];
      const { findings } = await account.audit(files, {
        price: (model, duration) =>
          priceOf(account.prices, { model, ...(duration === null ? {} : { duration }) }),
      });
      const all: Record<string, string[]> = {};
      for (const { kinds, row: known, lines } of findings) {
        const name =
          known?.key ?? (known?.subject.replace(/_\d+$/, '') || `${lines[0]?.file}:${lines[0]?.line}`);
        for (const kind of kinds) (all[kind] ??= []).push(name);
      }
      return Object.fromEntries(Object.entries(all).map(([kind, names]) => [kind, names.sort()]));
    }

    test('has each of them found, and none invented', async () => {
      const keys = (name: string, n = EACH): string[] => many(name, n).map(({ id }) => id);
      const expected: Record<string, string[]> = {};
      const expect = (kind: FindingType, names: string[]): void =>
        void (expected[kind] ??= []).push(...names);
      for (const mistake of MISTAKE_NAMES) {
        if (mistake !== 'extra') expect(FOUND[mistake], keys(mistake));
      }
      expect(
        'only-provider',
        Array.from({ length: EACH }, () => 'task_never_created'),
      );
      expect('matched', [...keys('clean', CLEAN), ...keys('throttled'), ...keys('extra')]);
      expect('refunded', keys('failing'));
      // What the answer to the lost ones was, the ledger knows by the request id alone.
      expect('charged-uncertain', [...keys('lost'), ...keys('broken')]);
      expect('charged-unsent', keys('throttled'));
      expect('foreign', ['old']);
      expect('no-task', ['extra.csv:3']);
      expect('unreadable', ['extra.csv:4']);
      for (const names of Object.values(expected)) names.sort();
      assert.deepEqual(await found(), expected);
      assert.ok(Object.keys(expected).length >= 18, 'kinds');
    });

    test('has what was billed stored, and storing it twice changes nothing', async () => {
      const { db } = storage();
      const stored = async (): Promise<unknown> =>
        (
          await db.query(
            'select * from vidbatch.charge order by submission_id, task_id, identity, occurrence',
          )
        ).rows;
      const files = [await account.book('bill.csv')];
      await account.audit(files);
      const [once, billed] = [await stored(), await readBilled(db, account.batch.id)];
      assert.equal((await account.audit(files)).stored, 0);
      assert.equal(
        (await account.audit([await account.book('bill.json')])).stored,
        0,
        'the same bill as JSON',
      );
      assert.deepEqual(await stored(), once);
      const tasks = account.simulator
        .providerFiles()
        .bill.filter(
          ({ currency, amount, task_id }) => currency === 'CNY' && amount !== 'n/a' && task_id !== '',
        );
      const known = (
        await db.query<{ task_id: string }>('select task_id from vidbatch.attempt where task_id is not null')
      ).rows;
      const ours = tasks.filter(({ task_id }) => known.some((one) => one.task_id === task_id));
      const thousandths = ours.reduce(
        (sum, { type, amount }) => sum + Math.round(Number(amount) * 1000) * (type === 'charge' ? 1 : -1),
        0,
      );
      const cny = billed.find(({ currency }) => currency === 'CNY');
      assert.equal(Math.round(Number(cny?.amount) * 1000), thousandths);
      assert.equal(cny?.tasks, new Set(ours.map(({ task_id }) => task_id)).size);

      // A list with its costs says no more than the bill has said.
      const costs = ours.map(({ task_id, amount }) => `${task_id},completed,${amount},CNY`);
      await account.audit([
        await account.write('costs.csv', ['task_id,status,cost,currency', ...costs].join('\n')),
      ]);
      assert.deepEqual(await readBilled(db, account.batch.id), billed);
    });

    test('is not compared with a file without entries, unless a person gives the time of the file', async () => {
      const nothing = await account.write('nothing.json', '[]');
      await assert.rejects(account.audit([nothing]), { code: 'NO_ENTRIES', exitCode: 2 });
      const { files, summary } = await account.audit([nothing], { since: 0 });
      assert.partialDeepStrictEqual(files, [{ file: 'nothing.json', lines: 0, listed: true, billed: false }]);
      assert.ok(
        summary.count('only-ledger') > 0 && summary.count('not-covered') === 0,
        'a list that has none of them',
      );
    });

    test('is not compared where a mapped header is in none of the files', async () => {
      const files = [await account.book('list.json'), await account.book('bill.csv')];
      const map = (header: string): Map<string, string> => new Map([[header, 'task_id']]);
      await assert.rejects(account.audit(files, { map: map('nosuch') }), {
        code: 'NO_SUCH_HEADER',
        exitCode: 2,
      });
      await account.audit([await account.write('other.csv', '单号,status\nt,completed\n'), ...files], {
        map: map('单号'),
      });
    });

    test('leaves nothing of its files behind', async () => {
      for (const table of ['listed', 'paired', 'suspect', 'import']) {
        const { rows } = await storage().db.query(`select 1 from vidbatch.${table}`);
        assert.equal(rows.length, 0, table);
      }
    });
  });
});
