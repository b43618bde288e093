import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { createDatabase } from '../servers.ts';

/** What is done to a ledger behind the program's back: time passes in it, and an older copy takes its place. */
export interface Ledger {
  /** What goes into the environment of the commands, by way of which proxy is up to others; undefined: embedded. */
  url: string | undefined;
  /** For what these processes had in flight; `all`: for everything. */
  deadlinesPass: (of: readonly number[] | 'all') => Promise<void>;
  /** All feeders are taken for dead. */
  feedersPass: () => Promise<void>;
  uncertain: () => Promise<number>;
  /** Keeps a copy; nobody may be at work. */
  copy: () => Promise<void>;
  /** Puts the last copy back, as after a backup; nobody may be at work. False when there is none. */
  restore: () => Promise<boolean>;
  /** Every task id in it, also a second one of a row. */
  taskIds: () => Promise<string[]>;
  close: () => Promise<void>;
}

/** The name of a worker ends with the number of its process and eight digits. Null: of all. */
const DEADLINES_PASS = `
  with passed as (
    update vidbatch.attempt set deadline = now() - interval '1 second'
     where outcome is null and deadline > now()
       and ($1::int[] is null or substring(worker from '-(\\d+)-[0-9a-f]{8}$')::int = any($1))
    returning id
  )
  update vidbatch.row_state s set deadline = now() - interval '1 second'
    from passed where passed.id = s.attempt_id and s.state = 'submitting'`;

/** A database of its own on the server. */
export async function openPostgresLedger(serverUrl: string): Promise<Ledger> {
  const { url, drop } = await createDatabase({ databaseUrl: serverUrl });
  const name = new URL(url).pathname.slice(1);
  const copyName = `${name}_copy`;
  const ledger = poolOf(url);
  const server = poolOf(serverUrl);
  let copied = false;

  /** Copying and renaming need a database that nobody is connected to: also not the sessions of the dead. */
  async function alone(database: string): Promise<void> {
    await server.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
      [database],
    );
    for (;;) {
      const { rows } = await server.query('select from pg_stat_activity where datname = $1', [database]);
      if (rows.length === 0) return;
    }
  }

  return {
    url,
    async deadlinesPass(of) {
      await ledger.query(DEADLINES_PASS, [of === 'all' ? null : of]);
    },
    async feedersPass() {
      await ledger.query(`update vidbatch.feeder set seen_at = seen_at - interval '1 minute'`);
    },
    async uncertain() {
      const { rows } = await ledger.query<{ n: number }>(
        `select count(*)::int as n from vidbatch.submission where state = 'uncertain'`,
      );
      return rows[0]?.n ?? 0;
    },
    async copy() {
      await alone(name);
      await server.query(`drop database if exists ${copyName}`);
      await server.query(`create database ${copyName} template ${name}`);
      copied = true;
    },
    async restore() {
      if (!copied) return false;
      await alone(name);
      await server.query(`drop database ${name}`);
      await server.query(`alter database ${copyName} rename to ${name}`);
      copied = false;
      return true;
    },
    async taskIds() {
      const { rows } = await ledger.query<{ task_id: string }>(
        'select task_id from vidbatch.attempt where task_id is not null',
      );
      return rows.map((row) => row.task_id);
    },
    async close() {
      await ledger.end();
      await server.query(`drop database if exists ${copyName}`);
      await server.end();
      await drop();
    },
  };
}

function poolOf(connectionString: string): Pool {
  const pool = new Pool({ connectionString, max: 1 });
  // The server is killed now and then.
  pool.on('error', () => undefined);
  return pool;
}

/**
 * In the place's folder. Time need not pass in it: whoever opens it knows that the worker before is gone. Its task ids
 * are those of the export.
 */
export function openEmbeddedLedger(folder: string): Ledger {
  const database = join(folder, '.vidbatch', 'database');
  const copied = join(folder, 'database-copy');
  const nothing = (): Promise<void> => Promise.resolve();
  let exists = false;
  return {
    url: undefined,
    deadlinesPass: nothing,
    feedersPass: nothing,
    uncertain: () => Promise.resolve(0),
    async copy() {
      await rm(copied, { recursive: true, force: true });
      await cp(database, copied, { recursive: true });
      exists = true;
    },
    async restore() {
      if (!exists) return false;
      await rm(database, { recursive: true });
      await cp(copied, database, { recursive: true });
      return true;
    },
    taskIds: () => Promise.resolve([]),
    close: nothing,
  };
}
