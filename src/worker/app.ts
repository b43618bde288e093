import { logAccepted } from './row-log.ts';
import { clearTextOf } from './clear-text.ts';
import type { Config } from '../core/config.ts';
import { messageOf, usageError } from '../core/errors.ts';
import {
  acceptForeignJournals,
  foreignJournals,
  foreignRefusal,
  formatForeignJournals,
} from './journal/foreign.ts';
import { freeAllTasks } from '../ledger/tasks/poll.ts';
import { followClock } from '../ledger/send/clock.ts';
import type { Database } from '../database/database.ts';
import { isThere } from '../database/disk-errors.ts';
import type { EmbeddedDatabase } from '../database/embedded.ts';
import { forgetFeeders } from '../ledger/send/feeder.ts';
import { againstRace, isMigrated, migrateLedger, refuseUnknownLedger } from '../ledger/migrate.ts';
import { checkFolder } from '../database/ownership.ts';
import { PreparedPool } from '../database/prepared-statements.ts';
import { readHolder } from '../database/lock.ts';
import { readLedgerId } from '../ledger/read/rows.ts';
import { sweep } from '../ledger/send/sweep.ts';
import { journalFolder } from './journal/journal.ts';
import { createLog } from '../core/log.ts';
import type { Logger } from '../core/log.ts';
import { Outage } from '../database/outage.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Postgres } from '../database/postgres/connect.ts';
import { parseRedisUrl } from './queue/redis/url.ts';
import { replayJournals } from './journal/replay.ts';
import type { Replayed } from './journal/replay.ts';
import type { QueueStore } from './queue/queue.ts';
import { loadTelemetry } from './telemetry.ts';

/**
 * `worker`: sends rows, so it must hold the embedded folder itself. `writer`: may make the ledger. `reader`: the
 * ledger must be there.
 */
export type Role = 'worker' | 'writer' | 'reader';

/** The open ledger without its queue: enough for commands that read, pause or resolve. The caller closes it. */
export interface LedgerApp {
  db: Database;
  ledgerId: string;
  /** `embedded PGlite in .vidbatch`, `Postgres at host:5432` … for people. */
  storage: { ledger: string };
  /** Outages of the servers that this app uses. A caller that waits for them has them logged with `logTo`. */
  outages: readonly Outage[];
  /** Rows that were in flight when an embedded folder was opened: their worker is dead. */
  swept: number;
  /** What the journals held when an embedded ledger was opened. */
  replayed?: Replayed;
  /**
   * Aborted when an embedded folder changes hands: a worker waits for the one that this app holds (`wanted`), or the
   * process that served it to this app has ended (`gone`). Close it, and open it again.
   */
  moved?: AbortSignal;
  close(): Promise<void>;
}

/** The open ledger and queue. */
export interface App extends LedgerApp {
  store: QueueStore;
  storage: { ledger: string; queue: string };
}

type Closer = () => unknown;

/**
 * Opens ledger and queue as the configuration says. Closes what it had opened when a later step fails.
 * @throws VidbatchError when a server cannot be reached, or the folder is held by another worker.
 */
export async function openApp(
  config: Config,
  role: Role,
  log: Logger = createLog(config.logLevel ?? 'info'),
): Promise<App> {
  const telemetry = await loadTelemetry(config);
  return opening(config, role, log, async (ledger, closers) => {
    const { store, name } = await openStore(config, ledger, closers, log);
    return {
      store: telemetry === undefined ? store : { ...store, telemetry },
      storage: { ledger: ledger.name, queue: name },
      outages: [...new Set([ledger.outage, store.outage])],
    };
  });
}

/**
 * The same without the queue, which is not asked, and not made: for commands that need the ledger alone.
 * @throws VidbatchError when the ledger cannot be opened.
 */
export async function openLedger(
  config: Config,
  role: Exclude<Role, 'worker'>,
  log: Logger = createLog(config.logLevel ?? 'info'),
): Promise<LedgerApp> {
  return opening(config, role, log, async ({ db, name, outage, queue }) => {
    // A command that makes a ledger also makes its queue: `doctor` expects both.
    if (role === 'writer' && config.redisUrl === undefined && 'embedded' in queue) await migrateQueue(db);
    return { storage: { ledger: name }, outages: [outage] };
  });
}

