import { Cluster, Redis } from 'ioredis';
import { within } from '../../../core/within.ts';
import { noAnswer } from '../../../database/connection-errors.ts';
import { Outage } from '../../../database/outage.ts';
import { CONNECT_MS, redisOptions } from './options.ts';
import { redisTrouble } from './trouble.ts';
import { probeRedis, STARTING_MS } from './probe.ts';
import { nameOfPlace, parseRedisUrl, type RedisPlace } from './url.ts';

export type RedisClient = Redis | Cluster;

/**
 * A connection without an answer for this time is closed, and its commands are repeated on the next one: a server that
 * is stopped or cannot be reached keeps its connections open for ever. No command blocks longer: BullMQ's wait for a
 * job ends after ten seconds at most.
 */
const SILENCE_MS = 20_000;

/** How BullMQ's keys begin. All keys of one of its scripts must be on the same node of a cluster. */
export function prefixOf(redis: RedisClient): string {
  return redis.isCluster ? '{bull}' : 'bull';
}

/**
 * A client that waits through outages and comes back by itself; BullMQ makes its blocking connection as a duplicate of
 * it. Opens nothing yet, and needs a listener for `error`.
 */
export function openRedis(url: string | RedisPlace, { silenceMs = SILENCE_MS } = {}): RedisClient {
  const place = typeof url === 'string' ? parseRedisUrl(url) : url;
  // BullMQ needs commands that wait through an outage rather than fail after some retries.
  const patient = { maxRetriesPerRequest: null, lazyConnect: true, socketTimeout: silenceMs } as const;
  if (place.kind !== 'cluster') return new Redis({ ...redisOptions(place), ...patient, reconnectOnError });
  const { tls, username, password, connectTimeout, keepAlive } = redisOptions(place);
  return new Cluster(place.hosts, {
    lazyConnect: true,
    slotsRefreshTimeout: CONNECT_MS,
    retryDelayOnFailover: 500,
    retryDelayOnClusterDown: 500,
    // A certificate names a host, so a host name must not be replaced by its address.
    ...(place.tls
      ? { dnsLookup: (host: string, done: (error: null, address: string) => void) => done(null, host) }
      : {}),
    redisOptions: { ...patient, tls, username, password, connectTimeout, keepAlive },
  });
}

/** A master that has become a replica: a new connection finds the new master. 2: reconnect and repeat the command. */
function reconnectOnError({ message }: Error): 2 | false {
  return message.includes('READONLY') ? 2 : false;
}

/** The open Redis of the queue. The caller disconnects it. */
export interface RedisQueue {
  redis: RedisClient;
  /** `Redis at localhost:6379`, for people. */
  name: string;
  outage: Outage;
  /** A queue needs `noeviction`; undefined if the server does not report it. */
  evictionPolicy: string | undefined;
}

/**
 * If the one address is a node of a cluster, it opens the whole cluster: managed clusters give only such an address.
 * @throws VidbatchError within ten seconds when it cannot be used.
 */
export async function connectRedis(url: string): Promise<RedisQueue> {
  const named = parseRedisUrl(url);
  const begun = performance.now();
  const { cluster, evictionPolicy } = await probeRedis(named);
  const place: RedisPlace = named.kind === 'server' && cluster ? { ...named, kind: 'cluster' } : named;
  const name = `Redis at ${nameOfPlace(place)}`;
  const outage = new Outage('queue', name);
  const redis = openRedis(place);
  let reason: unknown;
  redis.on('error', (error: unknown) => {
    reason = error;
    outage.failed(error);
  });
  redis.on('close', () => outage.failed(reason ?? new Error('the connection was closed')));
  redis.on('ready', () => outage.worked());
  try {
    const left = STARTING_MS - (performance.now() - begun);
    await within(left, ready(redis), noAnswer);
  } catch (error) {
    redis.disconnect();
    throw redisTrouble(reason ?? error, place);
  }
  return { redis, name, outage, evictionPolicy };
}

/** For a cluster, also checks that the node of the queue answers: its address comes from another node. */
async function ready(redis: RedisClient): Promise<void> {
  await redis.connect();
  await redis.exists(`${prefixOf(redis)}:`);
}
