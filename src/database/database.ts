/**
 * The room `database` puts Postgres and embedded PGlite behind one interface, with locks and the sharing of a
 * folder between processes.
 * It may import core.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What the ledger and BullMQ's Postgres backend use of a driver: a structural subset of `pg.Pool`. It fits a real
 * `pg.Pool`, the embedded database, and a connection to the process that holds the embedded database.
 */
export interface Queryable {
  query<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>>;
}

export interface QueryResult<Row> {
  rows: Row[];
  rowCount?: number | null;
}

export interface Session extends Queryable {
  /** `destroy`: the session is not used again. */
  release(destroy?: boolean): void;
}

export interface Database extends Queryable {
  connect(): Promise<Session>;
  end(): Promise<void>;
  /**
   * The connections for statements that run often, with settings of their own (see the function `frequent`).
   * Undefined: these statements use the other connections.
   */
  frequent?: Queryable;
}

/**
 * For single statements that run often and look up few records. They are planned once, with indexes only. Otherwise
 * Postgres plans some of them each time, which takes as long as to run them. And a plan that was made for a small table
 * later reads the whole table.
 */
export function frequent(db: Database): Queryable {
  return db.frequent ?? db;
}

const USUAL = {
  plan_cache_mode: 'auto',
  enable_seqscan: 'on',
  enable_hashjoin: 'on',
  enable_mergejoin: 'on',
};
const FREQUENT = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};

/** The settings of a session for `frequent` statements and for all others, as SQL. */
export const PLANNING = { usual: settings(USUAL), frequent: settings(FREQUENT) };

function settings(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `set ${name} = ${value}`)
    .join('; ');
}

/** The pause lets the other side of the deadlock take its lock first. */
const DEADLOCK = { code: '40P01', tries: 5, pauseMs: 50 };

/**
 * Runs `work` in one transaction; rolls back and rethrows when it throws. After a deadlock it runs `work` again, so
 * `work` must do nothing but query this session.
 */
export async function transaction<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await once(database, work);
    } catch (error) {
      if ((error as { code?: unknown }).code !== DEADLOCK.code || tries === DEADLOCK.tries) throw error;
      await sleep(DEADLOCK.pauseMs * tries);
    }
  }
}

async function once<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await database.connect();
  let broken = false;
  try {
    await session.query('begin');
    const result = await work(session);
    await session.query('commit');
    return result;
  } catch (error) {
    await session.query('rollback').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    session.release(broken);
  }
}
