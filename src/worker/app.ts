import { logAccepted } from './row-log.ts';
import { clearTextOf } from './clear-text.ts';
import type { Config } from '../core/config.ts';
import { usageError } from '../core/errors.ts';
import { freeAllTasks } from '../ledger/tasks/poll.ts';
import { followClock } from '../ledger/send/clock.ts';
import { judgeClosed, judgeForeignJournals, refuseSecondLedger, type Role } from './judge-ledger.ts';
import type { Database } from '../database/database.ts';
import { holdsLedger, isExpected, ledgerExpected } from '../database/incoming.ts';
import type { EmbeddedDatabase } from '../database/embedded.ts';
import { forgetFeeders } from '../ledger/send/feeder.ts';
import { forgetPulses } from '../ledger/workers.ts';
import {
  appliedMigrations,
  isMigrated,
  migrateLedger,
  refuseExpected,
  refuseUnknownLedger,
} from '../ledger/migrate.ts';
import { checkFolder } from '../database/ownership.ts';
import { PreparedPool } from '../database/prepared-statements.ts';
import { readHolder } from '../database/lock.ts';
import { readLedgerId } from '../ledger/read/rows.ts';
import { sweep } from '../ledger/send/sweep.ts';
import { journalFolder } from './journal/journal.ts';
import { createLog, type Logger } from '../core/log.ts';
import { Outage } from '../database/outage.ts';
import { crashPoint } from '../core/crash-points.ts';
import { parseRedisUrl } from './queue/redis/url.ts';
import { replayJournals, type Replayed } from './journal/replay.ts';
import type { QueueStore } from './queue/queue.ts';
import { migrateQueue, openStore, type Closer, type LedgerServer } from './queue/store.ts';
import { loadTelemetry } from './telemetry.ts';

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
      : openPostgresLedger(config, config.databaseUrl, role, closers, log));
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

function mustExist(role: Role): boolean {
  return role === 'reader' || role === 'copier';
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
  queue: LedgerServer;
}

const UPKEEP_MS = 15_000;

async function openEmbeddedLedger(dir: string, role: Role, closers: Closer[], log: Logger): Promise<Ledger> {
  // Loading code takes half of a command's start, so each engine is loaded only where it is used.
  const { noLedger, openFolder } = await import('../database/data-folder.ts');
  // A process that holds the folder may be about to make the ledger.
  const mayMake = !mustExist(role);
  if (!mayMake && !holdsLedger(dir) && readHolder(dir) === undefined) throw noLedger(dir);
  const moved = new AbortController();
  const folder = await openFolder(
    dir,
    role === 'worker' || role === 'copier'
      ? { alone: true, mayMake }
      : { mayMake, onYield: () => moved.abort('wanted') },
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
    await judgeClosed(folder.database, role, log);
    return { ...opened, id: await readLedgerId(folder.database), swept: 0 };
  }
  if ((await appliedMigrations(folder.database)) === null) {
    if (isExpected(dir)) throw ledgerExpected(dir);
    // A process died after it had made the database, and before the ledger.
    if (!mayMake) throw noLedger(dir);
  }
  await migrate(folder.database);
  const isClosed = await judgeClosed(folder.database, role, log);
  // A closed ledger stays as it is.
  if (isClosed && role === 'reader') {
    return { ...opened, id: await readLedgerId(folder.database), swept: 0 };
  }
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
  await forgetPulses(folder.database);
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

async function openPostgresLedger(
  config: Config,
  url: string,
  role: Role,
  closers: Closer[],
  log: Logger,
): Promise<Ledger> {
  const { connectPostgres, keepsSessions } = await import('../database/postgres/connect.ts');
  const server = await connectPostgres(url);
  const { pool, frequent, place, outage } = server;
  closers.push(
    () => pool.end(),
    async () => frequent?.end(),
    () => outage.close(),
  );
  const name = `Postgres at ${place.name}`;
  if (mustExist(role) && !(await isMigrated(pool))) {
    await refuseExpected(pool);
    throw usageError(
      'NO_LEDGER',
      `${name} has no ledger of this version`,
      'If rows were sent before, check DATABASE_URL first: a new ledger would pay for them again. If it is right, `vidbatch migrate` makes the ledger, or updates an older one.',
    );
  }
  if (!mustExist(role)) {
    if ((await appliedMigrations(pool)) === null) refuseSecondLedger(config, name);
    await migrate(pool);
  }
  await judgeClosed(pool, role, log);
  const db = keepsSessions(server.report) ? new PreparedPool(pool, frequent) : pool;
  return { db, id: await readLedgerId(db), name, outage, swept: 0, queue: { server } };
}

async function migrate(db: Database): Promise<void> {
  await migrateLedger(db);
  crashPoint('ledger-migrated');
}
