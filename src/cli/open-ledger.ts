import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { openLedger, type LedgerApp } from '../worker/app.ts';
import type { Role } from '../worker/judge-ledger.ts';
import { nameOfPlace, parseRedisUrl } from '../worker/queue/redis/url.ts';
import type { Io } from './output/io.ts';

/** How long Redis is asked, beside the opening of the ledger. The command does not wait longer for it. */
const REDIS_MS = 1_000;

interface OpenOptions {
  role?: Exclude<Role, 'worker'>;
  log?: Logger;
}

/**
 * Opens the ledger without its queue. This works while Redis is away; one line then says that no worker takes rows, so
 * that a person does not wonder.
 */
export async function openLedgerOnly(
  config: Config,
  io: Pick<Io, 'err'>,
  { role = 'reader', log }: OpenOptions = {},
): Promise<LedgerApp> {
  const [app, away] = await Promise.all([openLedger(config, role, log), redisTroubleOf(config.redisUrl)]);
  if (away !== undefined) io.err(`${away}; shown from the ledger`);
  return app;
}

/** Opens the ledger without its queue, works on it, and closes it. */
export async function withLedger<T>(
  config: Config,
  io: Pick<Io, 'err'>,
  work: (app: LedgerApp) => Promise<T>,
  options?: OpenOptions,
): Promise<T> {
  const app = await openLedgerOnly(config, io, options);
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}

async function redisTroubleOf(url: string | undefined): Promise<string | undefined> {
  if (url === undefined) return undefined;
  const place = parseRedisUrl(url);
  const { probeRedis } = await import('../worker/queue/redis/probe.ts');
  try {
    await probeRedis(place, REDIS_MS);
    return undefined;
  } catch (error) {
    return error instanceof VidbatchError && error.code !== 'QUEUE_UNREACHABLE'
      ? error.message
      : `Redis at ${nameOfPlace(place)} is away`;
  }
}

/** For `withReconnect`: opens the ledger without its queue each time, and reports that Redis is away only once. */
export function ledgerOpener(config: Config, io: Pick<Io, 'err'>, log: Logger): () => Promise<LedgerApp> {
  let reported = false;
  const once = {
    err(line: string) {
      if (!reported) io.err(line);
      reported = true;
    },
  };
  return () => openLedgerOnly(config, once, { log });
}

/** The wait between two tries to open a folder that another process opens or closes. */
const REOPEN_MS = 1_000;

/**
 * Opens the ledger and works on it, also when an embedded folder moves to another process: a worker needs the folder for
 * itself, or its holder ends. Then `moving` is aborted, and `work` begins again on the folder that the next holder shares.
 * Undefined: `signal` was aborted between two turns.
 */
export async function withReconnect<Open extends LedgerApp, T>(
  config: Config,
  log: Logger,
  signal: AbortSignal,
  open: () => Promise<Open>,
  work: (app: Open, moving: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  let app: Open | undefined = await open();
  while (app !== undefined) {
    const moved: AbortSignal | undefined = app.moved;
    try {
      const result = await work(app, AbortSignal.any([signal, ...(moved === undefined ? [] : [moved])]));
      if (signal.aborted || moved?.aborted !== true) return result;
    } catch (error) {
      if (signal.aborted || !isHolderGone(error)) throw error;
    } finally {
      await app.close();
    }
    const isWanted = moved?.reason === 'wanted';
    log.info(
      { event: 'folder-moves' },
      isWanted
        ? 'a worker needs the data folder; closing it, and using it through that worker'
        : 'the process that held the data folder has ended; opening it',
    );
    // The worker must open the folder before this process tries again.
    if (isWanted) await (await import('../database/data-folder.ts')).waitUntilTaken(config.dataDir, signal);
    app = await reopen(open, log, signal);
  }
  return undefined;
}

function isHolderGone(error: unknown): boolean {
  return error instanceof VidbatchError && error.code === 'HOLDER_GONE';
}

/** Tries until it succeeds, because the next holder may still be starting or closing. Undefined: the signal came. */
async function reopen<Open extends LedgerApp>(
  open: () => Promise<Open>,
  log: Logger,
  signal: AbortSignal,
): Promise<Open | undefined> {
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      const message = 'the ledger cannot be opened; trying again';
      log.warn({ event: 'ledger-away', error: messageOf(error) }, message);
    }
    await sleep(REOPEN_MS, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