async function opening<More extends Pick<LedgerApp, 'storage' | 'outages'>>(
  config: Config,
  role: Role,
  log: Logger,
  more: (ledger: Ledger, closers: Closer[]) => Promise<More>,
): Promise<LedgerApp & More> {
  const closers: Closer[] = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll(closers));
  // Report an invalid URL before opening the ledger.
  if (config.redisUrl !== undefined) parseRedisUrl(config.redisUrl);
  // A reader would repeat this warning with each command.
  if (role !== 'reader')
    for (const { what, hint } of clearTextOf(config)) log.warn({ event: 'without-tls', hint }, what);
  try {
    // A reader of a ledger in Postgres needs no folder.
    if (config.databaseUrl === undefined || role !== 'reader') checkFolder(config.dataDir);
    const ledger = await (config.databaseUrl === undefined
      ? openEmbeddedLedger(config.dataDir, role, closers, log)
      : openPostgresLedger(config.databaseUrl, role, closers));
    const { id } = ledger;
    await judgeForeignJournals(ledger.db, id, config, role, log);
    return {
      ...(await more(ledger, closers)),
      db: ledger.db,
      ledgerId: id,
      swept: ledger.swept,
      ...(ledger.replayed === undefined ? {} : { replayed: ledger.replayed }),
      ...(ledger.moved === undefined ? {} : { moved: ledger.moved }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Foreign journals stop a worker and a writer. A reader only warns. */
async function judgeForeignJournals(
  db: Database,
  id: string,
  { dataDir, acceptForeignJournals: acceptedBy }: Config,
  role: Role,
  log: Logger,
): Promise<void> {
  if (role === 'reader') {
    const told = await foreignJournals(db, journalFolder(dataDir), id).then(
      (journals) =>
        journals.length === 0 ? undefined : `${formatForeignJournals(journals)}; nothing is sent`,
      // Its ledger may be on another machine, and the folder may belong to another user.
      (error: unknown) => messageOf(error),
    );
    if (told !== undefined) log.warn({ event: 'foreign-journals' }, told);
    return;
  }
  const journals = await foreignJournals(db, journalFolder(dataDir), id);
  if (journals.length === 0) return;
  if (acceptedBy === undefined) throw foreignRefusal(journals);
  await acceptForeignJournals(db, journals, acceptedBy);
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close();
}

interface Ledger {
  db: Database;
  id: string;
  name: string;
  outage: Outage;
  swept: number;
  replayed?: Replayed;
  moved?: AbortSignal;
  /** Where the queue is when there is no Redis. */
  queue: { embedded: QueuePool } | { server: Postgres };
}

type QueuePool = Extract<QueueStore, { kind: 'postgres' }>['pool'];

const UPKEEP_MS = 15_000;

async function openEmbeddedLedger(dir: string, role: Role, closers: Closer[], log: Logger): Promise<Ledger> {
  // Loading code takes half of a command's start, so each engine is loaded only where it is used.
  const { databaseOf, noLedger, openFolder } = await import('../database/data-folder.ts');
  // A process that holds the folder may be about to make the ledger.
  if (role === 'reader' && !isThere(databaseOf(dir)) && readHolder(dir) === undefined) throw noLedger(dir);
  const moved = new AbortController();
  const folder = await openFolder(
    dir,
    role === 'worker'
      ? { alone: true }
      : { mayMake: role !== 'reader', onYield: () => moved.abort('wanted') },
  );
  closers.push(() => folder.close());
  const name = `embedded PGlite in ${dir}`;
  const outage = new Outage('ledger', name);
  const opened = {
    db: folder.database,
    name,
    outage,
    queue: { embedded: folder.database },
    moved: moved.signal,
  };
  if (folder.role === 'client') {
    folder.database.on('error', () => moved.abort('gone'));
    // The process that holds the folder may be an older vidbatch.
    await refuseUnknownLedger(folder.database);
    return { ...opened, id: await readLedgerId(folder.database), swept: 0 };
  }
  await migrate(folder.database);
  // Under the folder's lock no other process can send or feed: rows in flight have lost their worker.
  // The journals come first: an answer settles a row that the sweep could only call uncertain.
  const id = await readLedgerId(folder.database);
  const replayed = await replayJournals(folder.database, journalFolder(dir), id, (one) =>
    logAccepted(log, one),
  );
  const swept = await sweep(folder.database, { all: true });
  // Before the feeders are forgotten: they show whether this machine's clock was set back.
  await followClock(folder.database);
  await forgetFeeders(folder.database);
  await freeAllTasks(folder.database);
  crashPoint('feeders-forgotten');
  keepUp(folder.database, closers);
  return { ...opened, id, swept, replayed };
}

/** The embedded database has no autovacuum of its own. */
function keepUp(database: EmbeddedDatabase, closers: Closer[]): void {
  let running: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(() => database.upkeep()).catch(() => undefined);
  }, UPKEEP_MS);
  timer.unref();
  closers.push(async () => {
    clearInterval(timer);
    await running;
  });
}

async function openPostgresLedger(url: string, role: Role, closers: Closer[]): Promise<Ledger> {
  const { connectPostgres, keepsSessions } = await import('../database/postgres/connect.ts');
  const server = await connectPostgres(url);
  const { pool, frequent, place, outage } = server;
  closers.push(
    () => pool.end(),
    async () => frequent?.end(),
    () => outage.close(),
  );
  const name = `Postgres at ${place.name}`;
  if (role === 'reader' && !(await isMigrated(pool))) {
    throw usageError('NO_LEDGER', `${name} has no ledger of this version`, 'Run `vidbatch migrate`.');
  }
  if (role !== 'reader') await migrate(pool);
  const db = keepsSessions(server.report) ? new PreparedPool(pool, frequent) : pool;
  return { db, id: await readLedgerId(db), name, outage, swept: 0, queue: { server } };
}

async function openStore(
  config: Config,
  { db, queue, outage }: Ledger,
  closers: Closer[],
  log: Logger,
): Promise<{ store: QueueStore; name: string }> {
  if (config.redisUrl !== undefined) {
    const { connectRedis, prefixOf } = await import('./queue/redis/client.ts');
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
  const { openQueuePool } = await import('../database/postgres/connect.ts');
  const pool = openQueuePool(queue.server);
  closers.push(() => pool.end());
  await migrateQueue(pool);
  return { store: { kind: 'postgres', pool: pool as QueuePool, outage }, name };
}

async function migrate(db: Database): Promise<void> {
  await migrateLedger(db);
  crashPoint('ledger-migrated');
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
