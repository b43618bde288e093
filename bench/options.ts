import { parseArgs } from 'node:util';
import { FAIRNESS, type FairnessCase } from './fairness.ts';
import { GROWTH, type GrowthCase } from './growth.ts';
import { LARGE, MEMORY, type MemoryCase } from './memory.ts';
import { QUOTAS } from './quota.ts';
import { NAMES, RACES, type Race } from './race.ts';

export interface Options {
  races: Race[];
  rounds: number;
  memory: MemoryCase[];
  /** Names of what is held against a quota. */
  quotas: string[];
  /** Undefined: not asked for. */
  fairness: FairnessCase | undefined;
  growth: GrowthCase | undefined;
  json: boolean;
  /** A picture of what a row costs goes there. */
  chart: string | undefined;
  /** Instead of measuring: a CPU profile of each contender goes there. */
  profileDir: string | undefined;
}

const ALL = [...NAMES, MEMORY, ...QUOTAS, FAIRNESS, GROWTH];

export const HELP = `npm run bench -- [options]

  --only A,B         of: ${ALL.join(', ')} (default: all)
  --rounds N         of which the medians are taken (default: 5)
  --rows N           of each run (default: what lasts some seconds)
  --concurrency N    open calls (default: 100, with latency 400)
  --latency MS       only the races in which the target answers after so many milliseconds: 0 or 50
  --full             memory at 1,000,000 rows, too, and of the embedded storage at 100,000
  --profile FOLDER   measures nothing; one run of each contender writes its CPU profile there
  --chart FILE       an SVG picture of what a row costs each contender
  --json             one object on stdout`;

/** Undefined when help was asked for. @throws Error for what is not understood. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      rows: { type: 'string' },
      concurrency: { type: 'string' },
      latency: { type: 'string' },
      full: { type: 'boolean', default: false },
      profile: { type: 'string' },
      chart: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const only = values.only?.split(',') ?? ALL;
  const unknown = only.find((name) => !ALL.includes(name));
  if (unknown !== undefined) throw new Error(`--only: "${unknown}" is not one of ${ALL.join(', ')}`);
  const latencyMs = count('latency', values.latency, 0);
  const rows = count('rows', values.rows, 1);
  const concurrency = count('concurrency', values.concurrency, 1);
  const rounds = count('rounds', values.rounds, 1) ?? 5;
  const races = RACES.filter((race) => latencyMs === undefined || race.latencyMs === latencyMs)
    .map((race) => ({
      ...race,
      rows: rows ?? race.rows,
      concurrency: concurrency ?? race.concurrency,
      comparisons: race.comparisons.filter(({ name }) => only.includes(name)),
    }))
    .filter(({ comparisons }) => comparisons.length > 0);
  return {
    races,
    rounds,
    memory: only.includes(MEMORY)
      ? [{ storage: 'redis and postgres', rows: rows ?? 100_000 }, ...(values.full ? LARGE : [])]
      : [],
    quotas: QUOTAS.filter((name) => only.includes(name)),
    fairness: only.includes(FAIRNESS) ? { rows: rows ?? 100_000, rounds } : undefined,
    growth: only.includes(GROWTH) ? { rows: rows ?? 1_000_000, rounds } : undefined,
    json: values.json,
    chart: values.chart,
    profileDir: values.profile,
  };
}

function count(name: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min)
    throw new Error(`--${name}: "${text}" is not a whole number from ${min}`);
  return value;
}
