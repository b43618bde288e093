import { availableParallelism, cpus, totalmem } from 'node:os';
import { createRequire } from 'node:module';
import type { MemoryResult } from './memory.ts';
import type { QuotaResult } from './quota.ts';
import { contendersOf, type Comparison, type Race, type Samples } from './race.ts';
import { spreadOf, type Spread } from './statistics.ts';
import type { Wear } from './wear.ts';

export interface Machine {
  cores: number;
  processor: string;
  memoryGiB: number;
  node: string;
  /** Servers and packages. */
  versions: string[];
}

export interface RaceResult {
  race: Race;
  samples: Samples;
}

const PACKAGES = [
  'bullmq',
  'undici',
  'ioredis',
  'pg',
  '@electric-sql/pglite',
  'graphile-worker',
  'csv-parse',
];

export function machineOf(servers: readonly string[]): Machine {
  const { dependencies, devDependencies } = createRequire(import.meta.url)('../package.json') as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  const pinned = { ...dependencies, ...devDependencies };
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? '?',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    versions: [...servers, ...PACKAGES.map((name) => `${name} ${pinned[name] ?? '?'}`)],
  };
}

export interface Ratio extends Spread {
  comparison: Comparison;
  /** Of each round. */
  ratios: number[];
}

/** Rounds are held against each other, not medians: what falls on both of a round falls out. */
export function ratiosOf({ race, samples }: RaceResult): Ratio[] {
  return race.comparisons.map((comparison) => {
    const rates = (contender: Comparison['subject']): number[] =>
      (samples.get(contender) ?? []).map(({ rowsPerSecond }) => rowsPerSecond);
    const baseline = rates(comparison.baseline);
    const ratios = rates(comparison.subject).map((rate, round) => rate / (baseline[round] ?? Number.NaN));
    return { comparison, ratios, ...spreadOf(ratios) };
  });
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function cpuText(cpuUs: Record<string, number>): string {
  const all = Object.values(cpuUs).reduce((sum, us) => sum + us, 0);
  return [...Object.entries(cpuUs), ['all', all] as const]
    .map(([name, us]) => `${name} ${whole(us)}`)
    .join(', ');
}

export function title({ rows, concurrency, latencyMs }: Race): string {
  return `${whole(rows)} rows · concurrency ${concurrency} · the target answers after ${latencyMs} ms`;
}

function verdict({ comparison: { target }, median }: Ratio): string {
  if (target === undefined) return '';
  return `  target ${target.toFixed(2)}: ${median >= target ? 'met' : 'MISSED'}`;
}

const range = ({ min, max }: Spread, text: (value: number) => string): string =>
  `(${text(min)} to ${text(max)})`;

export function raceText(result: RaceResult): string {
  const { race, samples } = result;
  const contenders = contendersOf(race).map((contender) => {
    const all = samples.get(contender) ?? [];
    const rate = spreadOf(all.map(({ rowsPerSecond }) => rowsPerSecond));
    const peak = spreadOf(all.map(({ peakBytes }) => peakBytes)).median / 2 ** 20;
    const parts = Object.keys(all[0]?.cpuUs ?? {}).map(
      (name) => [name, spreadOf(all.map(({ cpuUs }) => cpuUs[name] ?? 0)).median] as const,
    );
    const wears = all.flatMap(({ wear }) => wear ?? []);
    return `  ${contender.title.padEnd(36)} ${whole(rate.median).padStart(7)} rows/s ${range(rate, whole).padEnd(18)} ${whole(peak).padStart(4)} MiB  CPU µs/row: ${cpuText(Object.fromEntries(parts))}${wearText(wears)}`;
  });
  const ratios = ratiosOf(result).map((ratio) => {
    const { subject, baseline } = ratio.comparison;
    const fixed = (value: number): string => value.toFixed(2);
    return `  ${fixed(ratio.median)} ${range(ratio, fixed)}  ${subject.title} / ${baseline.title}${verdict(ratio)}`;
  });
  return [title(race), ...contenders, ...ratios].join('\n');
}

/** `, WAL 1,810 bytes, 0.10 commits, 3.0 dead tuples a row` */
function wearText(wears: readonly Wear[]): string {
  if (wears.length === 0) return '';
  const median = (of: (wear: Wear) => number): number => spreadOf(wears.map(of)).median;
  const commits = median((one) => one.commits).toFixed(2);
  const dead = median((one) => one.deadTuples).toFixed(1);
  return `; a row: WAL ${whole(median((one) => one.walBytes))} bytes, ${commits} commits, ${dead} dead tuples`;
}

export function memoryText(results: readonly MemoryResult[]): string {
  const lines = results.map(
    ({ command, storage, rows, peakBytes }) =>
      `  ${command.padEnd(14)} ${storage.padEnd(20)} ${whole(rows).padStart(9)} rows ${whole(peakBytes / 2 ** 20).padStart(5)} MiB`,
  );
  return ['most memory resident', ...lines].join('\n');
}

export function quotaText({ title: what, figures }: QuotaResult): string {
  const lines = figures.map(
    ({ what: figure, value, target, met }) =>
      `  ${value.toFixed(3).padStart(8)}  ${figure}  target ${target}${target === 'none' ? '' : `: ${met ? 'met' : 'MISSED'}`}`,
  );
  return [what, ...lines].join('\n');
}

export function machineText({ cores, processor, memoryGiB, node, versions }: Machine): string {
  return `${cores} cores (${processor}), ${memoryGiB} GiB, Node ${node}\n${versions.join(', ')}`;
}

export function toJson(
  machine: Machine,
  races: readonly RaceResult[],
  memory: readonly MemoryResult[],
  quotas: readonly QuotaResult[],
): unknown {
  return {
    machine,
    races: races.map((result) => {
      const { comparisons: _comparisons, ...setting } = result.race;
      return {
        ...setting,
        contenders: [...result.samples].map(([contender, samples]) => ({ title: contender.title, samples })),
        ratios: ratiosOf(result).map(({ comparison, ...spread }) => ({
          name: comparison.name,
          subject: comparison.subject.title,
          baseline: comparison.baseline.title,
          ...(comparison.target === undefined ? {} : { target: comparison.target }),
          ...spread,
        })),
      };
    }),
    memory,
    quotas,
  };
}
