import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BREAKAGES } from './breakages.ts';
import { FIRST_SEEDS, seeds } from './seeds.ts';
import { simulate } from './simulate.ts';
import { loadSources } from './sources.ts';

/** When the code has changed, a known seed is another run: then it is looked for a little further. */
const FURTHER = 8_000;

describe('the simulation notices', () => {
  for (const [name, breakage] of Object.entries(BREAKAGES)) {
    test(name, async (t) => {
      const sources = await loadSources('mutation' in breakage ? breakage.mutation : undefined);
      const slip = 'slip' in breakage ? breakage.slip : undefined;
      const isNoticed = async (seed: number): Promise<boolean> =>
        (await simulate({ seed, sources, slip })).violation !== undefined;
      for (const seed of seeds()) if (await isNoticed(seed)) return;
      for (let seed = FIRST_SEEDS + 1; seed <= FURTHER; seed += 1) {
        if (!(await isNoticed(seed))) continue;
        t.diagnostic(`only by seed ${seed}: put it into seeds.ts`);
        return;
      }
      assert.fail(`${name} is not noticed by any seed; look for one: run.ts --breakage "${name}"`);
    });
  }
});
