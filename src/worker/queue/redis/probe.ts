import { Redis } from 'ioredis';
import { within } from '../../../core/within.ts';
import { noAnswer } from '../../../database/connection-errors.ts';
import { messageOf, VidbatchError } from '../../../core/errors.ts';
import { redisOptions } from './options.ts';
import { redisTrouble } from './trouble.ts';
import { nameOfPlace, type RedisPlace } from './url.ts';

/** What a Redis server reports about itself. */
export interface RedisReport {
  /** `7.0.15`; of Valkey and other relatives, the version of Redis that they are compatible with. */
  version: string;
  cluster: boolean;
  /** A queue needs `noeviction`; undefined if the server does not report it. */
  evictionPolicy: string | undefined;
}

/** Opening an engine takes this long at most, also at an address that never answers. */
export const STARTING_MS = 8_000;

/** Commands that BullMQ uses (`bzpopmin`, streams) came with it. */
const OLDEST = 5;

/**
 * Looks at the server, at the master that the Sentinels name, or at the first node of the cluster that answers, over a
 * connection of its own that is closed again. Changes nothing.
 * @throws VidbatchError QUEUE_… when it cannot hold the queue.
 */
export async function probeRedis(place: RedisPlace, ms = STARTING_MS): Promise<RedisReport> {
  if (place.kind !== 'cluster') return probeOne(place, ms);
  let failure: unknown;
  for (const host of place.hosts) {
    try {
      const report = await probeOne({ ...place, hosts: [host] }, ms / place.hosts.length);
      if (report.cluster) return report;
      throw new VidbatchError('QUEUE_NOT_CLUSTER', `Redis at ${nameOfPlace(place)} is not a cluster`, {
        hint: 'Name it with redis:// or rediss://.',
      });
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

async function probeOne(place: RedisPlace, ms: number): Promise<RedisReport> {
  const probe = new Redis({
    ...redisOptions(place),
    lazyConnect: true,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    // The check would wait while a server loads its data.
    enableReadyCheck: false,
  });
  let reason: unknown;
  let answered = false;
  probe.on('error', (error) => (reason ??= error));
  probe.on('connect', () => (answered = true));
  try {
    return await within(ms, look(place, probe), noAnswer);
  } catch (error) {
    throw error instanceof VidbatchError ? error : redisTrouble(reason ?? error, place, { answered });
  } finally {
    probe.disconnect();
  }
}

async function look(place: RedisPlace, probe: Redis): Promise<RedisReport> {
  await probe.connect();
  const report = read(place, await probe.info());
  await selectDatabase(probe, place);
  return report;
}

/**
 * The client does not check the answer when it selects its database, and continues in database 0.
 * @throws VidbatchError QUEUE_NO_DATABASE
 */
export async function selectDatabase(probe: Redis, place: RedisPlace): Promise<void> {
  if (place.db === 0) return;
  try {
    await probe.select(place.db);
  } catch (error) {
    if (!/DB index|not allowed|invalid DB/i.test(messageOf(error))) throw error;
    throw new VidbatchError(
      'QUEUE_NO_DATABASE',
      `Redis at ${nameOfPlace(place)} has no database ${place.db}: ${messageOf(error)}`,
      { hint: 'Name one that it has in REDIS_URL: by default 0 to 15.' },
    );
  }
}

function read(place: RedisPlace, text: string): RedisReport {
  const fields = new Map(
    text.split(/\r?\n/).map((line) => line.split(/:(.*)/s).slice(0, 2) as [string, string]),
  );
  const refuse = (code: string, what: string, hint: string): never => {
    throw new VidbatchError(code, `Redis at ${nameOfPlace(place)} ${what}`, { hint });
  };
  const cluster = fields.get('cluster_enabled') === '1';
  const version = fields.get('redis_version') ?? '';
  if (fields.get('loading') === '1')
    refuse('QUEUE_LOADING', 'is loading its data', 'Try again once it is done.');
  if (Number.parseInt(version, 10) < OLDEST)
    refuse('QUEUE_TOO_OLD', `is version ${version}`, `BullMQ needs ${OLDEST}.0 or newer.`);
  if (!cluster && fields.get('role') === 'slave')
    refuse(
      'QUEUE_READ_ONLY',
      'is a replica, which cannot be written to',
      'Name its master in REDIS_URL, or the Sentinels: redis+sentinel://host:26379/mymaster.',
    );
  if (cluster && place.db !== 0)
    refuse(
      'QUEUE_NO_DATABASES',
      `is a cluster, which has no database ${place.db}`,
      'Leave it out of REDIS_URL.',
    );
  return { version, cluster, evictionPolicy: fields.get('maxmemory_policy') };
}
