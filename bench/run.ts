/**
 * `npm run bench`: how fast vidbatch is, as ratios to what anybody would write with the same libraries. Everything is
 * measured in one run, in turn, on servers that are started for it. See README.md beside this file.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { barsOf, chartOf } from './chart.ts';
import { runOnce, type Contender } from './contender.ts';
import { measureFairness } from './fairness.ts';
import { measureMemory, type MemoryCase, type MemoryResult } from './memory.ts';
import { measureGrowth } from './growth.ts';
import { HELP, readOptions, type Options } from './options.ts';
import { measureQuota, type QuotaResult } from './quota.ts';
import { contendersOf, run, type Race } from './race.ts';
import {
  cpuText,
  machineOf,
  machineText,
  memoryText,
  quotaText,
  raceText,
  title,
  toJson,
  whole,
  type RaceResult,
} from './report.ts';
import { openStage, type Stage } from './stage.ts';

const tell = (line: string): void => console.error(line);

async function runRace(stage: Stage, race: Race, rounds: number): Promise<RaceResult> {
  tell(`\n${title(race)}`);
  const samples = await run(stage, race, rounds, (contender, round, { rowsPerSecond, cpuUs }) => {
    const rate = `${whole(rowsPerSecond).padStart(7)} rows/s`;
    tell(`  ${round + 1}  ${contender.title.padEnd(36)} ${rate}  CPU µs/row: ${cpuText(cpuUs)}`);
  });
  return { race, samples };
}

async function runMemory(stage: Stage, cases: readonly MemoryCase[]): Promise<MemoryResult[]> {
  const results: MemoryResult[] = [];
  for (const one of cases) {
    for await (const result of measureMemory(stage, one)) {
      results.push(result);
      tell(memoryText([result]));
    }
  }
  return results;
}

/** Once each, into the folder. */
async function profile(stage: Stage, races: readonly Race[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const done = new Set<Contender>();
  for (const race of races) {
    for (const contender of contendersOf(race)) {
      if (done.has(contender)) continue;
      done.add(contender);
      const into = resolve(folder, contender.title.replace(/\W+/g, '-'));
      const { rowsPerSecond } = await runOnce(stage, contender, race, into);
      tell(`${contender.title}: ${whole(rowsPerSecond)} rows/s while profiled, ${into}`);
    }
  }
}

async function bench(
  stage: Stage,
  { races, rounds, memory: cases, quotas: names, fairness, growth, json, chart, profileDir }: Options,
): Promise<void> {
  if (profileDir !== undefined) {
    await profile(stage, races, profileDir);
    return;
  }
  const results: RaceResult[] = [];
  for (const race of races) results.push(await runRace(stage, race, rounds));
  const memory = await runMemory(stage, cases);
  const quotas: QuotaResult[] = [];
  for (const name of names) {
    const result = await measureQuota(stage, name);
    quotas.push(result);
    tell(`\n${quotaText(result)}`);
  }
  if (fairness !== undefined) {
    tell('\na small batch beside a large one');
    quotas.push(await measureFairness(stage, fairness, tell));
  }
  if (growth !== undefined) {
    tell('\na large batch beside a small one');
    quotas.push(await measureGrowth(stage, growth, tell));
  }
  if (chart !== undefined) await writeFile(chart, chartOf(barsOf(results)));
  const machine = machineOf(stage.versions());
  if (json) {
    console.log(JSON.stringify(toJson(machine, results, memory, quotas)));
    return;
  }
  const texts = [...results.map(raceText), ...quotas.map(quotaText)];
  if (memory.length > 0) texts.push(memoryText(memory));
  console.log(`\n${[machineText(machine), ...texts].join('\n\n')}`);
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  const stage = await openStage();
  try {
    await bench(stage, options);
    return 0;
  } catch (error) {
    if (!stage.interrupted.aborted) throw error;
    return 130;
  } finally {
    await stage.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
