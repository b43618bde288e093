import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { isOutage } from './connection-errors.ts';

/**
 * A server is back when nothing has failed for this long after a success. It is longer than any pause between two tries of
 * this program and of the drivers. So a server that comes and goes is logged as one outage, in two lines.
 */
const SETTLED_MS = 10_000;

/** Whether one server, Redis or Postgres, is away. All its users report to it. It logs the start and the end once. */
export class Outage {
  readonly #engine: 'ledger' | 'queue';
  readonly #name: string;
  readonly #settledMs: number;
  #log: Logger | undefined;
  #begun: { at: number; error: unknown; logged: boolean } | undefined;
  #backAt: number | undefined;
  #settling: NodeJS.Timeout | undefined;
  #worked = false;
  #closed = false;

  /** `name`: for example `Redis at localhost:6379`. */
  constructor(engine: 'ledger' | 'queue', name: string, settledMs = SETTLED_MS) {
    this.#engine = engine;
    this.#name = name;
    this.#settledMs = settledMs;
  }

  /** For a command that waits for the server. A command that does not wait ends with its error instead. */
  logTo(log: Logger): void {
    this.#log = log;
    this.#logBegin();
  }

  get hasWorked(): boolean {
    return this.#worked;
  }

  get away(): boolean {
    return this.#begun !== undefined && this.#backAt === undefined;
  }

  failed(error: unknown): void {
    if (this.#closed || !this.#worked) return;
    clearTimeout(this.#settling);
    this.#backAt = undefined;
    this.#begun ??= { at: performance.now(), error, logged: false };
    this.#logBegin();
  }

  worked(): void {
    this.#worked = true;
    if (this.#begun === undefined || this.#backAt !== undefined) return;
    this.#backAt = performance.now();
    this.#settling = setTimeout(() => this.#end(), this.#settledMs).unref();
  }

  /** This program closes its connections: failures from now on are not an outage. */
  close(): void {
    clearTimeout(this.#settling);
    if (this.#backAt !== undefined) this.#end();
    this.#closed = true;
  }

  #logBegin(): void {
    if (this.#log === undefined || this.#begun === undefined || this.#begun.logged) return;
    this.#begun.logged = true;
    this.#log.warn(
      { event: `${this.#engine}-away`, error: messageOf(this.#begun.error) },
      `${this.#name} is away: everything that needs it waits`,
    );
  }

  #end(): void {
    const { at, logged } = this.#begun ?? { at: 0, logged: false };
    const afterMs = Math.round((this.#backAt ?? at) - at);
    this.#begun = undefined;
    this.#backAt = undefined;
    if (logged) this.#log?.info({ event: `${this.#engine}-back`, afterMs }, `${this.#name} is back`);
  }
}

const PAUSE = { firstMs: 100, maxMs: 5_000 };
/** With pauses of up to five seconds, about every minute and a half. */
const LOG_EVERY = 20;

/**
 * Repeats a query until the ledger answers, because it may be away for a while. The pauses grow. A VidbatchError is
 * thrown at once: repeating does not help. After the abort signal, the next failure is thrown: a worker that stops
 * does not wait for the ledger.
 */
export async function untilLedgerAnswers<T>(
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
      // The connection logs an outage itself, once. Any other error is logged again now and then.
      const level = isOutage(error) ? 'debug' : 'warn';
      if (tries % LOG_EVERY === 0) {
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
