import { EventEmitter } from 'node:events';
import type { QueryResult, Session } from './database.ts';
import type { Mutex, Release } from './mutex.ts';
import { toStatement, type Answer, type Statement } from './wire-protocol.ts';

export interface Notification {
  channel: string;
  payload: string;
}

export interface Engine {
  readonly mutex: Mutex;
  /** Only while the session holds the mutex. Throws when the database is closed or broken; a refused statement is in the answer. */
  execute(statement: Statement): Promise<Answer>;
}

/**
 * A session of the embedded database in the shape of a pg client. It holds the mutex only while its statement runs, and
 * from BEGIN to the end of the transaction. It does not hold it while it is idle or listens.
 */
export class EmbeddedSession
  extends EventEmitter<{ notification: [Notification]; error: [Error]; end: [] }>
  implements Session
{
  readonly #engine: Engine;
  readonly #onRelease: (session: EmbeddedSession) => void;
  readonly #channels = new Set<string>();
  #releaseMutex: Release | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #released = false;

  constructor(engine: Engine, onRelease: (session: EmbeddedSession) => void) {
    super();
    this.#engine = engine;
    this.#onRelease = onRelease;
  }

  /** Statements of one session run in the order of the calls. */
  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#released) return Promise.reject(new Error('Cannot use a client after it was released'));
    const answer = this.#last.then(() => this.#run(text, params));
    this.#last = answer.catch(() => undefined);
    return answer as Promise<QueryResult<Row>>;
  }

  /** Rolls back an open transaction. `destroy` changes nothing: PGlite has only one session. */
  release(_destroy?: boolean): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
    this.#channels.clear();
    this.#last = this.#last.then(() => this.#rollBack());
  }

  /** Delivers a notification if this session listens to its channel. */
  notify(notification: Notification): void {
    if (this.#channels.has(notification.channel)) this.emit('notification', notification);
  }

  async #run(text: string, params: readonly unknown[] | undefined): Promise<Answer['result']> {
    const subscription = parseSubscription(text);
    if (subscription?.verb === 'unlisten') return this.#unlisten(subscription);
    const statement = toStatement(text, params);
    this.#releaseMutex ??= await this.#engine.mutex.acquire();
    let status: Answer['status'] = 'idle';
    try {
      const answer = await this.#engine.execute(statement);
      status = answer.status;
      if (answer.error !== undefined) throw answer.error;
      if (subscription !== undefined) this.#channels.add(subscription.channel);
      return answer.result;
    } finally {
      // The server says whether a transaction is open. The text does not: COMMIT can fail, BEGIN can be in a file.
      if (status === 'idle') this.#free();
    }
  }

  // PGlite continues to listen, because other sessions may listen to the same channel.
  #unlisten({ channel }: Subscription): Answer['result'] {
    if (channel === '*') this.#channels.clear();
    else this.#channels.delete(channel);
    return { rows: [], rowCount: null };
  }

  async #rollBack(): Promise<void> {
    if (this.#releaseMutex === undefined) return;
    // A closed or broken database has rolled back already.
    await this.#engine.execute(toStatement('rollback')).catch(() => undefined);
    this.#free();
  }

  #free(): void {
    this.#releaseMutex?.();
    this.#releaseMutex = undefined;
  }
}

const COMMENTS = /--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\//g;
const SUBSCRIPTION = /^\s*(listen|unlisten)\s+(?:"((?:[^"]|"")+)"|([\w$]+)|(\*))\s*;?\s*$/i;

export interface Subscription {
  verb: 'listen' | 'unlisten';
  /** As in notifications; `*`: all channels. */
  channel: string;
}

/**
 * Recognises `LISTEN` and `UNLISTEN`. PGlite's one session listens for all sessions of this program, so Postgres does not
 * know which of them gets a notification.
 */
export function parseSubscription(sql: string): Subscription | undefined {
  const [, verb, quoted, plain, all] = SUBSCRIPTION.exec(sql.replace(COMMENTS, ' ')) ?? [];
  if (verb === undefined) return undefined;
  // Postgres folds an identifier without quotes to lower case.
  const channel = all ?? quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '';
  return { verb: verb.toLowerCase() as Subscription['verb'], channel };
}
