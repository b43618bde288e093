import { rm } from 'node:fs/promises';
import { observe, type Run } from './child.ts';
import type { Observed } from './observer.ts';
import { checksumOf } from './rows.ts';
import type { Stage } from './stage.ts';
import { wearOf, wearPerRow, type Wear } from './wear.ts';

/** The circumstances of a run. */
export interface Setting {
  rows: number;
  concurrency: number;
  latencyMs: number;
}

/** What one run came to. */
export interface Sample {
  rowsPerSecond: number;
  /** Microseconds of CPU a row: of the process itself, and of the servers. */
  cpuUs: Record<string, number>;
  /** The most memory that was resident in the process, in bytes. */
  peakBytes: number;
  /** Of a row, where a Postgres is asked for it. */
  wear?: Wear;
}

/** Everything that is ready before a run, and how to put it away. */
export interface Prepared {
  run: Pick<Run, 'script' | 'args' | 'env'>;
  folder: string;
  /** Where its wear is looked at. */
  databaseUrl?: string;
  discard?: () => Promise<void>;
}

export interface Contender {
  title: string;
  prepare: (stage: Stage, setting: Setting) => Promise<Prepared>;
  /**
   * `posts`: the time between the first and the last POST that the target saw. `points`: between the two points, in
   * the process itself.
   */
  measure: 'posts' | 'points';
}

const POINTS = {
  posts: { from: 'job-taken', to: 'job-completed' },
  // From before the first row is read until the last one is in the queue.
  points: { from: 'ledger-migrated', to: 'chunks-queued' },
} as const;

/** Prepares, runs once, checks what the target saw, puts away. */
export async function runOnce(
  stage: Stage,
  contender: Contender,
  setting: Setting,
  profile?: string,
): Promise<Sample> {
  const { run, folder, databaseUrl, discard } = await contender.prepare(stage, setting);
  const wornBefore = databaseUrl === undefined ? undefined : await wearOf(databaseUrl);
  await stage.target.begin(setting.latencyMs);
  const before = stage.cpu();
  const observed = await observe({
    ...run,
    ...POINTS[contender.measure],
    folder,
    profile,
    signal: stage.interrupted,
  });
  const after = stage.cpu();
  const wear =
    databaseUrl === undefined || wornBefore === undefined
      ? {}
      : { wear: wearPerRow(wornBefore, await wearOf(databaseUrl), setting.rows) };
  const spanMs = contender.measure === 'points' ? observed.spanMs : await spanOfPosts(stage, setting);
  await discard?.();
  await rm(folder, { recursive: true, force: true });
  return {
    rowsPerSecond: (setting.rows / spanMs) * 1000,
    cpuUs: cpuPerRow(observed, before, after, setting.rows),
    peakBytes: observed.peakBytes,
    ...wear,
  };
}

/** Who has not sent every body, each once and as it is, has not run the same race. */
async function spanOfPosts({ target, once }: Stage, { rows }: Setting): Promise<number> {
  const { posts, checksum, spanMs } = await target.seen();
  const expected = await once(`checksum of ${rows}`, async () => checksumOf(rows));
  if (posts !== rows || checksum !== expected) {
    throw new Error(`the target saw ${posts} POSTs of ${rows} rows, or other bodies than it should`);
  }
  return spanMs;
}

function cpuPerRow(
  { cpuMs }: Observed,
  before: Record<string, number>,
  after: Record<string, number>,
  rows: number,
): Record<string, number> {
  const perRow = (ms: number): number => (ms * 1000) / rows;
  const servers = Object.entries(after).map(([name, ms]) => [name, perRow(ms - (before[name] ?? 0))]);
  return { process: perRow(cpuMs), ...Object.fromEntries(servers) };
}
