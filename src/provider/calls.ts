import { getCACertificates } from 'node:tls';
import { Pool } from 'undici';
import { ANSWER_LIMIT, exchange, type Exchange, type ExchangeRequest } from './exchange.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Under one second, also if the server promises a longer `Keep-Alive`: a request on a socket that the server is closing ends
 * as uncertain.
 */
const IDLE_MS = 900;

interface CallOptions {
  /** From the call to the last byte of the answer. */
  timeoutMs: number;
  connections?: number;
  ca?: string;
}

/** The calls of one provider that are under way, over the same sockets. */
export class Calls {
  readonly #pool: Pool;
  readonly #timeoutMs: number;
  readonly #running = new Set<Promise<Exchange>>();
  #closing: Promise<void> | undefined;

  constructor(origin: string, { timeoutMs, ...options }: CallOptions) {
    this.#pool = openPool(origin, options);
    this.#timeoutMs = timeoutMs;
  }

  /** Never rejects. */
  async make(request: ExchangeRequest): Promise<Exchange> {
    if (this.#closing !== undefined) return refused('UND_ERR_CLOSED', 'the client is closed');
    // undici refuses such a header too, but its pool then never uses that connection again.
    if (Object.values(request.headers).some((value) => /[^\x20-\x7e]/.test(value))) {
      return refused('INVALID_HEADER', 'a header holds a character that cannot be sent');
    }
    const running = exchange(this.#pool, request, this.#timeoutMs);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Waits for the running calls, which end by their timeouts. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#running).then(() => this.#pool.destroy());
    return this.#closing;
  }
}

/** A call that sent nothing. */
export function refused(code: string, message: string): Exchange {
  return { kind: 'failure', phase: 'connecting', problem: { code, message } };
}

function openPool(origin: string, { connections, ca }: Omit<CallOptions, 'timeoutMs'>): Pool {
  return new Pool(origin, {
    connections: connections ?? null,
    // h2 multiplexes, and undici replays a POST after REFUSED_STREAM.
    allowH2: false,
    pipelining: 1,
    // A proxy's cookies must not cost a task id (default: 16 KiB).
    maxHeaderSize: ANSWER_LIMIT,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
    keepAliveTimeoutThreshold: 2000,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
    },
  });
}
