import { assertSchemaCompatibility, LATEST_SCHEMA_VERSION } from 'bullmq';
import { Cluster } from 'ioredis';
import type { Queryable } from '../../database/database.ts';
import { lanesInUse } from '../../ledger/verify/queue.ts';
import { laneOf, openQueue, scheduleLane } from '../../worker/queue/queue.ts';
import type { QueueStore } from '../../worker/queue/queue.ts';
import type { RedisClient } from '../../worker/queue/redis/client.ts';
import { count } from '../../core/format.ts';
import { failed, ok, skipped, warning } from './check.ts';
import type { Check } from './check.ts';

export interface LaneFacts {
  name: string;
  paused: boolean;
  /** Jobs that still have something to do. */
  live: number;
  failedJobs: number;
  /** Whether rows of the ledger are marked with it, or a feeder has named it. */
  known: boolean;
}

export interface QueueFacts {
  lanes: LaneFacts[];
  /** Ids of other ledgers that have queues on the same server. */
  otherLedgers: string[];
}

export async function gatherQueue(db: Queryable, store: QueueStore, ledgerId: string): Promise<QueueFacts> {
  const shared = laneOf(ledgerId, null);
  const fed = [shared, ...(await lanesInUse(db))];
  // The schedules' lane is a mirror for people: it is fed by the worker that keeps it, and no row is in it.
  const known = new Set([...fed, scheduleLane(ledgerId)]);
  const names = store.kind === 'redis' ? await queueNames(store.redis, store.prefix) : [];
  const own = names.filter((name) => name === shared || name.startsWith(`${shared}-`));
  const ids = names.map((name) => /^vidbatch-([0-9a-f]+)/.exec(name)?.[1]).filter((id) => id !== undefined);
  const lanes: LaneFacts[] = [];
  for (const name of new Set([...fed, ...own])) {
    lanes.push({ name, known: known.has(name), ...(await lookInto(store, name)) });
  }
  return { lanes, otherLedgers: [...new Set(ids)].filter((id) => id !== ledgerId).sort() };
}

async function lookInto(store: QueueStore, name: string): Promise<Omit<LaneFacts, 'name' | 'known'>> {
  const queue = openQueue(store, name, { skipMetasUpdate: true });
  queue.on('error', () => undefined);
  try {
    const { failed: failedJobs = 0, ...live } = await queue.getJobCounts(
      'waiting',
      'active',
      'delayed',
      'prioritized',
      'failed',
    );
    const jobs = Object.values(live).reduce((sum, jobCount) => sum + jobCount, 0);
    return { paused: await queue.isPaused(), live: jobs, failedJobs };
  } finally {
    await queue.close();
  }
}

/** So many keys are enough: a server with more is not ours alone. */
const MOST_SCANS = 500;

/** Names of queues on this server, as far as a bounded look finds them. */
async function queueNames(redis: RedisClient, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for (const node of redis instanceof Cluster ? redis.nodes('master') : [redis]) {
    let cursor = '0';
    for (let scans = 0; scans < MOST_SCANS; scans += 1) {
      const [next, keys] = await node.scan(cursor, 'MATCH', `${prefix}:vidbatch-*:meta`, 'COUNT', 1000);
      names.push(...keys.map((key) => key.slice(prefix.length + 1, -':meta'.length)));
      cursor = next;
      if (cursor === '0') break;
    }
  }
  return [...new Set(names)].sort();
}

export function judgeQueue({ lanes, otherLedgers }: QueueFacts): Check[] {
  const live = lanes.reduce((sum, lane) => sum + lane.live, 0);
  const failedJobs = lanes.reduce((sum, lane) => sum + lane.failedJobs, 0);
  const checks = [
    ok('queue', `${jobs(live)} to do in ${count(lanes.length)} ${lanes.length === 1 ? 'lane' : 'lanes'}`),
  ];
  for (const { name, paused } of lanes) {
    if (!paused) continue;
    const hint =
      'Resume it where it was paused, on the board; `vidbatch pause` and `resume` do not pause queues.';
    checks.push(warning('queue-paused', `${name} is paused: its jobs wait`, hint));
  }
  const orphans = lanes.filter((lane) => !lane.known && lane.live > 0);
  if (orphans.length > 0) {
    checks.push(
      warning(
        'queue-orphans',
        `${jobs(orphans.reduce((sum, lane) => sum + lane.live, 0))} in lanes that nobody feeds: ${orphans.map(({ name }) => name).join(', ')}`,
        'They harm nothing, as their rows were fed again elsewhere: remove them on the board.',
      ),
    );
  }
  if (failedJobs > 0) {
    checks.push(
      warning(
        'queue-failed',
        `${jobs(failedJobs)} failed`,
        'The log of the workers says why; the rows are in the ledger.',
      ),
    );
  }
  if (otherLedgers.length > 0) {
    checks.push(ok('queue-neighbours', `other ledgers on this server: ${otherLedgers.join(', ')}`));
  }
  return checks;
}

/** BullMQ's own schema, where it keeps its jobs in Postgres. Reads only. */
export async function checkQueueSchema(db: Queryable): Promise<Check> {
  const name = 'queue-schema';
  const hint = 'Run `vidbatch migrate`; a worker does so by itself when it starts.';
  try {
    const version = await assertSchemaCompatibility(db, 'bullmq', { skipVersionCheck: true });
    if (version >= LATEST_SCHEMA_VERSION) return ok(name, `at version ${version}`);
    return failed(name, `at version ${version} of ${LATEST_SCHEMA_VERSION}`, hint);
  } catch (error) {
    const { name: kind, message } = error as Error;
    if (kind === 'SchemaMigrationRequiredError') return failed(name, 'BullMQ’s schema is not there', hint);
    if (kind === 'SchemaVersionMismatchError')
      return failed(name, message, 'Use the newer vidbatch that was here before.');
    return skipped(name, `unknown: ${message}`);
  }
}

function jobs(n: number): string {
  return `${count(n)} ${n === 1 ? 'job' : 'jobs'}`;
}
