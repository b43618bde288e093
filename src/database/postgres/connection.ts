import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { isOutage } from '../connection-lost.ts';
import type { Outage } from '../outage.ts';

export interface Watch {
  outage: Outage;
  /** Nothing stands between us and the server: it knows our connections by their own numbers. */
  direct: boolean;
  /** What each connection is told before it is handed out. Poolers refuse it as an option at its start. */
  greeting?: string;
  /** Milliseconds without an answer after which the server is asked whether it still works on it. */
  silenceMs?: number;
}

const SILENCE_MS = 15_000;
const ASK_MS = 5_000;
/** An answer may be on its way while we ask. */
const ON_ITS_WAY_MS = 1_000;
/** While the server is away, BullMQ would try without a pause. */
const BRAKE_MS = 500;

type Callback = (error: Error | null, ...rest: unknown[]) => void;

/**
 * The driver's connection, which tells its engine's outage how it fares, and does not wait for ever. A server that is
 * stopped, or cut off, keeps connections open and answers nothing; but a long answer is no silence. So after a while
 * the server is asked over another connection: if it does not answer, or does not work on what it was asked here, then
 * this connection is given up. What was asked may have been done all the same; whoever asks again has to look.
 */
export function watchedClient({ outage, direct, greeting, silenceMs = SILENCE_MS }: Watch): typeof Client {
  return class extends Client {
    readonly #config: ClientConfig;
    #waiting = 0;
    #heardAt = 0;
    #timer: NodeJS.Timeout | undefined;

    constructor(config: ClientConfig) {
      super(config);
      this.#config = config;
      // The overloads of the driver cannot be written again; whatever it takes is handed on.
      const ask = this.query.bind(this) as (...args: unknown[]) => unknown;
      this.query = ((...args: unknown[]) => this.#watched(ask, args)) as typeof this.query;
      const open = this.connect.bind(this) as (callback: Callback) => void;
      this.connect = ((callback: Callback) => this.#opened(open, callback)) as typeof this.connect;
      this.once('end', () => clearTimeout(this.#timer));
    }

    /**
     * BullMQ takes all listeners off a client that it is about to close. A server that goes away at that moment would end
     * the process by an error without a listener.
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
          setTimeout(callback, outage.known ? BRAKE_MS : 0, error, ...rest);
          return;
        }
        outage.worked();
        if (greeting === undefined) callback(null, ...rest);
        else
          this.query(greeting).then(
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
      this.#timer ??= setTimeout(() => void this.#silent(), silenceMs).unref();
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

    /** Looks once in a while as long as the connection is in use: a timer for each statement would cost more. */
    async #silent(): Promise<void> {
      const quiet = performance.now() - this.#heardAt;
      this.#timer = undefined;
      if (this.#waiting === 0) return;
      const since = this.#heardAt;
      const given =
        quiet >= silenceMs && !(await this.#lives()) && this.#waiting > 0 && this.#heardAt === since;
      if (given) void this.end();
      else
        this.#timer = setTimeout(
          () => void this.#silent(),
          Math.max(silenceMs - quiet, ON_ITS_WAY_MS),
        ).unref();
    }

    async #lives(): Promise<boolean> {
      try {
        if (await this.#worksOnIt()) return true;
        await sleep(ON_ITS_WAY_MS, undefined, { ref: false });
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
