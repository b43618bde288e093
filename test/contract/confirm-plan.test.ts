import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { beforeEach, describe, test } from 'node:test';
import { confirmPlan } from '../../src/cli/daily/show-plan.ts';
import { parseMoney, type Money } from '../../src/core/money/money.ts';
import { parsePrices } from '../../src/core/money/prices.ts';
import { checkUnchanged, withCandidate } from '../../src/batch/candidate.ts';
import { plan } from '../../src/batch/plan.ts';
import { bringIn, type ProduceOptions } from '../../src/batch/producer.ts';
import { bring, ManifestFile, ORIGIN, refused, row, send } from './manifest-file.ts';
import { SQL_LEDGERS, onEvery } from './storages.ts';

const prices = parsePrices('{"viduq3p-720p": {"perSecond": "1", "currency": "CNY"}}', 'prices.json');

function money(text: string): Money {
  const read = parseMoney(text);
  assert.ok(read, text);
  return read;
}

onEvery(SQL_LEDGERS, (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  /** What a person reads, and is asked. */
  async function shown(
    file: ManifestFile,
    options: ProduceOptions = {},
  ): Promise<{ text: string; asked: string[] }> {
    let text = '';
    const asked: string[] = [];
    const io = { interactive: true, err: (line: string) => void (text += line), stdin: process.stdin };
    const { db } = storage();
    const bringing = { origin: ORIGIN, ...options };
    await withCandidate(db, file.path, bringing, (candidate) =>
      confirmPlan(
        db,
        { baseUrl: ORIGIN },
        [candidate],
        { options: bringing, assumed: {} },
        io,
        async (_io, question) => void asked.push(question),
      ),
    );
    return { text, asked };
  }

  describe('a person who must agree to the cost', () => {
    test('is asked about what the budget can pay for, and about nothing when it is used up', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2), row(3)]);
      await bring(db, file, { prices });
      await send(db, file, 'prompt 1');
      await bring(db, file, { budget: money('14CNY') });
      const some = await shown(file);
      assert.deepEqual(some.asked, ['Send 2 rows, which cost at most 10.00 CNY, as far as the budget goes?']);
      assert.match(some.text, /9\.00 CNY left, which may not pay for all/);
      await bring(db, file, { budget: money('9CNY') });
      const none = await shown(file);
      assert.deepEqual(none.asked, []);
      assert.match(none.text, /forecast: nothing is sent under this budget/);
      assert.match(none.text, /4\.00 CNY left, which pays for none of these rows/);
      assert.equal((await shown(file, { budget: money('10CNY') })).asked.length, 1);
    });

    test('is not asked about rows that the budget cannot hold: they are refused at once', async () => {
      const file = await new ManifestFile().write([row(1), row(2, { model: 'viduq3p-1080p' })]);
      await assert.rejects(shown(file, { prices, budget: money('9CNY') }), {
        code: 'PRICE_UNKNOWN',
        exitCode: 2,
        message: /row 2 \(line 2, viduq3p-1080p\) has no known price/,
      });
      await file.write([row(1)]);
      await assert.rejects(shown(file, { prices, budget: money('9USD') }), { code: 'OTHER_CURRENCY' });
    });

    test('is asked about nothing that submit then refuses: it is refused at once, in the same words', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('001'), row('b')]);
      await bring(db, file);
      await send(db, file, 'prompt 001');
      const elsewhere = await new ManifestFile().write([row('x', { prompt: 'prompt 001' })]);
      const cases: [string, ManifestFile, Parameters<ManifestFile['write']>[0], ProduceOptions][] = [
        ['SENT_ELSEWHERE', elsewhere, [row('x', { prompt: 'prompt 001' })], {}],
        ['CHANGED_AFTER_SENT', file, [row('001', { prompt: 'edited' }), row('b')], {}],
        ['ROWS_VANISHED', file, [row('001')], {}],
        ['RENAMED_IDS', file, [row('1', { prompt: 'prompt 001' }), row('b')], {}],
        ['KEYS_CHANGED', file, [{ model: 'viduq3p-720p', prompt: 'no id' }], {}],
        ['NO_ROW_IN_COMMON', elsewhere, [row('y')], { batch: file.name }],
        ['OTHER_PROVIDER', file, [row('001'), row('b')], { origin: 'https://elsewhere.example' }],
        [
          'DEADLINE_UNREACHABLE',
          file,
          [row('001'), row('b')],
          { deadline: { at: new Date(0), on: 'fail' as const } },
        ],
      ];
      const seeAll = async (): Promise<unknown> => {
        const tables = ['batch', 'submission', 'event_log', 'staged', 'provider'];
        return Promise.all(
          tables.map(async (table) => (await db.query(`select * from vidbatch.${table} order by 1`)).rows),
        );
      };
      for (const [code, manifest, rows, options] of cases) {
        await manifest.write(rows);
        const before = await seeAll();
        const { refused: foreseen } = await plan(db, manifest.path, { origin: ORIGIN, ...options });
        assert.equal(foreseen?.code, code);
        assert.deepEqual(await seeAll(), before, 'a plan leaves nothing behind');
        await assert.rejects(bring(db, manifest, options), {
          code,
          exitCode: foreseen.exitCode,
          message: foreseen.message,
          hint: foreseen.hint,
        });
        if (code !== 'OTHER_PROVIDER') await assert.rejects(shown(manifest, options), { code });
      }
    });

    test('sees what --rename leaves to be sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('001'), row('002')]);
      await bring(db, file);
      await send(db, file, 'prompt 001', 'prompt 002');
      await file.write([
        row('1', { prompt: 'prompt 001' }),
        row('2', { prompt: 'prompt 002' }),
        row('3', { prompt: 'another' }),
      ]);
      const { text, asked } = await shown(file, { rename: true });
      assert.match(text, /3 rows · 1 new · 2 known/);
      assert.deepEqual(asked, ['Send 1 row, at a cost that is not known?']);
      const { groups } = await plan(db, file.path, { origin: ORIGIN });
      assert.deepEqual(
        groups.map(({ fresh }) => fresh),
        [3],
        'and nothing was renamed by looking',
      );
    });

    test('is not asked about invalid rows: the producer refuses what was shown', async () => {
      const file = await new ManifestFile().write([row(1), row(2, { duration: 99 })]);
      const { text, asked } = await shown(file);
      assert.deepEqual(asked, []);
      assert.match(text, /refused: nothing is sent \[INVALID_ROWS\]/);
      await refused(storage().db, file, {}, 'INVALID_ROWS', 3);
    });

    test('pays for what was shown, or for nothing: a file that is changed meanwhile is refused', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1)]);
      await withCandidate(db, file.path, {}, async (candidate) => {
        await checkUnchanged(candidate);
        await file.write([row(1), row(2)]);
        await assert.rejects(checkUnchanged(candidate), { code: 'MANIFEST_CHANGED', exitCode: 3 });
        assert.equal((await bringIn(db, candidate, {})).added, 1, 'what was staged does not change');
        await rm(file.path);
        await assert.rejects(checkUnchanged(candidate), { code: 'MANIFEST_CHANGED' });
      });
    });
  });
});
