import { Pool } from 'pg';
import { openRedis } from '../queue.ts';
import type { QueueStore } from '../queue.ts';
import type { Config } from '../config.ts';
import type { Database } from '../ledger/database.ts';

type QueuePool = Extract<QueueStore, { kind: 'postgres' }>['pool'];

/** The queue's own connection, which waits through an outage; whoever opens it limits it, and lets it go. */
export function openStore(
  { redisUrl, databaseUrl }: Pick<Config, 'redisUrl' | 'databaseUrl'>,
  embedded: Database | undefined,
  limitMs: number,
): { store: QueueStore; close: () => void } {
  if (redisUrl !== undefined) {
    const redis = openRedis(redisUrl);
    redis.on('error', () => undefined);
    return { store: { kind: 'redis', redis }, close: () => redis.disconnect() };
  }
  if (embedded !== undefined) {
    return { store: { kind: 'postgres', pool: embedded as QueuePool }, close: () => undefined };
  }
  const pool = new Pool({
    connectionString: databaseUrl,
    options: '-c search_path=bullmq,public',
    max: 2,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
    application_name: 'vidbatch-doctor',
  });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    store: { kind: 'postgres', pool: pool as QueuePool },
    close: () => void pool.end().catch(() => undefined),
  };
}
