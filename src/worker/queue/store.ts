import type { Config } from '../../core/config.ts';
import { crashPoint } from '../../core/crash-points.ts';
import type { Logger } from '../../core/log.ts';
import type { Database, Queryable } from '../../database/database.ts';
import type { Outage } from '../../database/outage.ts';
import type { Postgres } from '../../database/postgres/connect.ts';
import { againstRace, hasSchema } from '../../ledger/migrate.ts';
import type { QueuePool, QueueStore } from './queue.ts';

/** Where the ledger is, and so the queue if there is no Redis. */
export type LedgerServer = { embedded: QueuePool } | { server: Postgres };

export type Closer = () => unknown;

/** Opens the queue as the configuration says. What it opens, `closers` close. */
export async function openStore(
  config: Config,
  { db, queue, outage }: { db: Database; queue: LedgerServer; outage: Outage },
  closers: Closer[],
  log: Logger,
): Promise<{ store: QueueStore; name: string }> {
  if (config.redisUrl !== undefined) {
    const { connectRedis, prefixOf } = await import('./redis/client.ts');
    const opened = await connectRedis(config.redisUrl);
    const { redis, evictionPolicy } = opened;
    if (evictionPolicy !== undefined && evictionPolicy !== 'noeviction')
      log.warn(
        { event: 'queue-evicts', policy: evictionPolicy },
        `${opened.name} may remove jobs when its memory is full: set its maxmemory-policy to noeviction; the ledger fills the queue again`,
      );
    closers.push(
      () => redis.disconnect(),
      () => opened.outage.close(),
    );
    const store: QueueStore = { kind: 'redis', redis, prefix: prefixOf(redis), outage: opened.outage };
    return { store, name: opened.name };
  }
  const name = 'the same database';
  if ('embedded' in queue) {
    await migrateQueue(db);
    return { store: { kind: 'postgres', pool: queue.embedded, outage }, name };
  }
  const { openQueuePool } = await import('../../database/postgres/connect.ts');
  const pool = openQueuePool(queue.server);
  closers.push(() => pool.end());
  await migrateQueue(pool);
  return { store: { kind: 'postgres', pool: pool as QueuePool, outage }, name };
}

/** Whether this database holds a queue. */
export function isQueueThere(db: Queryable): Promise<boolean> {
  return hasSchema(db, 'bullmq');
}

/** Runs BullMQ's own migrations, on one session as BullMQ requires. A schema that is up to date is only read. */
export async function migrateQueue(db: Database): Promise<void> {
  const { assertSchemaCompatibility, LATEST_SCHEMA_VERSION, runMigrations, SchemaMigrationRequiredError } =
    await import('bullmq');
  const session = await db.connect();
  try {
    const found = await assertSchemaCompatibility(session).catch((error: unknown) => {
      if (error instanceof SchemaMigrationRequiredError) return 0;
      throw error;
    });
    if (found < LATEST_SCHEMA_VERSION) await againstRace(() => runMigrations(session));
    crashPoint('queue-migrated');
  } finally {
    session.release();
  }
}
