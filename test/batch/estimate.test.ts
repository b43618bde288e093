import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fitOf, refuseBudget } from '../../src/batch/estimate.ts';
import type { Group } from '../../src/ledger/import/outline.ts';
import { parseMoney, type Money } from '../../src/core/money/money.ts';
import { parsePrices } from '../../src/core/money/prices.ts';

const PRICES = parsePrices(
  JSON.stringify({
    'viduq3p-720p': { perSecond: '0.2', currency: 'CNY' },
    'viduq3t-720p': { perVideo: '3', currency: 'CNY' },
    'viduq3t-540p': { perVideo: '1', currency: 'USD' },
  }),
  'prices.json',
);
const NONE: typeof PRICES = new Map();

function group(model: string, toSend: number, more: Partial<Group> = {}): Group {
  const counts = { fresh: toSend, known: 0, changed: 0, toSend, seconds: toSend * 5, shortest: 5 };
  return { model, mode: 'text', offPeak: false, ...counts, stored: null, least: null, ...more };
}

function money(text: string): Money {
  const read = parseMoney(text);
  assert.ok(read, text);
  return read;
}

function left(text: string): { budget: Money; left: Money['amount'] } {
  return { budget: money('100CNY'), left: money(text).amount };
}

describe('what is left of a budget', () => {
  test('pays for all rows, for some rows, or for none', () => {
    const groups = [group('viduq3p-720p', 10), group('viduq3t-720p', 2), group('unknown', 0)];
    assert.equal(fitOf(PRICES, groups, left('16CNY')), 'all');
    assert.equal(fitOf(PRICES, groups, left('15.99CNY')), 'some');
    assert.equal(fitOf(PRICES, groups, left('1CNY')), 'some');
    assert.equal(fitOf(PRICES, groups, left('0.99CNY')), 'none');
    assert.equal(fitOf(PRICES, groups, left('-5CNY')), 'none');
    assert.equal(fitOf(PRICES, [group('viduq3p-720p', 9, { shortest: 2 })], left('0.4CNY')), 'some');
  });

  test('is compared with the prices of the ledger, if no price file is named', () => {
    const stored = { stored: { rows: 3, cost: money('9CNY') }, least: money('2CNY') };
    const groups = [group('viduq3p-720p', 3, stored)];
    assert.equal(fitOf(NONE, groups, left('2CNY')), 'some');
    assert.equal(fitOf(NONE, groups, left('1.99CNY')), 'none');
  });

  test('does not fit rows without a price or in another currency', () => {
    const refused = (models: string[], prices = PRICES): string | undefined => {
      const groups = models.map((model) => group(model, 1));
      return refuseBudget({ batch: 'text', groups }, prices, 'CNY')?.message;
    };
    assert.equal(refused(['viduq3p-720p', 'viduq3t-720p']), undefined);
    assert.equal(
      refused(['viduq3p-720p', 'viduq3p-1080p', 'viduq3p-540p']),
      'batch text has a budget in CNY, and the price of viduq3p-1080p, viduq3p-540p is not known; nothing was changed',
    );
    assert.equal(
      refused(['viduq3p-720p', 'viduq3t-540p']),
      'batch text has a budget in CNY, and rows of it cost USD; nothing was changed',
    );
    assert.match(refused(['viduq3p-720p'], NONE) ?? '', /the price of viduq3p-720p is not known/);
    const sent = { batch: 'text', groups: [group('viduq3t-540p', 0)] };
    assert.equal(refuseBudget(sent, PRICES, 'CNY'), undefined, 'nothing of it is to be sent');
  });
});
