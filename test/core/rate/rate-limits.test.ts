import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import { configuredModels } from '../../../src/provider/profile/models.ts';
import {
  checkModels,
  joined,
  parseCaps,
  parseRate,
  parseRates,
  perSecondOf,
  sorted,
} from '../../../src/core/rate/rate-limits.ts';

const usage =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof VidbatchError && error.code === code && message.test(error.message);

describe('a rate', () => {
  test('is a number in a second, a minute or an hour', () => {
    const cases: [string, number][] = [
      ['10', 100],
      ['10/s', 100],
      ['600/m', 100],
      ['100/h', 36_000],
      ['0.5/s', 2000],
    ];
    for (const [text, intervalMs] of cases)
      assert.deepEqual(parseRates('--rate', text), [{ model: '', intervalMs }], text);
  });

  test('may apply to one model', () => {
    assert.deepEqual(parseRates('--rate', '10/s,120/m@viduq3p-1080p, 1@x'), [
      { model: '', intervalMs: 100 },
      { model: 'viduq3p-1080p', intervalMs: 500 },
      { model: 'x', intervalMs: 1000 },
    ]);
  });

  test('is refused when it is something else', () => {
    for (const text of [
      '',
      '0',
      '0/s',
      '-1',
      '10/d',
      'fast',
      '1/2',
      '10 /s',
      '@x',
      '1/s,,2/s@x',
      '1@',
      '1@a@b',
    ]) {
      assert.throws(() => parseRates('--rate', text), usage('BAD_RATE', /^--rate: ".*" is not a rate/), text);
    }
  });

  test('that is refused names what is allowed: fewer forms for polls', () => {
    assert.throws(
      () => parseRates('--rate', 'x'),
      usage('BAD_RATE', /100\/h, nor 2\/s@viduq3p-1080p .*auto$/),
    );
    assert.throws(() => parseRate('--poll-rate', 'auto'), usage('BAD_RATE', /600\/m or 100\/h$/));
  });

  test('is given at most once for all rows, and once for each model', () => {
    assert.throws(() => parseRates('--rate', '1/s,2/s'), usage('TWICE_LIMITED', /two limits for all rows/));
    assert.throws(() => parseRates('--rate', '1@x,2@x'), usage('TWICE_LIMITED', /two limits for "x"/));
  });

  test('of an unknown model is refused, with the nearest name', () => {
    const models = configuredModels({ models: ['own'] });
    const limits = parseRates('--rate', '1/s,2/s@viduq3p-180p,1/s@own');
    assert.throws(() => checkModels(limits, models), usage('UNKNOWN_MODEL', /viduq3p-180p/));
    checkModels(parseRates('--rate', '2@viduq3p-1080p,1@own'), models);
  });
});

test('an automatic rate applies to all rows', () => {
  assert.deepEqual(parseRates('--rate', 'auto,2/s@x'), [
    { model: '', intervalMs: 'auto' },
    { model: 'x', intervalMs: 500 },
  ]);
  assert.equal(perSecondOf(parseRates('--rate', 'auto')), undefined);
  assert.throws(() => parseRates('--rate', 'auto@x'), usage('BAD_RATE', /auto applies to all rows/));
});

test('tasks at a time are counted, of all rows and of a model, beside a rate', () => {
  assert.deepEqual(parseCaps('--max-in-flight', '5,2@x'), [
    { model: '', inFlight: 5 },
    { model: 'x', inFlight: 2 },
  ]);
  assert.deepEqual(joined(parseRates('--rate', '1/s,2/s@y'), parseCaps('--max-in-flight', '5,2@x')), [
    { model: '', intervalMs: 1000, inFlight: 5 },
    { model: 'y', intervalMs: 500 },
    { model: 'x', inFlight: 2 },
  ]);
  for (const text of ['', '0', '1.5', '-1', 'many', '5/s'])
    assert.throws(() => parseCaps('--max-in-flight', text), usage('BAD_NUMBER'), text);
});

test('a forecast goes by the rate of all rows', () => {
  assert.equal(perSecondOf(parseRates('--rate', '600/m,1/s@x')), 10);
  assert.equal(perSecondOf(parseRates('--rate', '1/s@x')), undefined);
});

test('limits are locked in one order', () => {
  assert.deepEqual(
    sorted(parseRates('--rate', '1@x,1@b,1')).map(({ model }) => model),
    ['', 'b', 'x'],
  );
});
