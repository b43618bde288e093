import { bullmq, bullmqPglite, csvBulk, graphile, graphileDefaults, undici } from './bare.ts';
import { runOnce, type Contender, type Sample, type Setting } from './contender.ts';
import type { Stage } from './stage.ts';
import { submit, work, workBesideSnapshot, workEmbedded } from './vidbatch.ts';

export interface Comparison {
  /** As `--only` says it. */
  name: string;
  subject: Contender;
  baseline: Contender;
  /** The ratio that is to be reached. */
  target?: number;
}

/** Contenders that are run in turn under one setting, and what is held against what. */
export interface Race extends Setting {
  comparisons: readonly Comparison[];
}

/** Rows: so many that a run lasts some seconds. Targets stand where the CPU is the limit: without latency. */
export const RACES: readonly Race[] = [
  {
    rows: 20_000,
    concurrency: 100,
    latencyMs: 0,
    comparisons: [
      { name: 'worker', subject: work, baseline: bullmq, target: 0.85 },
      { name: 'graphile', subject: work, baseline: graphile, target: 0.55 },
      { name: 'graphile', subject: work, baseline: graphileDefaults, target: 2 },
      { name: 'ceiling', subject: work, baseline: undici },
    ],
  },
  {
    // So many that what cannot be vacuumed shows.
    rows: 100_000,
    concurrency: 100,
    latencyMs: 0,
    comparisons: [{ name: 'horizon', subject: workBesideSnapshot, baseline: work, target: 0.6 }],
  },
  {
    rows: 20_000,
    // At 100, all of them would do nothing but wait.
    concurrency: 400,
    latencyMs: 50,
    comparisons: [
      { name: 'worker', subject: work, baseline: bullmq },
      { name: 'graphile', subject: work, baseline: graphile },
    ],
  },
  {
    rows: 3_000,
    concurrency: 100,
    latencyMs: 0,
    comparisons: [{ name: 'embedded', subject: workEmbedded, baseline: bullmqPglite, target: 4 }],
  },
  {
    rows: 3_000,
    concurrency: 100,
    latencyMs: 50,
    comparisons: [{ name: 'embedded', subject: workEmbedded, baseline: bullmqPglite }],
  },
  {
    rows: 50_000,
    concurrency: 1,
    latencyMs: 0,
    comparisons: [{ name: 'producer', subject: submit, baseline: csvBulk, target: 0.6 }],
  },
];

export const NAMES = [...new Set(RACES.flatMap((race) => race.comparisons.map(({ name }) => name)))];

export function contendersOf({ comparisons }: Pick<Race, 'comparisons'>): Contender[] {
  return [...new Set(comparisons.flatMap(({ baseline, subject }) => [baseline, subject]))];
}

export type Samples = ReadonlyMap<Contender, readonly Sample[]>;

/**
 * Round after round, each contender once, every other round in reverse: whatever else the machine does meanwhile falls
 * on neighbours alike, and nobody always comes last.
 */
export async function run(
  stage: Stage,
  race: Race,
  rounds: number,
  onSample: (contender: Contender, round: number, sample: Sample) => void,
): Promise<Samples> {
  const contenders = contendersOf(race);
  const samples = new Map<Contender, Sample[]>(contenders.map((one) => [one, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const sample = await runOnce(stage, contender, race);
      samples.get(contender)?.push(sample);
      onSample(contender, round, sample);
    }
  }
  return samples;
}
