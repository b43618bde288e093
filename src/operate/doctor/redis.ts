import { Redis } from 'ioredis';
import type { Config } from '../../core/config.ts';
import { VidbatchError } from '../../core/errors.ts';
import { queueName } from '../../worker/queue/name.ts';
import { redisOptions } from '../../worker/queue/redis/options.ts';
import { selectDatabase } from '../../worker/queue/redis/probe.ts';
import { redisTrouble } from '../../worker/queue/redis/trouble.ts';
import { nameOfPlace, parseRedisUrl, type RedisPlace } from '../../worker/queue/redis/url.ts';
import { parsed, refused, withLimit, latencyOf, failed, ok, skipped, warning, type Check } from './check.ts';
import { isBelow } from './configuration.ts';

/** What a Redis server reports about itself. Undefined: not reported, as on many managed servers. */
export interface RedisFacts {
  latencyMs: number;
  tls: boolean;
  version: string | undefined;
  /** `dragonfly`, `valkey` … where it says so. */
  kind: string;
  role: string | undefined;
  cluster: boolean;
  loading: boolean;
  policy: string | undefined;
  /** Bytes; 0: no limit of its own. */
  maxMemory: number | undefined;
  usedMemory: number | undefined;
  aof: boolean | undefined;
  /** Whether it makes snapshots; from CONFIG, which managed servers refuse. */
  snapshots: boolean | undefined;
  lastSnapshotFailed: boolean;
  /** Why a script of BullMQ could not run here; null: it could. */
  scripts: string | null;
}

/**
 * A connection that does not retry and ends with the signal: to the server, to the master that the Sentinels name, or to
 * the first node of a cluster that answers.
 */
async function openProbe(place: RedisPlace, signal: AbortSignal): Promise<Redis> {
  const [, ...others] = place.hosts;
  try {
    return await openOne(place, signal);
  } catch (error) {
    const [next, ...more] = others;
    if (place.kind !== 'cluster' || next === undefined) throw error;
    return openProbe({ ...place, hosts: [next, ...more] }, signal);
  }
}

async function openOne(place: RedisPlace, signal: AbortSignal): Promise<Redis> {
  const redis = new Redis({
    ...redisOptions(place),
    lazyConnect: true,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    maxRetriesPerRequest: 0,
    // Without this check, a server that is loading its data answers at once.
    enableReadyCheck: false,
  });
  let reason: unknown;
  redis.on('error', (error) => (reason = error));
  signal.addEventListener('abort', () => redis.disconnect());
  try {
    await redis.connect();
    await redis.ping();
    await selectDatabase(redis, place);
    return redis;
  } catch (error) {
    redis.disconnect();
    throw error instanceof VidbatchError ? error : (reason ?? error);
  }
}

async function readRedisFacts(redis: Redis, options: { tls: boolean; key: string }): Promise<RedisFacts> {
  const latencyMs = await latencyOf(() => redis.ping());
  const info = readInfo(await redis.info());
  const number = (name: string): number | undefined => {
    const value = Number(info[name]);
    return info[name] === undefined || Number.isNaN(value) ? undefined : value;
  };
  return {
    latencyMs,
    tls: options.tls,
    version: info['redis_version'],
    kind: info['dragonfly_version'] === undefined ? (info['server_name'] ?? 'redis') : 'dragonfly',
    role: info['role'],
    cluster: info['cluster_enabled'] === '1',
    loading: info['loading'] === '1',
    policy: info['maxmemory_policy'] ?? (await configured(redis, 'maxmemory-policy')),
    maxMemory: number('maxmemory'),
    usedMemory: number('used_memory'),
    aof: info['aof_enabled'] === undefined ? undefined : info['aof_enabled'] === '1',
    snapshots: await snapshots(redis),
    lastSnapshotFailed: info['rdb_last_bgsave_status'] === 'err',
    scripts: await scripts(redis, options.key),
  };
}

function readInfo(text: string): Record<string, string> {
  const pairs = text.split(/\r?\n/).map((line) => /^([a-z_]+):(.*)$/.exec(line));
  return Object.fromEntries(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1], pair[2]]])));
}

/** Managed servers refuse CONFIG. */
async function configured(redis: Redis, name: string): Promise<string | undefined> {
  const answer = await redis.config('GET', name).catch(() => undefined);
  return Array.isArray(answer) ? answer[1] : undefined;
}

async function snapshots(redis: Redis): Promise<boolean | undefined> {
  const save = await configured(redis, 'save');
  return save === undefined ? undefined : save !== '';
}

/** BullMQ runs scripts on its own keys. This script only reads. */
async function scripts(redis: Redis, key: string): Promise<string | null> {
  try {
    await redis.eval(`return redis.call('exists', KEYS[1])`, 1, key);
    return null;
  } catch (error) {
    const { message } = error as Error;
    // Another node of the cluster has the key. The script was allowed to look for it.
    return message.startsWith('MOVED') ? null : message;
  }
}

