import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSlots } from '../../src/worker/slots.ts';

/** Whether it has been resolved by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const waits = Symbol('waits');
  return (await Promise.race([promise, Promise.resolve(waits)])) !== waits;
}

test('as many slots are taken as are free, up to what was asked for', async () => {
  const slots = createSlots(5);
  assert.equal(await slots.take(3), 3);
  assert.equal(await slots.take(10), 2);
  assert.equal(slots.inUse(), 5);
});

test('without a free slot, a call waits for the first that is released, and takes all that are', async () => {
  const slots = createSlots(4);
  await slots.take(4);
  const first = slots.take(10);
  const second = slots.take(1);
  assert.equal(await isSettled(first), false);
  slots.release(3);
  assert.equal(await first, 3);
  assert.equal(await isSettled(second), false, 'each in its turn');
  slots.release(1);
  assert.equal(await second, 1);
});

test('slots that are released in one turn of the event loop go to the first that waits, and the next are for the second', async () => {
  const slots = createSlots(2);
  await slots.take(2);
  const first = slots.take(2);
  const second = slots.take(1);
  slots.release(1);
  slots.release(1);
  assert.equal(await first, 2);
  assert.equal(await isSettled(second), false, 'it does not pass the first');
  slots.release(2);
  assert.equal(await second, 1);
});

test('waiting for all slots ends when no slot is in use', async () => {
  const slots = createSlots(2);
  await slots.allFree();
  await slots.take(2);
  const free = slots.allFree();
  const also = slots.allFree();
  slots.release(1);
  assert.equal(await isSettled(free), false);
  slots.release(1);
  await Promise.all([free, also]);
});

test('no more slots are in use than exist, in any order of takes and releases', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 30 }),
      async (concurrency, asks) => {
        const slots = createSlots(concurrency);
        let held = 0;
        await Promise.all(
          asks.map(async (most) => {
            const taken = await slots.take(most);
            held += taken;
            assert.ok(taken >= 1 && taken <= most);
            assert.ok(held <= concurrency);
            assert.equal(slots.inUse() >= held, true);
            await Promise.resolve();
            held -= taken;
            slots.release(taken);
          }),
        );
        assert.equal(slots.inUse(), 0);
      },
    ),
  );
});
