/**
 * `node test/simulation/run.ts --seed 123`: one run, with every step of it.
 * `node test/simulation/run.ts --runs 100000 [--from 1|new]`: many; `new`: from a random seed on; prints the seeds that fail, and how fast it was.
 * `--breakage "a journal without answers"` takes a guard out first; `breakages.ts` lists them.
 */
import { parseArgs } from 'node:util';
import { BREAKAGES } from './breakages.ts';
import { simulate } from './simulate.ts';
import { loadSources } from './sources.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    breakage: { type: 'string' },
    /** Leaves after so many failures. */
    failures: { type: 'string', default: '5' },
  },
});

const breakage = values.breakage === undefined ? undefined : BREAKAGES[values.breakage];
if (values.breakage !== undefined && breakage === undefined) {
  throw new Error(`${values.breakage} is not one of: ${Object.keys(BREAKAGES).join(' · ')}`);
}
const sources = await loadSources(breakage && 'mutation' in breakage ? breakage.mutation : undefined);
const slip = breakage && 'slip' in breakage ? breakage.slip : undefined;

if (values.seed === undefined) {
  const from = values.from === 'new' ? Math.floor(Math.random() * 2 ** 31) : Number(values.from);
  let steps = 0;
  let runs = 0;
  let failed = 0;
  const began = performance.now();
  while (runs < Number(values.runs) && failed < Number(values.failures)) {
    const ended = await simulate({ seed: from + runs, sources, slip });
    runs += 1;
    steps += ended.steps;
    if (ended.violation === undefined) continue;
    failed += 1;
    console.log(`seed ${ended.seed}: ${ended.violation}`);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${runs} runs, ${failed} failed, ${steps} steps in ${seconds.toFixed(1)} s: ${(runs / seconds).toFixed(0)} runs/s`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
} else {
  const { violation } = await simulate({ seed: Number(values.seed), sources, slip, trace: console.log });
  console.log(violation ?? 'all is well');
  process.exitCode = violation === undefined ? 0 : 1;
}
