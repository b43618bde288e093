import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { messageOf, VidbatchError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** Between two looks at a folder that changes hands. */
export const LOOK_MS = 1_000;

/** Whether the process that held the embedded folder, and served it to us, has ended. */
export function isHolderGone(error: unknown): boolean {
  return error instanceof VidbatchError && error.code === 'HOLDER_GONE';
}

/** Tries until it opens: the next holder may be starting, or closing. Undefined once the signal has come. */
export async function reopen(config: Config, log: Logger, signal: AbortSignal): Promise<App | undefined> {
  while (!signal.aborted) {
    try {
      return await openApp(config, 'reader');
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

/** This process has closed the folder for a worker that needs it alone: opens it again, as that one's guest. */
export async function reopenAsGuest(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<App | undefined> {
  await (await import('../ledger/folder.ts')).untilTaken(config.dataDir, signal);
  return reopen(config, log, signal);
}
