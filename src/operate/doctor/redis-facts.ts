import { Redis } from 'ioredis';
import { VidbatchError } from '../../core/errors.ts';
import { redisOptions } from '../../worker/queue/redis/options.ts';
import { selectDatabase } from '../../worker/queue/redis/probe.ts';
import type { RedisPlace } from '../../worker/queue/redis/url.ts';
import { latencyOf } from './check.ts';

/** What a Redis server says of itself. Undefined: it does not tell, as managed ones may not. */
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
 * A connection that gives up at once, and ends with the signal: to the server, to the master that the Sentinels name, or
 * to the first node of a cluster that answers.
 */
export async function openProbe(place: RedisPlace, signal: AbortSignal): Promise<Redis> {
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
    // A server that is loading its data says so, instead of keeping us.
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

export async function gatherRedis(redis: Redis, options: { tls: boolean; key: string }): Promise<RedisFacts> {
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

/** All that BullMQ does is a script on keys of its own. This one only reads. */
async function scripts(redis: Redis, key: string): Promise<string | null> {
  try {
    await redis.eval(`return redis.call('exists', KEYS[1])`, 1, key);
    return null;
  } catch (error) {
    const { message } = error as Error;
    // Another node of the cluster has the key: it was looked for, so it may be.
    return message.startsWith('MOVED') ? null : message;
  }
}
