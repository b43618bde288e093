import type { Queryable } from './database.ts';

/** What one round of upkeep did. */
export interface UpkeepDone {
  /** Tables that were vacuumed and analysed, as `schema.table`. */
  vacuumed: string[];
  /** Whether the write-ahead log was cut. */
  checkpointed: boolean;
  milliseconds: number;
}

/**
 * PGlite has neither autovacuum nor a checkpointer: dead rows and the write-ahead log grow for ever unless somebody
 * sees to it. Measured on a table of 200,000 rows (2 cores): VACUUM (ANALYZE) 0.3-0.8 s; CHECKPOINT 0.1 s after
 * 90 MB of log; an update 0.25 ms; asking whether it is time, 2 ms. In 150,000 updates one after another, with
 * upkeep called after each 1,000, it took 3.5 % of the time.
 */
const CHECKPOINT_AFTER_BYTES = 64 * 1024 * 1024;

/** As autovacuum has it, but from 1,000 rows on: at 200,000 rows, a vacuum after 41,000 changes. */
const VACUUM_AFTER = 'greatest(n_dead_tup, n_mod_since_analyze) > 1000 + 0.2 * n_live_tup';

/** With the ledger flat out, those changes take 10 s, of which 0.8 s are 8 %: rest 20 times what it took, so < 5 %. */
const REST = 20;

export class Upkeep {
  readonly #database: Queryable;
  /** On the monotonic clock, in milliseconds. */
  #notBefore = 0;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** One statement at a time, so that others get their turn in between; undefined when there was nothing to do. */
  async run(now: () => number = () => performance.now()): Promise<UpkeepDone | undefined> {
    const start = now();
    if (start < this.#notBefore) return undefined;
    const tables = await this.#tables();
    // Vacuum first: after a checkpoint, each page that it touches goes to the log in full (83 MB instead of 4).
    for (const table of tables) await this.#database.query(`vacuum (analyze) ${table}`);
    const checkpointed = (await this.#bytes()) > CHECKPOINT_AFTER_BYTES;
    if (checkpointed) await this.#database.query('checkpoint');
    if (tables.length === 0 && !checkpointed) return undefined;
    const milliseconds = now() - start;
    this.#notBefore = now() + REST * milliseconds;
    return { vacuumed: tables, checkpointed, milliseconds };
  }

  async #tables(): Promise<string[]> {
    const { rows } = await this.#database.query<{ name: string }>(
      `select format('%I.%I', schemaname, relname) as name from pg_stat_user_tables where ${VACUUM_AFTER}`,
    );
    return rows.map(({ name }) => name);
  }

  /** Of log since the last checkpoint. */
  async #bytes(): Promise<number> {
    const { rows } = await this.#database.query<{ bytes: number }>(
      'select pg_current_wal_insert_lsn() - redo_lsn as bytes from pg_control_checkpoint()',
    );
    return rows[0]?.bytes ?? 0;
  }
}
