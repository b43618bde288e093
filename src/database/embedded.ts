import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';
import { VidbatchError, messageOf } from '../core/errors.ts';
import { PLANNING, type Database, type Queryable, type QueryResult } from './database.ts';
import { openFiles } from './database-files.ts';
import { Mutex } from './mutex.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { EmbeddedSession, parseSubscription } from './session.ts';
import { Upkeep, type UpkeepDone } from './upkeep.ts';
import { runStatement, toStatement, type Answer, type Statement } from './wire-protocol.ts';

/**
 * PGlite behind the shape of `pg.Pool`, for the ledger and for BullMQ.
 *
 * PGlite has one session. A naive pool would let a write of the queue slip between a BEGIN and a ROLLBACK of the ledger:
 * the write is acknowledged, then rolled back with the rest. So a mutex guards the session. A statement of the pool holds it
 * while it runs, a session from BEGIN to COMMIT or ROLLBACK.
 *
 * Settings (`set`, `set_config(…, false)`) and session-level advisory locks would apply to all users of the one session:
 * use `set local` and `pg_advisory_xact_lock`.
 */
export class EmbeddedDatabase
  extends EventEmitter<{ error: [Error]; connect: [EmbeddedSession] }>
  implements Database
{
  /** Says that there is no TCP connection to keep alive. Otherwise BullMQ limits how long it blocks. */
  readonly options = { keepAlive: false } as const;
  readonly #db: PGlite;
  readonly #mutex = new Mutex();
  readonly #sessions = new Set<EmbeddedSession>();
  readonly #upkeep: Upkeep;
  readonly #prepared = new PreparedStatements();
  readonly frequent: Queryable = { query: (text, params) => this.#query(text, params, 'frequent') };
  #planning: keyof typeof PLANNING = 'usual';
  #status: Answer['status'] = 'idle';
  #running: Promise<unknown> = Promise.resolve();
  #broken: Error | undefined;
  #ended: Promise<void> | undefined;

  constructor(db: PGlite) {
    super();
    // BullMQ adds a listener for each of its queues.
    this.setMaxListeners(0);
    this.#db = db;
    this.#upkeep = new Upkeep(this);
    db.onNotification((channel, payload) => {
      for (const session of this.#sessions) session.notify({ channel, payload });
    });
  }

  /**
   * Runs one statement, or several without parameters: then the result is that of the last one (a server's pool gives an
   * array, so do not read it). A transaction that it leaves open is rolled back and refused, because no later statement
   * could end it.
   */
  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#query(text, params, 'usual');
  }

  async #query<Row>(
    text: string,
    params: readonly unknown[] | undefined,
    planning: keyof typeof PLANNING,
  ): Promise<QueryResult<Row>> {
    if (parseSubscription(text) !== undefined) {
      throw new VidbatchError('SESSION_NEEDED', `${text.trim()}: listen on a session, from connect()`);
    }
    const statement = toStatement(text, params);
    const release = await this.#mutex.acquire();
    try {
      const answer = await this.#execute(statement, planning);
      if (answer.status !== 'idle') await this.#execute(toStatement('rollback'));
      if (answer.error !== undefined) throw answer.error;
      if (answer.status !== 'idle') {
        throw new VidbatchError(
          'SESSION_NEEDED',
          'A transaction was begun on the pool and has been rolled back: begin it on a session, from connect()',
        );
      }
      return answer.result as QueryResult<Row>;
    } finally {
      release();
    }
  }

  connect(): Promise<EmbeddedSession> {
    if (this.#ended !== undefined) return Promise.reject(afterEnd());
    const session = new EmbeddedSession(
      { mutex: this.#mutex, execute: (statement) => this.#execute(statement) },
      (released) => this.#sessions.delete(released),
    );
    this.#sessions.add(session);
    this.emit('connect', session);
    return Promise.resolve(session);
  }

  /**
   * Vacuums and checkpoints if enough was written since the last time. Call it from time to time: nothing else does it.
   * Resolves with what was done; undefined: it was not yet time.
   */
  upkeep(): Promise<UpkeepDone | undefined> {
    return this.#upkeep.run();
  }

  /** Waits for the running statement, rolls back an open transaction, and rejects all later queries. Idempotent. */
  end(): Promise<void> {
    this.#ended ??= this.#close();
    return this.#ended;
  }

  async #close(): Promise<void> {
    this.#mutex.close(afterEnd());
    await this.#running;
    if (this.#broken === undefined) {
      if (this.#status !== 'idle') await runStatement(this.#db, toStatement('rollback'), this.#prepared);
      await this.#db.close();
    }
    for (const session of this.#sessions) session.emit('end');
    this.#sessions.clear();
  }

  /** Only for the holder of the mutex, so that one statement runs at a time. */
  async #execute(statement: Statement, planning: keyof typeof PLANNING = 'usual'): Promise<Answer> {
    // PGlite runs inside this thread and answers at once. Without a turn of the event loop between statements, a busy
    // ledger would starve timers and sockets, and with them the deadlines of paid calls.
    await nextTurn();
    if (this.#ended !== undefined) throw afterEnd();
    if (this.#broken !== undefined) throw this.#broken;
    const answer = this.#runPlanned(statement, planning);
    this.#running = answer.catch(() => undefined);
    try {
      const { status } = await answer;
      this.#status = status;
    } catch (cause) {
      this.#break(cause);
    }
    return answer;
  }

  /** A transaction keeps the settings with which it began: its rollback would undo new ones. */
  async #runPlanned(statement: Statement, planning: keyof typeof PLANNING): Promise<Answer> {
    if (planning !== this.#planning && this.#status === 'idle') {
      const { error } = await runStatement(this.#db, toStatement(PLANNING[planning]), this.#prepared);
      if (error !== undefined) throw error;
      this.#planning = planning;
    }
    return runStatement(this.#db, statement, this.#prepared);
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
 * Opens the database in `dir`, or makes it. Only one process may do so at a time: take the lock first.
 * @throws VidbatchError when the files are damaged or of another version.
 */
export async function openEmbedded(dir: string): Promise<EmbeddedDatabase> {
  const database = new EmbeddedDatabase(await openFiles(dir));
  // BullMQ's SQL names no schema; the ledger's SQL always does.
  await database.query('set search_path to bullmq, public');
  // As for a server: the pages that the ledger reads are in memory.
  await database.query('set random_page_cost = 1.1');
  return database;
}

/** BullMQ recognises a pool that has ended by this error text of node-postgres. */
function afterEnd(): Error {
  return new VidbatchError('DATABASE_CLOSED', 'Cannot use a pool after calling end on the pool');
}
