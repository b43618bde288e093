import { EventEmitter, once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { VidbatchError } from '../core/errors.ts';
import type { Database, QueryResult, Session } from './database.ts';
import {
  checkGreeting,
  frame,
  frameGreeting,
  greet,
  readFrames,
  unpackError,
  type Greeting,
  type IpcResponse,
} from './ipc-protocol.ts';
import { checkSocket } from './ownership.ts';
import type { Notification } from './session.ts';
import { wireValues } from './wire-protocol.ts';

/**
 * The database of the process that holds the folder, in the shape of `pg.Pool`, for the ledger and for BullMQ. When the
 * holder ends, every query is rejected with `HOLDER_GONE` from then on.
 */
export class RemoteDatabase
  extends EventEmitter<{ error: [Error]; connect: [RemoteSession] }>
  implements Database
{
  readonly options = { keepAlive: false } as const;
  readonly #path: string;
  readonly #connection: IpcConnection;
  readonly #sessions = new Set<RemoteSession>();
  #ended: Promise<void> | undefined;

  constructor(path: string, connection: IpcConnection) {
    super();
    // BullMQ adds a listener for each of its queues.
    this.setMaxListeners(0);
    this.#path = path;
    this.#connection = connection;
    connection.onLost = (reason) => {
      if (this.listenerCount('error') > 0) this.emit('error', reason);
    };
  }

  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#ended !== undefined) return Promise.reject(afterEnd());
    return this.#connection.query(text, params) as Promise<QueryResult<Row>>;
  }

  async connect(): Promise<RemoteSession> {
    if (this.#ended !== undefined) throw afterEnd();
    let connection: IpcConnection;
    try {
      connection = await IpcConnection.open(this.#path, 'session');
    } catch (cause) {
      if (cause instanceof VidbatchError) throw cause;
      throw holderGone(cause);
    }
    const session = new RemoteSession(connection, (released) => this.#sessions.delete(released));
    this.#sessions.add(session);
    this.emit('connect', session);
    return session;
  }

  /** Waits for the answers to the pool's statements, and rolls back open sessions. Idempotent. */
  end(): Promise<void> {
    this.#ended ??= this.#close();
    return this.#ended;
  }

  async #close(): Promise<void> {
    // Sessions first: statements of the pool may be waiting for the end of their transactions.
    await Promise.all([...this.#sessions].map((session) => session.close()));
    await this.#connection.settled();
    await this.#connection.close(afterEnd());
  }
}

export class RemoteSession
  extends EventEmitter<{ notification: [Notification]; error: [Error]; end: [] }>
  implements Session
{
  readonly #connection: IpcConnection;
  readonly #onRelease: (session: RemoteSession) => void;

  constructor(connection: IpcConnection, onRelease: (session: RemoteSession) => void) {
    super();
    this.#connection = connection;
    this.#onRelease = onRelease;
    connection.onNotification = (notification) => this.emit('notification', notification);
    connection.onLost = (reason) => {
      onRelease(this);
      if (this.listenerCount('error') > 0) this.emit('error', reason);
      this.emit('end');
    };
  }

  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#connection.query(text, params) as Promise<QueryResult<Row>>;
  }

  /** The connection ends with the session, so the holder rolls back an open transaction. */
  release(_destroy?: boolean): void {
    void this.close();
  }

  async close(): Promise<void> {
    this.#onRelease(this);
    await this.#connection.close(new Error('Cannot use a client after it was released'));
  }
}

/** Connects to the process that holds the folder. Rejects as `IpcConnection.open` does. */
export async function connectToHolder(path: string, timeoutMs?: number): Promise<RemoteDatabase> {
  return new RemoteDatabase(path, await IpcConnection.open(path, 'pool', timeoutMs));
}

/**
 * Asks the holder to give the folder to a worker. Resolves with true if it will give it. Rejects as
 * `IpcConnection.open` does.
 */
export async function askToYield(path: string, timeoutMs: number): Promise<boolean> {
  const connection = await IpcConnection.open(path, 'yield', timeoutMs);
  const { yields } = connection;
  await connection.close(afterEnd());
  return yields;
}

interface Pending {
  resolve: (result: QueryResult<Record<string, unknown>>) => void;
  reject: (reason: unknown) => void;
}

/** One connection to the holder. Requests are numbered, because answers may come in another order. */
class IpcConnection {
  onNotification: (notification: Notification) => void = () => undefined;
  /** Called once, when the holder went away before this side closed the connection. */
  onLost: (reason: Error) => void = () => undefined;
  /** The holder gives up the folder when a worker asks for it. */
  yields = false;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #over: Error | undefined;
  #onIdle: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => this.#lose(socket.errored));
  }

  /**
   * Rejects with the socket's own error (`ENOENT`, `ECONNREFUSED`, `ECONNRESET`) when no holder greets, with `ETIMEDOUT`
   * after `timeoutMs`, and with a VidbatchError when the holder has another version. It sends nothing, and rejects with a
   * VidbatchError, when the socket belongs to another user.
   */
  static async open(path: string, kind: Greeting['kind'], timeoutMs?: number): Promise<IpcConnection> {
    checkSocket(path);
    const socket = createConnection(path);
    const connection = new IpcConnection(socket);
    const greeted = Promise.withResolvers<void>();
    socket.once('error', greeted.reject);
    socket.once('close', () => greeted.reject(noHolder('ECONNRESET')));
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => socket.destroy(noHolder('ETIMEDOUT')), timeoutMs);
    readFrames(socket, {
      greeting: (message) => {
        connection.yields = checkGreeting(message).yields === true;
        greeted.resolve();
      },
      message: (message) => connection.#settle(message as IpcResponse),
    });
    // Later errors reach the pending requests through `close`.
    socket.on('error', () => undefined);
    socket.write(frameGreeting(greet(kind)));
    try {
      await greeted.promise;
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  query(text: string, params: readonly unknown[] | undefined): Promise<QueryResult<Record<string, unknown>>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      const request = frame({ id, text, params: params === undefined ? undefined : wireValues(params) });
      this.#pending.set(id, { resolve, reject });
      this.#socket.write(request);
    });
  }

  /** Ends the connection. Pending and later requests are rejected with `reason`. */
  async close(reason: Error): Promise<void> {
    this.#finish(reason);
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.end();
    // Answers that are still under way must be read, or the socket does not close.
    this.#socket.resume();
    await closed;
  }

  /** Resolves when every request so far has its answer. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0 && !this.#socket.destroyed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      await promise;
    }
  }

  #settle(message: IpcResponse): void {
    if ('notification' in message) {
      this.onNotification(message.notification);
      return;
    }
    const request = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('error' in message) request?.reject(unpackError(message.error));
    else request?.resolve(message.result);
    if (this.#pending.size === 0) this.#onIdle();
  }

  #lose(cause: Error | null): void {
    if (this.#over !== undefined) return;
    const reason = cause instanceof VidbatchError ? cause : holderGone(cause);
    this.#finish(reason);
    this.onLost(reason);
  }

  #finish(reason: Error): void {
    this.#over ??= reason;
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
    this.#onIdle();
  }
}

function holderGone(cause: unknown): VidbatchError {
  return new VidbatchError('HOLDER_GONE', 'The process that held the data folder has ended', {
    cause,
    hint: 'Start the command again: it opens the folder itself.',
  });
}

function noHolder(code: string): Error {
  return Object.assign(new Error(`No process answers on the socket (${code})`), { code });
}

function afterEnd(): Error {
  return new VidbatchError('DATABASE_CLOSED', 'Cannot use a pool after calling end on the pool');
}
