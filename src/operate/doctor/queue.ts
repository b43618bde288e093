import { assertSchemaCompatibility, LATEST_SCHEMA_VERSION } from 'bullmq';
import { Cluster } from 'ioredis';
import type { Config } from '../../core/config.ts';
import { plural } from '../../core/units.ts';
import type { Queryable, Database } from '../../database/database.ts';
import { Outage } from '../../database/outage.ts';
import { openQueuePool } from '../../database/postgres/connect.ts';
import { probePostgres } from '../../database/postgres/probe.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import { listFeeders } from '../../ledger/send/feeder.ts';
import { queueName, scheduleQueue } from '../../worker/queue/name.ts';
import { openQueue, type QueuePool, type QueueStore } from '../../worker/queue/queue.ts';
import { connectRedis, prefixOf, type RedisClient } from '../../worker/queue/redis/client.ts';
import { checkSubject, failed, ok, skipped, warning, type Check } from './check.ts';
import type { OpenedLedger } from './ledger.ts';

interface OneQueueFacts {
  name: string;
  paused: boolean;
  /** Jobs that are not over. */
  live: number;
  failedJobs: number;
  /** Whether a feeder has named it. */
  known: boolean;
}

interface QueueFacts {
  queues: OneQueueFacts[];
  /** Ids of other ledgers that have queues on the same server. */
  otherLedgers: string[];
}

async function readQueueFacts(db: Queryable, store: QueueStore, ledgerId: string): Promise<QueueFacts> {
  const shared = queueName(ledgerId, null);
  const fed = [shared, ...(await listFeeders(db)).map(({ queue }) => queue)];
  // The schedules' queue only shows the schedules: no row is sent from it.
  const known = new Set([...fed, scheduleQueue(ledgerId)]);
  const names = store.kind === 'redis' ? await queueNames(store.redis, store.prefix) : [];
  const own = names.filter((name) => name === shared || name.startsWith(`${shared}-`));
  const ids = names.map((name) => /^vidbatch-([0-9a-f]+)/.exec(name)?.[1]).filter((id) => id !== undefined);
  const queues: OneQueueFacts[] = [];
  for (const name of new Set([...fed, ...own])) {
    queues.push({ name, known: known.has(name), ...(await lookInto(store, name)) });
  }
  return { queues, otherLedgers: [...new Set(ids)].filter((id) => id !== ledgerId).sort() };
}

async function lookInto(store: QueueStore, name: string): Promise<Omit<OneQueueFacts, 'name' | 'known'>> {
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

/** Enough scans: a server with more keys is not used by vidbatch alone. */
const MOST_SCANS = 500;

/** Names of queues on this server, as far as `MOST_SCANS` finds them. */
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

export function judgeQueue({ queues, otherLedgers }: QueueFacts): Check[] {
  const live = queues.reduce((sum, queue) => sum + queue.live, 0);
  const failedJobs = queues.reduce((sum, queue) => sum + queue.failedJobs, 0);
  const checks = [ok('queue', `${plural(live, 'job')} to do in ${plural(queues.length, 'queue')}`)];
  for (const { name, paused } of queues) {
    if (!paused) continue;
    const hint =
      'Resume it where it was paused, on the board; `vidbatch pause` and `resume` do not pause queues.';
    checks.push(warning('queue-paused', `${name} is paused: its jobs wait`, hint));
  }
  const orphans = queues.filter((queue) => !queue.known && queue.live > 0);
  if (orphans.length > 0) {
    checks.push(
      warning(
        'queue-orphans',
        `${plural(
          orphans.reduce((sum, queue) => sum + queue.live, 0),
          'job',
        )} in queues that no worker feeds: ${orphans.map(({ name }) => name).join(', ')}`,
        'They do no harm, because the rows are in the ledger: remove them on the board.',
      ),
    );
  }
  if (failedJobs > 0) {
    checks.push(
      warning(
        'queue-failed',
        `${plural(failedJobs, 'job')} failed`,
        'Each says why on the board; the rows are in the ledger, and `vidbatch status` shows which need a look.',
      ),
    );
  }
  if (otherLedgers.length > 0) {
    checks.push(ok('queue-neighbours', `other ledgers on this server: ${otherLedgers.join(', ')}`));
  }
  return checks;
}

/** BullMQ's own schema, where it keeps its jobs in Postgres. Reads only. */
async function checkSchema(db: Queryable): Promise<Check> {
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

/** The queue as a worker opens it, until the signal comes. It waits through outages, so the caller sets a limit. */
async function openStore(
  { redisUrl, databaseUrl = '' }: Pick<Config, 'redisUrl' | 'databaseUrl'>,
  embedded: Database | undefined,
  signal: AbortSignal,
): Promise<QueueStore> {
  const onEnd = (close: () => void): void => {
    if (signal.aborted) close();
    else signal.addEventListener('abort', close);
  };
  if (redisUrl !== undefined) {
    const { redis, outage } = await connectRedis(redisUrl);
    onEnd(() => {
      outage.close();
      redis.disconnect();
    });
    return { kind: 'redis', redis, prefix: prefixOf(redis), outage };
  }
  const outage = new Outage('queue', 'the database');
  if (embedded !== undefined) return { kind: 'postgres', pool: embedded as QueuePool, outage };
  const place = parsePostgresUrl(databaseUrl);
  const pool = openQueuePool({ place, report: await probePostgres(place), outage });
  onEnd(() => {
    outage.close();
    void pool.end().catch(() => undefined);
  });
  return { kind: 'postgres', pool: pool as QueuePool, outage };
}

export async function checkQueue(
  { db, embedded }: OpenedLedger,
  config: Config,
  ledgerId: string | undefined,
  limitMs: number,
): Promise<Check[]> {
  if (db === undefined || ledgerId === undefined) return [];
  const schema =
    config.redisUrl === undefined
      ? await checkSubject('queue-schema', limitMs, async () => [await checkSchema(db)])
      : [];
  if (schema.some(({ status }) => status !== 'ok')) return schema;
  const checks = await checkSubject('queue', 2 * limitMs, async (signal) => {
    const store = await openStore(config, embedded, signal);
    return judgeQueue(await readQueueFacts(db, store, ledgerId));
  });
  return [...schema, ...checks];
}
