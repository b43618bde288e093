import type { Config } from '../../core/config.ts';
import type { Database } from '../../database/database.ts';
import { Outage } from '../../database/outage.ts';
import { openQueuePool } from '../../database/postgres/client.ts';
import { probePostgres } from '../../database/postgres/probe.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import type { QueueStore } from '../../worker/queue/queue.ts';
import { connectRedis, prefixOf } from '../../worker/queue/redis/client.ts';

type QueuePool = Extract<QueueStore, { kind: 'postgres' }>['pool'];

/** The queue as a worker opens it, until the signal comes. It waits through outages, so whoever uses it limits it. */
export async function openStore(
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
