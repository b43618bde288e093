import { setTimeout as sleep } from 'node:timers/promises';
import { isOutage } from './connection-lost.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';

const PAUSE = { firstMs: 100, maxMs: 5_000 };
/** Pauses grow to five seconds, so this is about every minute and a half. */
const SAY_EVERY = 20;

/**
 * Repeats what the ledger is asked for until it answers, with growing pauses: it may be away for a while. What this
 * program itself refuses (a VidbatchError), no patience mends. Once the signal has come, one more failure is thrown:
 * whoever stops does not wait for a ledger that is away.
 */
export async function patiently<T>(
  what: string,
  log: Logger,
  attempt: (again: boolean) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      const result = await attempt(tries > 0);
      if (tries > 0) log.debug({ event: 'answered', what, tries }, 'the ledger answers again');
      return result;
    } catch (error) {
      if (error instanceof VidbatchError || signal?.aborted === true) throw error;
      // An outage is told once, by the connection itself; whatever else it may be is said again now and then.
      const level = isOutage(error) ? 'debug' : 'warn';
      if (tries % SAY_EVERY === 0) {
        log[level](
          { event: 'ledger-failed', what, tries, error: messageOf(error) },
          'the ledger failed; trying again',
        );
      }
      const pauseMs = Math.min(PAUSE.maxMs, PAUSE.firstMs * 2 ** tries);
      await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }
}
