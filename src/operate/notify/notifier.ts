import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { within } from '../../core/within.ts';
import { isOutage } from '../../database/connection-errors.ts';
import type { Database } from '../../database/database.ts';
import {
  recordTold,
  recordUntold,
  registerTarget,
  takeNotice,
  type DueNotice,
} from '../../ledger/notify/notices.ts';
import { redactor } from '../../provider/api-key.ts';
import { lookForNews } from './look.ts';
import type { Message } from './message.ts';
import { openPostman, type Postman } from './post.ts';
import { formatTarget, type Target } from './target.ts';

/** Tells targets what happens in a ledger. */
export interface Notifier {
  /** Looks once more, tries each notice that is due once, and ends within a few seconds. The ledger keeps the rest. */
  stop(): Promise<void>;
}

export interface NotifierTimes {
  /** The least and the most time between two looks. */
  lookMs: number;
  mostLookMs: number;
  settleMs: number;
  gapMs: number;
  missingMs: number;
  closingMs: number;
  /** The wait after each failed try. After the last one, a notice is given up. */
  retryMs: readonly number[];
}

const MINUTE_MS = 60_000;

const TIMES: NotifierTimes = {
  lookMs: 2_000,
  mostLookMs: 15_000,
  settleMs: 10_000,
  gapMs: 10 * MINUTE_MS,
  missingMs: MINUTE_MS,
  closingMs: 3_000,
  retryMs: [5_000, 15_000, 45_000, ...[2, 6, 20, 60, 60, 60].map((minutes) => minutes * MINUTE_MS)],
};

/** Looks take at most one fiftieth of the time, if the longest wait between two looks allows it. */
const SHARE = 50;
/** Longer than one try takes. If this process dies meanwhile, another process tries after this time. */
const LEASE_MS = 30_000;

/**
 * Registers the targets. Then it looks for events and sends notices, beside the caller's work. It waits for the ledger only, never for a target,
 * and no failure reaches the caller.
 */
export async function startNotifier(
  { db, ledgerId }: { db: Database; ledgerId: string },
  targets: readonly Target[],
  { apiKey, log, times = {} }: { apiKey: string | undefined; log: Logger; times?: Partial<NotifierTimes> },
): Promise<Notifier> {
  const told = { ...TIMES, ...times };
  const redact = redactor(apiKey);
  const postman = openPostman();
  const stopping = new AbortController();
  const closed = new AbortController();
  const watches = await Promise.all(
    targets.map(async (target) => {
      const watch = new Watch({
        db,
        ledgerId,
        target,
        postman,
        redact,
        log,
        times: told,
        closed: closed.signal,
      });
      await watch.register();
      return watch;
    }),
  );
  const running = watches.map((watch) => watch.loop(stopping.signal));
  return {
    async stop() {
      stopping.abort();
      const ended = Promise.all(running).then(() => Promise.all(watches.map((watch) => watch.end())));
      await within<unknown>(told.closingMs, ended, () => undefined);
      closed.abort();
      await postman.close();
    },
  };
}

interface WatchOptions {
  db: Database;
  ledgerId: string;
  target: Target;
  postman: Postman;
  redact: (text: string) => string;
  log: Logger;
  times: NotifierTimes;
  /** Aborted before the ledger closes. After that, a failed look is expected and is no warning. */
  closed: AbortSignal;
}

/** What one target is told. */
class Watch {
  readonly #of: WatchOptions;
  /** Since when rows have waited for a worker, by the monotonic clock; undefined: none waits. */
  #missingSince: number | undefined;
  #failing = false;

  constructor(of: WatchOptions) {
    this.#of = of;
  }

  async register(): Promise<void> {
    await this.#quietly(() => registerTarget(this.#of.db, this.#of.target.id, formatTarget(this.#of.target)));
  }

  async loop(signal: AbortSignal): Promise<void> {
    const { times } = this.#of;
    while (!signal.aborted) {
      const began = performance.now();
      await this.#look(times);
      const costMs = performance.now() - began;
      await this.#tell(signal);
      const restMs = Math.min(times.mostLookMs, Math.max(times.lookMs, SHARE * costMs));
      await sleep(restMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async end(): Promise<void> {
    await this.#look({ settleMs: 0, gapMs: 0 });
    await this.#tell();
  }

  async #look({ settleMs, gapMs }: Pick<NotifierTimes, 'settleMs' | 'gapMs'>): Promise<void> {
    const { db, target, redact } = this.#of;
    const isMissing = (rowsWait: boolean): boolean => this.#isMissing(rowsWait);
    await this.#quietly(() => lookForNews(db, target.id, { settleMs, gapMs, isMissing, redact }));
  }

  #isMissing(rowsWait: boolean): boolean {
    const now = performance.now();
    this.#missingSince = rowsWait ? (this.#missingSince ?? now) : undefined;
    return this.#missingSince !== undefined && now - this.#missingSince >= this.#of.times.missingMs;
  }

  /** Sends notices until none is due, or until one fails: then the next ones would most likely fail, too. */
  async #tell(signal?: AbortSignal): Promise<void> {
    const { db, target } = this.#of;
    await this.#quietly(async () => {
      for (;;) {
        if (signal?.aborted === true) return;
        const notice = await takeNotice(db, target.id, LEASE_MS);
        if (notice === undefined || !(await this.#try(notice))) return;
      }
    });
  }

  async #try({ id, at, message, tries }: DueNotice): Promise<boolean> {
    const { db, ledgerId, target, postman, times } = this.#of;
    const told = JSON.parse(message) as Message;
    const failure = await postman.post(target, { ...told, id: `${ledgerId}-${id}`, ledger: ledgerId, at });
    if (failure === undefined) {
      this.#failing = false;
      await recordTold(db, id);
      return true;
    }
    const retryMs = times.retryMs[tries] ?? null;
    this.#logFailure(told, failure, retryMs);
    await recordUntold(db, id, { failure, retryMs });
    return false;
  }

  #logFailure({ event: notice }: Message, reason: string, retryMs: number | null): void {
    const { target, log } = this.#of;
    const what = { event: 'not-notified', target: formatTarget(target), notice, reason };
    if (retryMs === null) log.error(what, 'a notification is given up');
    // One line for a target that is away, not one for each try.
    else log[this.#failing ? 'debug' : 'warn']({ ...what, retryMs }, 'a notification failed; trying again');
    this.#failing = true;
  }

  /** Notifications are never a reason to end. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { log, closed } = this.#of;
      // The connection logs an outage once. A board opens the folder again when the process that held it has ended.
      const isKnown = isOutage(error) || (error instanceof VidbatchError && error.code === 'HOLDER_GONE');
      log[isKnown || closed.aborted ? 'debug' : 'warn'](
        { event: 'notify-away', error: messageOf(error) },
        'looking for events failed; trying again',
      );
    }
  }
}
