import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  formatAmount,
  moneyJson,
  parseMoney,
  sums,
  formatMoney,
  type Money,
} from '../../../src/core/money/money.ts';
import { formatEstimate, estimate } from '../../../src/batch/estimate.ts';
import { configuredModels } from '../../../src/provider/profile/models.ts';
import { parsePrices, priceOf, readPrices } from '../../../src/core/money/prices.ts';
import { DEFAULTS } from '../../../src/simulator/settings.ts';

const PRICES = parsePrices(
  JSON.stringify({
    'viduq3p-720p': { perSecond: '0.07', currency: 'CNY' },
    'viduq3t-720p': { perVideo: '0.1', currency: 'USD' },
  }),
  'prices.json',
);

function money(text: string): Money {
  const read = parseMoney(text);
  assert.ok(read, text);
  return read;
}

describe('a price file', () => {
  it('says what a row costs at most: its seconds or the default ones, or the video', () => {
    const cost = (model: string, duration?: number): unknown => {
      const known = priceOf(PRICES, { model, ...(duration === undefined ? {} : { duration }) });
      return known && moneyJson(known);
    };
    assert.deepEqual(cost('viduq3p-720p', 16), { amount: '1.12', currency: 'CNY' });
    assert.deepEqual(cost('viduq3p-720p'), { amount: '0.35', currency: 'CNY' });
    assert.deepEqual(cost('viduq3t-720p', 16), { amount: '0.1', currency: 'USD' });
    assert.equal(cost('viduq3p-1080p', 16), undefined, 'an unknown price is not zero');
  });

  it('is refused with its name, the place, and what is allowed there', () => {
    const refused = (text: string, says: RegExp): void =>
      assert.throws(() => parsePrices(text, 'p.json'), { code: 'BAD_PRICES', exitCode: 2, message: says });
    const one = (price: unknown, says: RegExp): void => refused(JSON.stringify({ m: price }), says);
    refused('{', /^p\.json: is not JSON/);
    refused('[]', /^p\.json: an array is not an object of models/);
    refused(
      '{"m": {"perVideo": "1", "currency": "CNY", "perVideo": "2"}}',
      /^p\.json: m\.perVideo: the key occurs twice/,
    );
    one(
      5,
      /^p\.json: m: the number 5 is not a price: an object with currency, and either perSecond or perVideo$/,
    );
    one(
      { perSecond: 0.5, currency: 'CNY' },
      /^p\.json: m\.perSecond: the number 0\.5 is to be text, such as "0\.5"/,
    );
    one({ perSecond: '-1', currency: 'CNY' }, /^p\.json: m\.perSecond: "-1" is not an amount of 0 or more/);
    one({ perSecond: '1,5', currency: 'CNY' }, /^p\.json: m\.perSecond: "1,5" is not an amount/);
    one({ perSecond: '1' }, /^p\.json: m\.currency: is missing/);
    one({ perSecond: '1', currency: '元' }, /^p\.json: m\.currency: "元" is not three to ten capitals/);
    one({ currency: 'CNY' }, /^p\.json: m: needs exactly one of perSecond and perVideo/);
    one({ perSecond: '1', perVideo: '1', currency: 'CNY' }, /^p\.json: m: needs exactly one of/);
    one(
      { persecond: '1', currency: 'CNY' },
      /^p\.json: m: unknown "persecond": a price has currency, and either perSecond or perVideo/,
    );
    one({ perSecond: 'x', currency: 'cny' }, /\(and 1 more\)$/);
  });

  it('that cannot be read says so', async () => {
    await assert.rejects(readPrices('/nowhere/p.json'), { code: 'PRICES_UNREADABLE', exitCode: 2 });
  });

  it('has an example, of models that there are, with the prices of the simulator', async () => {
    const example = await readPrices(new URL('../../../jobs/prices.example.json', import.meta.url).pathname);
    assert.ok(example.size > 0);
    for (const [model, { per, amount, currency }] of example) {
      assert.ok(configuredModels({ models: [] }).knows(model), model);
      const billed = parseMoney(`${DEFAULTS.prices[model]}${DEFAULTS.currency}`);
      assert.deepEqual(
        { per, ...moneyJson({ amount, currency }) },
        { per: 'second', ...(billed && moneyJson(billed)) },
        `${model}, as the simulator bills it`,
      );
    }
  });
});

describe('an estimate', () => {
  const group = (model: string, toSend: number, seconds: number) => ({ model, toSend, seconds });

  it('has a sum for each currency, and counts the rows whose price is not known', () => {
    const all = estimate(PRICES, [
      group('viduq3p-720p', 3, 21),
      group('viduq3p-720p', 1, 1),
      group('viduq3t-720p', 2, 32),
      group('other', 4, 20),
    ]);
    assert.equal(
      formatEstimate(all),
      'at most 1.54 CNY and 0.20 USD, and unknown for 4 rows; --prices FILE gives the prices',
    );
    assert.equal(formatEstimate(estimate(PRICES, [group('viduq3p-720p', 3, 21)])), 'at most 1.47 CNY');
    assert.match(formatEstimate(estimate(new Map(), [group('other', 1, 5)])), /^unknown for 1 row;/);
    assert.match(
      formatEstimate(estimate(PRICES, [group('other', 1, 5)]), PRICES),
      /^unknown for 1 row; the price file does not name their models$/,
    );
    assert.equal(formatEstimate(estimate(PRICES, [])), 'nothing');
  });
});

describe('money', () => {
  it('is read as a person writes it, with its currency', () => {
    assert.deepEqual(moneyJson(money('120CNY')), { amount: '120', currency: 'CNY' });
    assert.deepEqual(moneyJson(money(' 99.50 usd ')), { amount: '99.5', currency: 'USD' });
    for (const text of ['120', 'CNY', '120 C', '¥120', '1,20CNY', '120CNY5', '120 CN¥', '-'])
      assert.equal(parseMoney(text), undefined, text);
  });

  it('is shown with at least two places, and summed by currency', () => {
    assert.equal(formatMoney(money('1234567.5CNY')), '1,234,567.50 CNY');
    assert.equal(formatMoney(money('-1234.12345CNY')), '-1,234.12345 CNY');
    const all = sums([money('0.1USD'), money('3CNY'), money('0.2USD')]);
    assert.deepEqual(
      all.map(({ amount, currency }) => [formatAmount(amount), currency]),
      [
        ['3', 'CNY'],
        ['0.3', 'USD'],
      ],
    );
  });
});
