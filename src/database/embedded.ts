import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';
import { VidbatchError, messageOf } from '../core/errors.ts';
import { PLANNING } from './database.ts';
import type { Database, Queryable, QueryResult } from './database.ts';
import { subscriptionOf } from './channel.ts';
import { Grant } from './grant.ts';
import { openFiles } from './files.ts';
import { EmbeddedSession } from './session.ts';
import type { Answer, Prepared } from './statement.ts';
import { prepare, run } from './statement.ts';
import type { UpkeepDone } from './upkeep.ts';
import { Plans } from './plan.ts';
import { Upkeep } from './upkeep.ts';

interface PoolEvents {
  error: [Error];
  connect: [EmbeddedSession];
}

/**
 * PGlite behind the shape of `pg.Pool`, for the ledger and for BullMQ alike.
 *
 * PGlite has one session. A naive pool would let a queue's write slip between a ledger's BEGIN and ROLLBACK: it is
 * acknowledged, then rolled back with the rest. So the session is granted: to a statement of the pool for as long
 * as it runs, to a session from BEGIN to COMMIT or ROLLBACK; all others wait, first come, first served.
 *
 * Because there is one session, settings (`set`, `set_config(…, false)`) and session-level advisory locks are
 * everybody's: use `set local` and `pg_advisory_xact_lock`.
 */
export class EmbeddedDatabase extends EventEmitter<PoolEvents> implements Database {
  /** There is no TCP to keep alive, and BullMQ must not believe so: it then caps how long it blocks. */
  readonly options = { keepAlive: false } as const;
  readonly #db: PGlite;
  readonly #grant = new Grant();
  readonly #sessions = new Set<EmbeddedSession>();
  readonly #upkeep: Upkeep;
  readonly #plans = new Plans();
  readonly frequent: Queryable = { query: (text, params) => this.#ask(text, params, 'frequent') };
  #planning: keyof typeof PLANNING = 'usual';
  #status: Answer['status'] = 'idle';
  #running: Promise<unknown> = Promise.resolve();
  #broken: Error | undefined;
  #ended: Promise<void> | undefined;

  constructor(db: PGlite) {
    super();
    // BullMQ leaves a listener for each of its queues.
    this.setMaxListeners(0);
    this.#db = db;
    this.#upkeep = new Upkeep(this);
    db.onNotification((channel, payload) => {
      for (const session of this.#sessions) session.notify({ channel, payload });
    });
  }

  /**
   * One statement, or several without parameters: then the result is the last one's (a server's pool gives an
   * array instead, so do not read it). A transaction that it leaves open is rolled back and refused: nobody could
   * ever end it.
   */
  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#ask(text, params, 'usual');
  }

  async #ask<Row>(
    text: string,
    params: readonly unknown[] | undefined,
    planning: keyof typeof PLANNING,
  ): Promise<QueryResult<Row>> {
    if (subscriptionOf(text) !== undefined) {
      throw new VidbatchError('SESSION_NEEDED', `${text.trim()}: listen on a session, from connect()`);
    }
    const prepared = prepare(text, params);
    const giveBack = await this.#grant.take();
    try {
      const answer = await this.#execute(prepared, planning);
      if (answer.status !== 'idle') await this.#execute(prepare('rollback', []));
      if (answer.error !== undefined) throw answer.error;
      if (answer.status !== 'idle') {
        throw new VidbatchError(
          'SESSION_NEEDED',
          'A transaction was begun on the pool and has been rolled back: begin it on a session, from connect()',
        );
      }
      return answer.result as QueryResult<Row>;
    } finally {
      giveBack();
    }
  }

  connect(): Promise<EmbeddedSession> {
    if (this.#ended !== undefined) return Promise.reject(afterEnd());
    const session = new EmbeddedSession(
      { grant: this.#grant, execute: (prepared) => this.#execute(prepared) },
      (released) => this.#sessions.delete(released),
    );
    this.#sessions.add(session);
    this.emit('connect', session);
    return Promise.resolve(session);
  }

  /**
   * Checkpoint and vacuum, if enough was written since the last time. To be called from time to time: nothing else
   * does it. Resolves with what was done, undefined when it was not yet time.
   */
  upkeep(): Promise<UpkeepDone | undefined> {
    return this.#upkeep.run();
  }

  /** Waits for the statement that runs, rolls back an open transaction, turns everybody else away. Idempotent. */
  end(): Promise<void> {
    this.#ended ??= this.#close();
    return this.#ended;
  }

  async #close(): Promise<void> {
    this.#grant.close(afterEnd());
    await this.#running;
    if (this.#broken === undefined) {
      if (this.#status !== 'idle') await run(this.#db, prepare('rollback', []), this.#plans);
      await this.#db.close();
    }
    for (const session of this.#sessions) session.emit('end');
    this.#sessions.clear();
  }

  /** For the holder of the grant only: so there is never more than one. */
  async #execute(prepared: Prepared, planning: keyof typeof PLANNING = 'usual'): Promise<Answer> {
    // Postgres runs inside this thread and answers at once: without a turn of the event loop between statements,
    // a busy ledger would starve timers and sockets, and with them the deadlines of paid calls.
    await nextTurn();
    if (this.#ended !== undefined) throw afterEnd();
    if (this.#broken !== undefined) throw this.#broken;
    const answer = this.#runPlanned(prepared, planning);
    this.#running = answer.catch(() => undefined);
    try {
      const { status } = await answer;
      this.#status = status;
    } catch (cause) {
      this.#break(cause);
    }
    return answer;
  }

  /** Inside a transaction the settings are those with which it began: a rollback would take new ones back. */
  async #runPlanned(prepared: Prepared, planning: keyof typeof PLANNING): Promise<Answer> {
    if (planning !== this.#planning && this.#status === 'idle') {
      const { error } = await run(this.#db, prepare(PLANNING[planning], []), this.#plans);
      if (error !== undefined) throw error;
      this.#planning = planning;
    }
    return run(this.#db, prepared, this.#plans);
  }

  #break(cause: unknown): never {
    const broken = new VidbatchError(
      'DATABASE_BROKEN',
      `The embedded database stopped working: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Check that the disk has free space, then run the same command again: the ledger keeps what it has.',
      },
    );
    this.#broken = broken;
    if (this.listenerCount('error') > 0) this.emit('error', broken);
    throw broken;
  }
}

/**
 * Opens the database in `dir`, and makes it when there is none. One process at a time: see the lock.
 * A folder of another version or a damaged one is a VidbatchError.
 */
export async function openEmbedded(dir: string): Promise<EmbeddedDatabase> {
  const database = new EmbeddedDatabase(await openFiles(dir));
  // BullMQ's SQL names no schema; the ledger's names its own everywhere.
  await database.query('set search_path to bullmq, public');
  // As on a server: what is read is in memory.
  await database.query('set random_page_cost = 1.1');
  return database;
}

/** BullMQ knows the end of a pool by node-postgres' own words. */
function afterEnd(): Error {
  return new VidbatchError('DATABASE_CLOSED', 'Cannot use a pool after calling end on the pool');
}
