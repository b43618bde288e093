import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { LedgerApp } from '../worker/app.ts';

/** Between two tries to open a folder that changes hands. */
const LOOK_MS = 1_000;

/**
 * Works on the ledger for as long as that takes, also while an embedded folder changes hands: a worker needs it alone, or
 * the process that had it ends. Then `work` is told by its signal, and begins anew on the folder as the next one serves
 * it. Undefined: `signal` has come in between. `open`: the ledger alone, or with its queue.
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
    log.info({ event: 'folder-moves' }, WHY[moved?.reason === 'wanted' ? 'wanted' : 'gone']);
    // Whoever made room must not be back before the worker is there.
    if (moved?.reason === 'wanted')
      await (await import('../database/data-folder.ts')).waitUntilTaken(config.dataDir, signal);
    app = await reopen(open, log, signal);
  }
  return undefined;
}

const WHY = {
  wanted: 'a worker needs the folder; making room, and looking in as its guest',
  gone: 'the process that held the folder has ended; opening it',
};

function isHolderGone(error: unknown): boolean {
  return error instanceof VidbatchError && error.code === 'HOLDER_GONE';
}

/** The next holder may be starting, or closing. Undefined once the signal has come. */
async function reopen<Open extends LedgerApp>(
  open: () => Promise<Open>,
  log: Logger,
  signal: AbortSignal,
): Promise<Open | undefined> {
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      log.warn(
        { event: 'ledger-away', error: messageOf(error) },
        'the ledger cannot be opened; trying again',
      );
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
