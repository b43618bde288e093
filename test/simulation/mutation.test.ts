import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BREAKAGES } from './breakages.ts';
import { seeds } from './seeds.ts';
import { simulate } from './simulate.ts';
import { loadSources } from './sources.ts';

/** The first of the seeds that every run of the tests tries which notices. */
describe('the simulation notices', () => {
  for (const [name, breakage] of Object.entries(BREAKAGES)) {
    test(name, async () => {
      const sources = await loadSources('mutation' in breakage ? breakage.mutation : undefined);
      const slip = 'slip' in breakage ? breakage.slip : undefined;
      for (const seed of seeds()) {
        const { violation } = await simulate({ seed, sources, slip });
        if (violation !== undefined) return;
      }
      assert.fail(`${name} is not noticed by any of the seeds; look for one: run.ts --breakage "${name}"`);
    });
  }
});
