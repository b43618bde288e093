import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { VidbatchError } from '../core/errors.ts';
import type { QueryResult } from './database.ts';
import type { Answered, Greeting } from './door.ts';
import { checkGreeting, greet } from './door.ts';
import { unpackError } from './failure.ts';
import { frame, greeting, readFrames } from './frame.ts';
import { checkSocket } from './ownership.ts';
import type { Notification } from './session.ts';
import { wireValues } from './statement.ts';

interface Pending {
  resolve: (result: QueryResult<Record<string, unknown>>) => void;
  reject: (reason: unknown) => void;
}

/** One connection of a guest to the door: questions by number, answers as they come. */
export class Line {
  onNotification: (notification: Notification) => void = () => undefined;
  /** Told once, when the holder went away and we had not hung up. */
  onLost: (reason: Error) => void = () => undefined;
  /** Whether the holder makes room for a worker. */
  yields = false;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #over: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => this.#lose(socket.errored));
  }

  /**
   * Rejects with the socket's own error (`ENOENT`, `ECONNREFUSED`, `ECONNRESET`) when nobody is there or he leaves
   * before he has greeted, with `ETIMEDOUT` after `patienceMs`, with a VidbatchError when he speaks otherwise, or when
   * the socket belongs to another user: nothing is said to it then.
   */
  static async open(path: string, kind: Greeting['kind'], patienceMs?: number): Promise<Line> {
    checkSocket(path);
    const socket = createConnection(path);
    const line = new Line(socket);
    const greeted = Promise.withResolvers<void>();
    socket.once('error', greeted.reject);
    socket.once('close', () => greeted.reject(nobody('ECONNRESET')));
    const timer =
      patienceMs === undefined
        ? undefined
        : setTimeout(() => socket.destroy(nobody('ETIMEDOUT')), patienceMs);
    readFrames(socket, {
      greeting: (said) => {
        line.yields = checkGreeting(said).yields === true;
        greeted.resolve();
      },
      message: (message) => line.#answer(message as Answered),
    });
    // Later errors come out of `close`, to whoever waits for an answer.
    socket.on('error', () => undefined);
    socket.write(greeting(greet(kind)));
    try {
      await greeted.promise;
    } finally {
      clearTimeout(timer);
    }
    return line;
  }

  ask(text: string, params: readonly unknown[] | undefined): Promise<QueryResult<Record<string, unknown>>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      const question = frame({ id, text, params: params === undefined ? undefined : wireValues(params) });
      this.#pending.set(id, { resolve, reject });
      this.#socket.write(question);
    });
  }

  /** Hangs up: what is still unanswered, and whatever is asked later, is rejected with `reason`. */
  async close(reason: Error): Promise<void> {
    this.#finish(reason);
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.end();
    // He may have more to say to a question that nobody waits for any more: let it flow past.
    this.#socket.resume();
    await closed;
  }

  /** Resolves when every question asked so far has its answer. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0 && !this.#socket.destroyed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#idle = resolve;
      await promise;
    }
  }

  #idle: () => void = () => undefined;

  #answer(message: Answered): void {
    if ('notification' in message) {
      this.onNotification(message.notification);
      return;
    }
    const asked = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('error' in message) asked?.reject(unpackError(message.error));
    else asked?.resolve(message.result);
    if (this.#pending.size === 0) this.#idle();
  }

  #lose(cause: Error | null): void {
    if (this.#over !== undefined) return;
    const reason =
      cause instanceof VidbatchError
        ? cause
        : new VidbatchError('HOLDER_GONE', 'The process that held the data folder has ended', {
            cause,
            hint: 'Start the command again: it opens the folder itself.',
          });
    this.#finish(reason);
    this.onLost(reason);
  }

  #finish(reason: Error): void {
    this.#over ??= reason;
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
    this.#idle();
  }
}

function nobody(code: string): Error {
  return Object.assign(new Error(`Nobody answers at the door (${code})`), { code });
}
