import { EventEmitter } from 'node:events';
import type { QueryResult, Session } from './database.ts';
import type { Subscription } from './channel.ts';
import { subscriptionOf } from './channel.ts';
import type { Grant } from './grant.ts';
import type { Answer, Prepared } from './statement.ts';
import { prepare } from './statement.ts';

export interface Notification {
  channel: string;
  payload: string;
}

/** What a session needs of the database: its grant, and to run one statement while it holds it. */
export interface Engine {
  readonly grant: Grant;
  /** Throws when the database is closed or broken; a refused statement is in the answer. */
  execute(prepared: Prepared): Promise<Answer>;
}

interface SessionEvents {
  notification: [Notification];
  error: [Error];
  end: [];
}

/**
 * A client in the shape of pg's. It holds the grant only while a statement of it runs, and from BEGIN to the end
 * of the transaction; idle, also while it listens, it holds nothing.
 */
export class EmbeddedSession extends EventEmitter<SessionEvents> implements Session {
  readonly #engine: Engine;
  readonly #onRelease: (session: EmbeddedSession) => void;
  readonly #channels = new Set<string>();
  #giveBack: (() => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #released = false;

  constructor(engine: Engine, onRelease: (session: EmbeddedSession) => void) {
    super();
    this.#engine = engine;
    this.#onRelease = onRelease;
  }

  /** Statements of one session run in the order in which they were asked for. */
  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#released) return Promise.reject(new Error('Cannot use a client after it was released'));
    const answer = this.#last.then(() => this.#run(text, params));
    this.#last = answer.catch(() => undefined);
    return answer as Promise<QueryResult<Row>>;
  }

  /** Rolls back what is open. There is nothing to destroy: every session is the same one. */
  release(_destroy?: boolean): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
    this.#channels.clear();
    this.#last = this.#last.then(() => this.#leave());
  }

  /** Delivers to a session that listens to this channel. */
  notify(notification: Notification): void {
    if (this.#channels.has(notification.channel)) this.emit('notification', notification);
  }

  async #run(text: string, params: readonly unknown[] | undefined): Promise<Answer['result']> {
    const subscription = subscriptionOf(text);
    if (subscription?.verb === 'unlisten') return this.#unlisten(subscription);
    const prepared = prepare(text, params);
    this.#giveBack ??= await this.#engine.grant.take();
    let status: Answer['status'] = 'idle';
    try {
      const answer = await this.#engine.execute(prepared);
      status = answer.status;
      if (answer.error !== undefined) throw answer.error;
      if (subscription !== undefined) this.#channels.add(subscription.channel);
      return answer.result;
    } finally {
      // The server's own word, not ours: COMMIT of a failed transaction, `end`, `abort`, `commit and chain`, a
      // BEGIN in the middle of a file are all told right.
      if (status === 'idle') this.#free();
    }
  }

  // The backend goes on listening: other sessions may listen to the same channel.
  #unlisten({ channel }: Subscription): Answer['result'] {
    if (channel === '*') this.#channels.clear();
    else this.#channels.delete(channel);
    return { rows: [], rowCount: null };
  }

  async #leave(): Promise<void> {
    if (this.#giveBack === undefined) return;
    // A database that is closed or broken has rolled back by itself.
    await this.#engine.execute(prepare('rollback', [])).catch(() => undefined);
    this.#free();
  }

  #free(): void {
    this.#giveBack?.();
    this.#giveBack = undefined;
  }
}
