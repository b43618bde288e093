import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_SEEDS, seeds } from './seeds.ts';
import { simulate } from './simulate.ts';
import { loadSources } from './sources.ts';

const LAST_STEPS = 60;

const sources = await loadSources();

/** Runs until one fails, and tells how that one went. */
async function allHold(tried: Iterable<number>): Promise<void> {
  for (const seed of tried) {
    const { violation } = await simulate({ seed, sources });
    if (violation === undefined) continue;
    const steps: string[] = [];
    await simulate({ seed, sources, trace: (line) => steps.push(line) });
    const told = steps.slice(-LAST_STEPS).join('\n');
    assert.fail(`seed ${seed}: ${violation}\n${told}\nAll of it: node test/simulation/run.ts --seed ${seed}`);
  }
}

test(`paid once, nothing lost, nothing guessed: in ${FIRST_SEEDS} runs, and in those that failed once`, () =>
  allHold(seeds()));

test('the same seed is the same run, to the step', async () => {
  const told = async (seed: number): Promise<string[]> => {
    const steps: string[] = [];
    await simulate({ seed, sources, trace: (line) => steps.push(line) });
    return steps;
  };
  assert.deepEqual(await told(7), await told(7));
  assert.notDeepEqual(await told(7), await told(8));
});
