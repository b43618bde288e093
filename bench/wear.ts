import { Client } from 'pg';

/** What a row costs a Postgres beside CPU. */
export interface Wear {
  /** Bytes of the write-ahead log. */
  walBytes: number;
  commits: number;
  /** Versions of rows that a vacuum will have to remove, or has removed. */
  deadTuples: number;
}

/** Everything so far: of the server, of the database, of its tables. */
export async function wearOf(databaseUrl: string): Promise<Wear> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<Record<keyof Wear, string>>(
      `select (pg_current_wal_lsn() - '0/0')::text as "walBytes",
              (select xact_commit from pg_stat_database where datname = current_database())::text as commits,
              (select coalesce(sum(n_tup_upd + n_tup_del), 0) from pg_stat_user_tables)::text as "deadTuples"`,
    );
    const [row] = rows;
    return {
      walBytes: Number(row?.walBytes),
      commits: Number(row?.commits),
      deadTuples: Number(row?.deadTuples),
    };
  } finally {
    await client.end();
  }
}

export function wearPerRow(before: Wear, after: Wear, rows: number): Wear {
  return {
    walBytes: (after.walBytes - before.walBytes) / rows,
    commits: (after.commits - before.commits) / rows,
    deadTuples: (after.deadTuples - before.deadTuples) / rows,
  };
}
