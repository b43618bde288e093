import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Paced } from '../../../src/operate/monitor/survey.ts';
import { until } from '../../until.ts';

test('callers that ask at the same time share one reading', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  let taken = 0;
  const paced = new Paced(() => ((taken += 1), promise), { share: 50, leastMs: 60_000 });
  const asked = [paced.value(), paced.value(), paced.value()];
  resolve(7);
  for (const one of await Promise.all(asked)) assert.equal(one?.value, 7);
  assert.equal((await paced.value())?.value, 7);
  assert.equal(taken, 1);
});

test('is not taken again before fifty times its cost has passed', async () => {
  let taken = 0;
  const busy = (): Promise<number> => {
    const until = performance.now() + 20;
    while (performance.now() < until);
    return Promise.resolve((taken += 1));
  };
  const paced = new Paced(busy, { share: 50, leastMs: 0 });
  const began = performance.now();
  await until(async () => ((await paced.value())?.value ?? 0) >= 2);
  assert.ok(performance.now() - began >= 1000, 'of 20 ms, fifty times');
});

test('the last value is there at once while a new one is being read', async () => {
  const second = Promise.withResolvers<number>();
  const readings = [Promise.resolve(1), second.promise];
  const paced = new Paced(() => readings.shift() ?? Promise.resolve(3), { share: 0, leastMs: 0 });
  assert.equal((await paced.value())?.value, 1);
  assert.equal((await paced.value())?.value, 1);
  second.resolve(2);
  while ((await paced.value())?.value === 1) await new Promise(setImmediate);
});

test('what cannot be read is not there, and nothing is thrown', async () => {
  let fails = false;
  const paced = new Paced(() => (fails ? Promise.reject(new Error('away')) : Promise.resolve(1)), {
    share: 0,
    leastMs: 0,
  });
  assert.equal((await paced.value())?.value, 1);
  fails = true;
  while ((await paced.value()) !== undefined) await new Promise(setImmediate);
  fails = false;
  while ((await paced.value()) === undefined) await new Promise(setImmediate);
});