/** The oldest version that BullMQ supports, and the version that it recommends. */
const OLDEST = '5.0.0';
const RECOMMENDED = '6.2.0';
const MEBIBYTE = 1024 * 1024;

export function judgeRedis(facts: RedisFacts, where: string): Check[] {
  return [
    judgeServer(facts, where),
    judgeRole(facts),
    judgeEviction(facts),
    judgeMemory(facts),
    judgePersistence(facts),
    judgeScripts(facts),
  ];
}

function judgeServer({ kind, version, latencyMs, tls }: RedisFacts, where: string): Check {
  const named = `${kind === 'redis' ? 'Redis' : kind} ${version ?? 'of an unknown version'}`;
  const what = `${named} at ${where}, ${latencyMs.toFixed(1)} ms, ${tls ? 'with' : 'without'} TLS`;
  if (version !== undefined && isBelow(version, OLDEST)) {
    return failed('redis', `${what}: BullMQ needs ${OLDEST}`, `Use Redis ${RECOMMENDED} or newer.`);
  }
  if (version !== undefined && isBelow(version, RECOMMENDED)) {
    return warning(
      'redis',
      `${what}: BullMQ recommends ${RECOMMENDED}`,
      `Use Redis ${RECOMMENDED} or newer.`,
    );
  }
  if (latencyMs > 50) {
    return warning(
      'redis',
      `${what}: slow`,
      'Every row costs several round trips: run workers closer to it.',
    );
  }
  return ok('redis', what);
}

function judgeRole({ role, loading, cluster }: RedisFacts): Check {
  if (loading) return failed('redis-role', 'it is loading its data', 'Wait until it has loaded them.');
  if (role === undefined) return skipped('redis-role', 'unknown: it does not report its role');
  if (role !== 'master') {
    return failed('redis-role', `it is a ${role}, which is read-only`, 'REDIS_URL must name the primary.');
  }
  return ok('redis-role', cluster ? 'a primary of a cluster' : 'a primary');
}

function judgeEviction({ policy }: RedisFacts): Check {
  if (policy === undefined) {
    return skipped(
      'redis-eviction',
      'unknown: it does not report its maxmemory-policy, which must be noeviction',
    );
  }
  if (policy === 'noeviction') return ok('redis-eviction', 'maxmemory-policy is noeviction');
  return failed(
    'redis-eviction',
    `maxmemory-policy is ${policy}: a queue with evicted keys stalls`,
    'Set maxmemory-policy noeviction.',
  );
}

function judgeMemory({ maxMemory, usedMemory }: RedisFacts): Check {
  if (maxMemory === undefined || usedMemory === undefined) {
    return skipped('redis-memory', 'unknown: it does not report its memory');
  }
  const used = `${mebibytes(usedMemory)} MiB used`;
  if (maxMemory === 0) return ok('redis-memory', `${used}, no limit of its own`);
  const what = `${used} of ${mebibytes(maxMemory)} MiB`;
  // A full Redis refuses writes: nothing is lost, but no row is sent.
  if (usedMemory < maxMemory * 0.9) return ok('redis-memory', what);
  return warning('redis-memory', `${what}: nearly full`, 'Raise maxmemory, or lower --queue-depth.');
}

function judgePersistence({ aof, snapshots, lastSnapshotFailed }: RedisFacts): Check {
  if (lastSnapshotFailed) {
    return warning(
      'redis-persistence',
      'its last snapshot failed: by default it then refuses writes',
      'Look for its reason in the log of Redis: usually the disk is full.',
    );
  }
  const kinds = [...(aof === true ? ['append-only file'] : []), ...(snapshots === true ? ['snapshots'] : [])];
  if (kinds.length > 0) return ok('redis-persistence', kinds.join(' and '));
  if (aof === undefined || snapshots === undefined) return ok('redis-persistence', 'unknown, and not needed');
  return ok('redis-persistence', 'no persistence, which is not needed: workers fill the queue again');
}

function judgeScripts({ scripts }: RedisFacts): Check {
  if (scripts === null) return ok('redis-scripts', 'this user may run BullMQ’s scripts');
  return failed(
    'redis-scripts',
    `a script could not run: ${scripts}`,
    'Allow this user @all, or at least EVAL, EVALSHA and what they call, on the keys bull:*.',
  );
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(bytes < 10 * MEBIBYTE ? 1 : 0);
}

export async function checkRedis({ redisUrl }: Config, limitMs: number): Promise<Check[]> {
  if (redisUrl === undefined) return [];
  const place = parsed(() => parseRedisUrl(redisUrl));
  if (place === undefined) return [skipped('redis', 'was not checked: REDIS_URL is not valid')];
  try {
    return await withLimit(limitMs, async (signal) => {
      const redis = await openProbe(place, signal);
      const facts = await readRedisFacts(redis, {
        tls: place.tls,
        key: `bull:${queueName('doctor', null)}:meta`,
      });
      return judgeRedis(facts, nameOfPlace(place));
    });
  } catch (error) {
    return [refused('redis', error instanceof VidbatchError ? error : redisTrouble(error, place))];
  }
}
