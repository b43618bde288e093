import { Client, type ClientConfig } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { isOutage } from '../connection-errors.ts';
import type { Outage } from '../outage.ts';

export interface Watch {
  outage: Outage;
  /** There is no pooler: the process id of a connection is the one that the server knows. */
  direct: boolean;
  /** SQL that each connection runs before it is handed out. Poolers refuse settings as an option of the connection. */
  settings?: string;
  /** Milliseconds without an answer, after which the server is asked whether it still works on the statement. */
  silenceMs?: number;
}

const SILENCE_MS = 15_000;
const ASK_MS = 5_000;
/** An answer may arrive while the server is asked. */
const ARRIVAL_MS = 1_000;
/** Without this pause, BullMQ would connect again and again while the server is away. */
const RECONNECT_MS = 500;

type Callback = (error: Error | null, ...rest: unknown[]) => void;

/**
 * pg's client that reports to an `Outage` and does not wait for ever. A stopped or unreachable server keeps connections
 * open and answers nothing. But a statement may also take long. So after a silence, another connection asks the server:
 * if it does not answer, or does not work on this connection's statement, this connection is closed. The server may
 * still have executed the statement: a caller that repeats it must check.
 */
export function watchedClient({ outage, direct, settings, silenceMs = SILENCE_MS }: Watch): typeof Client {
  return class extends Client {
    readonly #config: ClientConfig;
    #waiting = 0;
    #heardAt = 0;
    #timer: NodeJS.Timeout | undefined;

    constructor(config: ClientConfig) {
      super(config);
      this.#config = config;
      // The pool listens only to a client that it has: an error while the settings run would end the process.
      this.on('error', () => undefined);
      // pg's overloads cannot be written in a subclass, so all arguments are passed on.
      const ask = this.query.bind(this) as (...args: unknown[]) => unknown;
      this.query = ((...args: unknown[]) => this.#watched(ask, args)) as typeof this.query;
      const open = this.connect.bind(this) as (callback: Callback) => void;
      this.connect = ((callback: Callback) => this.#opened(open, callback)) as typeof this.connect;
      this.once('end', () => clearTimeout(this.#timer));
    }

    /**
     * BullMQ removes all listeners of a client before it closes it. If the server goes away at that moment, an error
     * without a listener would end the process.
     */
    override removeAllListeners(event?: string | symbol): this {
      super.removeAllListeners(event);
      this.on('error', () => undefined);
      return this;
    }

    #opened(open: (callback: Callback) => void, callback: Callback): void {
      open((error, ...rest) => {
        if (error) {
          outage.failed(error);
          setTimeout(callback, outage.hasWorked ? RECONNECT_MS : 0, error, ...rest);
          return;
        }
        outage.worked();
        if (settings === undefined) callback(null, ...rest);
        else
          this.query(settings).then(
            () => callback(null, ...rest),
            (failure: Error) => {
              void this.end();
              callback(failure);
            },
          );
      });
    }

    #watched(ask: (...args: unknown[]) => unknown, args: unknown[]): unknown {
      this.#waiting += 1;
      this.#heardAt = performance.now();
      this.#timer ??= setTimeout(() => void this.#checkSilence(), silenceMs).unref();
      const settled = (error?: unknown): void => {
        this.#waiting -= 1;
        this.#heardAt = performance.now();
        if (!error) outage.worked();
        else if (isOutage(error)) outage.failed(error);
      };
      const last = args.at(-1);
      if (typeof last === 'function') {
        const told = (error: Error | null, ...rest: unknown[]): void => {
          settled(error);
          (last as Callback)(error, ...rest);
        };
        return ask(...args.slice(0, -1), told);
      }
      const answer = ask(...args) as Promise<unknown>;
      answer.then(() => settled(), settled);
      return answer;
    }

    /** One timer while the connection is in use: a timer for each statement would cost more. */
    async #checkSilence(): Promise<void> {
      const quiet = performance.now() - this.#heardAt;
      this.#timer = undefined;
      if (this.#waiting === 0) return;
      const since = this.#heardAt;
      const isDead =
        quiet >= silenceMs && !(await this.#isAlive()) && this.#waiting > 0 && this.#heardAt === since;
      if (isDead) void this.end();
      else
        this.#timer = setTimeout(
          () => void this.#checkSilence(),
          Math.max(silenceMs - quiet, ARRIVAL_MS),
        ).unref();
    }

    async #isAlive(): Promise<boolean> {
      try {
        if (await this.#worksOnIt()) return true;
        await sleep(ARRIVAL_MS, undefined, { ref: false });
        return await this.#worksOnIt();
      } catch (error) {
        outage.failed(error);
        return false;
      }
    }

    async #worksOnIt(): Promise<boolean> {
      const other = new Client({
        ...this.#config,
        connectionTimeoutMillis: ASK_MS,
        query_timeout: ASK_MS,
      });
      other.on('error', () => undefined);
      try {
        await other.connect();
        const { rows } = await other.query<{ works: boolean }>(
          `select exists (select from pg_stat_activity where pid = $1 and state = 'active') as works`,
          [(this as unknown as { processID: number }).processID],
        );
        return !direct || rows[0]?.works === true;
      } finally {
        await other.end();
      }
    }
  };
}
