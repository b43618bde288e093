import { EventEmitter } from 'node:events';
import { VidbatchError } from '../core/errors.ts';
import type { Database, QueryResult, Session } from './database.ts';
import { Line } from './line.ts';
import type { Notification } from './session.ts';

/**
 * The database of the process that holds the folder, in the shape of `pg.Pool`, for the ledger and for BullMQ.
 * When the holder ends, everything is rejected with `HOLDER_GONE`, for good.
 */
export class GuestDatabase
  extends EventEmitter<{ error: [Error]; connect: [GuestSession] }>
  implements Database
{
  readonly options = { keepAlive: false } as const;
  readonly #path: string;
  readonly #line: Line;
  readonly #sessions = new Set<GuestSession>();
  #ended: Promise<void> | undefined;

  constructor(path: string, line: Line) {
    super();
    // BullMQ leaves a listener for each of its queues.
    this.setMaxListeners(0);
    this.#path = path;
    this.#line = line;
    line.onLost = (reason) => {
      if (this.listenerCount('error') > 0) this.emit('error', reason);
    };
  }

  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#ended !== undefined) return Promise.reject(afterEnd());
    return this.#line.ask(text, params) as Promise<QueryResult<Row>>;
  }

  async connect(): Promise<GuestSession> {
    if (this.#ended !== undefined) throw afterEnd();
    let line: Line;
    try {
      line = await Line.open(this.#path, 'session');
    } catch (cause) {
      if (cause instanceof VidbatchError) throw cause;
      throw new VidbatchError('HOLDER_GONE', 'The process that held the data folder has ended', { cause });
    }
    const session = new GuestSession(line, (released) => this.#sessions.delete(released));
    this.#sessions.add(session);
    this.emit('connect', session);
    return session;
  }

  /** Waits for the answers to what the pool was asked, rolls back open sessions. Idempotent. */
  end(): Promise<void> {
    this.#ended ??= this.#close();
    return this.#ended;
  }

  async #close(): Promise<void> {
    // Sessions first: the pool's statements may be waiting for the end of their transactions.
    await Promise.all([...this.#sessions].map((session) => session.close()));
    await this.#line.settled();
    await this.#line.close(afterEnd());
  }
}

export class GuestSession
  extends EventEmitter<{ notification: [Notification]; error: [Error]; end: [] }>
  implements Session
{
  readonly #line: Line;
  readonly #onRelease: (session: GuestSession) => void;

  constructor(line: Line, onRelease: (session: GuestSession) => void) {
    super();
    this.#line = line;
    this.#onRelease = onRelease;
    line.onNotification = (notification) => this.emit('notification', notification);
    line.onLost = (reason) => {
      onRelease(this);
      if (this.listenerCount('error') > 0) this.emit('error', reason);
      this.emit('end');
    };
  }

  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#line.ask(text, params) as Promise<QueryResult<Row>>;
  }

  /** The connection ends with the session, so the holder rolls back what is open. */
  release(_destroy?: boolean): void {
    void this.close();
  }

  async close(): Promise<void> {
    this.#onRelease(this);
    await this.#line.close(new Error('Cannot use a client after it was released'));
  }
}

/**
 * Attaches to the door at `path`. Rejects as `Line.open` does when nobody is there.
 */
export async function attach(path: string, patienceMs?: number): Promise<GuestDatabase> {
  return new GuestDatabase(path, await Line.open(path, 'pool', patienceMs));
}

/**
 * Asks the holder behind the door at `path` to make room for a worker; resolves with whether he will, as soon as he can.
 * Rejects as `Line.open` does.
 */
export async function askForRoom(path: string, patienceMs: number): Promise<boolean> {
  const line = await Line.open(path, 'yield', patienceMs);
  const { yields } = line;
  await line.close(afterEnd());
  return yields;
}

function afterEnd(): Error {
  return new VidbatchError('DATABASE_CLOSED', 'Cannot use a pool after calling end on the pool');
}
