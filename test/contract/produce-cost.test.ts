import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { formatAmount, parseMoney } from '../../src/core/money/money.ts';
import { findBatch } from '../../src/ledger/batches.ts';
import { readBudgetStatus } from '../../src/ledger/money/budget.ts';
import type { Queryable } from '../../src/database/database.ts';
import { parsePrices, type Prices } from '../../src/core/money/prices.ts';
import { bring, ManifestFile, refused, row, send, submissions } from './manifest-file.ts';
import { SQL_LEDGERS, onEvery } from './storages.ts';

const OTHER = 'viduq3p-1080p';

function prices(perSecond: string, more: Record<string, unknown> = {}): Prices {
  return parsePrices(
    JSON.stringify({ 'viduq3p-720p': { perSecond, currency: 'CNY' }, ...more }),
    'prices.json',
  );
}

function money(text: string): NonNullable<ReturnType<typeof parseMoney>> {
  const read = parseMoney(text);
  assert.ok(read);
  return read;
}

onEvery(SQL_LEDGERS, (storage) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  const costs = async (
    db: Parameters<typeof submissions>[0],
    file: ManifestFile,
  ): Promise<(string | null)[]> =>
    (await submissions(db, file)).map(({ price }) => price && `${price.amount} ${price.currency}`);

  const status = async (db: Queryable, file: ManifestFile): Promise<string[]> => {
    const read = await readBudgetStatus(db, (await findBatch(db, file.name))?.id ?? 0);
    return read === undefined ? [] : [read.budget, read.spent, read.left].map((one) => formatAmount(one));
  };

  describe('prices', () => {
    test('are those of the manifest that came last, for rows that were not sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([
        row(1),
        row(2, { duration: 10 }),
        row(3, { model: OTHER }),
      ]);
      await bring(db, file);
      assert.deepEqual(await costs(db, file), [null, null, null], 'nobody has said');
      await bring(db, file, { prices: prices('0.07') });
      assert.deepEqual(await costs(db, file), ['0.35 CNY', '0.7 CNY', null]);
      await send(db, file, 'prompt 1');
      const dearer = prices('1', { [OTHER]: { perVideo: '2.50', currency: 'USD' } });
      await bring(db, file, { prices: dearer });
      assert.deepEqual(await costs(db, file), ['0.35 CNY', '10 CNY', '2.5 USD']);
      await bring(db, file);
      assert.deepEqual(await costs(db, file), ['0.35 CNY', '10 CNY', '2.5 USD'], 'nothing was said of them');
      await file.write([row(1), row(2, { duration: 3 }), row(3, { model: OTHER })]);
      await bring(db, file);
      assert.deepEqual(
        await costs(db, file),
        ['0.35 CNY', null, '2.5 USD'],
        'another request has another price',
      );
    });
  });

  describe('a budget', () => {
    test('wants a price of every row, in its currency; otherwise nothing is changed', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([
        row(1),
        row(2, { model: OTHER }),
        row(3, { model: OTHER }),
      ]);
      const budget = money('10CNY');
      await refused(
        db,
        file,
        { budget, prices: prices('1') },
        'PRICE_UNKNOWN',
        2,
        'row 2 (line 2',
        '1 more rows',
      );
      assert.equal(await findBatch(db, file.name), undefined);
      const dollars = prices('1', { [OTHER]: { perSecond: '1', currency: 'USD' } });
      await refused(
        db,
        file,
        { budget, prices: dollars },
        'OTHER_CURRENCY',
        2,
        'a budget in CNY',
        'costs USD',
      );
      const all = prices('1', { [OTHER]: { perSecond: '1', currency: 'CNY' } });
      await bring(db, file, { budget, prices: all });
      assert.deepEqual(await status(db, file), ['10', '0', '10']);
      await file.write([
        row(1),
        row(2, { model: OTHER }),
        row(3, { model: OTHER }),
        row(4, { model: 'viduq3t-540p' }),
      ]);
      await refused(db, file, {}, 'PRICE_UNKNOWN', 2, 'row 4');
    });

    test('is changed by another one, and that is in the event log', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2), row(3)]);
      await bring(db, file, { prices: prices('1') });
      await send(db, file, 'prompt 1');
      await bring(db, file, { budget: money('12CNY') });
      assert.deepEqual(await status(db, file), ['12', '5', '7'], 'what was sent before is counted');
      await bring(db, file);
      await bring(db, file, { budget: money('12.00CNY') });
      assert.deepEqual(await status(db, file), ['12', '5', '7']);
      await bring(db, file, { budget: money('3CNY') });
      assert.deepEqual(
        await status(db, file),
        ['3', '5', '-2'],
        'less than what is spent: nothing more is sent',
      );
      await bring(db, file, { budget: null });
      assert.deepEqual(await status(db, file), []);
      const { rows } = await db.query<{ detail: string }>(
        `select detail from vidbatch.event_log where event = 'budget' order by id`,
      );
      assert.deepEqual(
        rows.map(({ detail }) => detail),
        ['none → 12.00 CNY', '12.00 CNY → 3.00 CNY', '3.00 CNY → none'],
      );
    });

    test('in another currency does not fit rows that were paid already', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2)]);
      await bring(db, file, { prices: prices('1') });
      await send(db, file, 'prompt 1');
      const dollars = parsePrices('{"viduq3p-720p": {"perSecond": "0.2", "currency": "USD"}}', 'p.json');
      await refused(
        db,
        file,
        { prices: dollars, budget: money('5USD') },
        'OTHER_CURRENCY',
        2,
        'row 1',
        'costs CNY',
      );
    });
  });
});
