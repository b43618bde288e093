import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { grouped } from '../../src/core/group-commit.ts';

/** Lets everything run that is ready to run. */
function turn(): Promise<void> {
  return new Promise(setImmediate);
}

/** A statement that runs until it is told to end, and remembers its groups. */
function manual() {
  const groups: number[][] = [];
  const ends: (() => void)[] = [];
  const run = (items: readonly number[]): Promise<number[]> => {
    groups.push([...items]);
    return new Promise((resolve) => {
      ends.push(() => resolve(items.map((item) => item * 10)));
    });
  };
  return { groups, run, end: () => ends.shift()?.() };
}

describe('calls in groups', () => {
  test('that are made at once share a statement, and each gets its own answer', async () => {
    const groups: number[][] = [];
    const call = grouped((items: readonly number[]) => {
      groups.push([...items]);
      return Promise.resolve(items.map((item) => item * 10));
    });
    assert.deepEqual(await Promise.all([1, 2, 3].map(call)), [10, 20, 30]);
    assert.deepEqual(groups, [[1, 2, 3]]);
  });

  test('that come while one is under way form the next', async () => {
    const { groups, run, end } = manual();
    const gathered = async (): Promise<void> => {
      await turn();
      await turn();
    };
    const call = grouped(run);
    const first = call(1);
    await gathered();
    const rest = [call(2), call(3)];
    await gathered();
    assert.deepEqual(groups, [[1]], 'and wait for it');
    end();
    assert.equal(await first, 10);
    await gathered();
    rest.push(call(4));
    assert.deepEqual(groups, [[1], [2, 3]]);
    end();
    await gathered();
    end();
    assert.deepEqual(await Promise.all(rest), [20, 30, 40]);
    assert.deepEqual(groups, [[1], [2, 3], [4]]);
  });

  test('are at most as large as is allowed', async () => {
    const sizes: number[] = [];
    const call = grouped(
      (items: readonly number[]) => {
        sizes.push(items.length);
        return Promise.resolve(items);
      },
      { max: 4 },
    );
    const items = Array.from({ length: 10 }, (_, n) => n);
    assert.deepEqual(await Promise.all(items.map(call)), items);
    assert.deepEqual(sizes, [4, 4, 2]);
  });

  test('continue after a group that failed', async () => {
    let failing = true;
    const call = grouped((items: readonly number[]) =>
      failing ? Promise.reject(new Error('away')) : Promise.resolve(items),
    );
    const failed = await Promise.allSettled([1, 2].map(call));
    assert.ok(failed.every(({ status }) => status === 'rejected'));
    failing = false;
    assert.deepEqual(await Promise.all([3, 4].map(call)), [3, 4]);
  });

  test('a statement that throws at once is a failure like any other', async () => {
    const call = grouped<number, number>(() => {
      throw new Error('at once');
    });
    await assert.rejects(call(1), /at once/);
    const ends = await Promise.allSettled([call(2), call(3)]);
    assert.ok(ends.every(({ status }) => status === 'rejected'));
  });

  test('a poisoned item fails alone, in any order, grouping and timing', async () => {
    const item = fc.record({ poison: fc.boolean(), turns: fc.integer({ min: 0, max: 3 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (items, max) => {
          let running = 0;
          const call = grouped(
            async (group: readonly number[]) => {
              running += 1;
              assert.equal(running, 1, 'one statement at a time');
              assert.ok(group.length > 0 && group.length <= max);
              await turn();
              running -= 1;
              if (group.some((n) => items[n]?.poison)) throw new Error(`poison in ${group.join()}`);
              return group.map((n) => n * 10);
            },
            { max },
          );
          const ends = await Promise.allSettled(
            items.map(async ({ turns }, n) => {
              for (let i = 0; i < turns; i += 1) await turn();
              return call(n);
            }),
          );
          for (const [n, end] of ends.entries()) {
            if (items[n]?.poison === true) {
              assert.equal((end as PromiseRejectedResult).reason.message, `poison in ${n}`, 'redone alone');
            } else {
              assert.equal((end as PromiseFulfilledResult<number>).value, n * 10);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
