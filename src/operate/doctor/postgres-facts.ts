import { Client } from 'pg';
import { parsers } from '../../database/parsers.ts';
import type { PostgresReport } from '../../database/postgres/probe.ts';
import type { Queryable } from '../../database/database.ts';
import { clockSkewMs } from '../../ledger/send/provider.ts';
import { latencyOf } from './check.ts';
import { appliedMigrations, migrations } from '../../ledger/migrate.ts';
import type { Migration } from '../../ledger/migrate.ts';

/** What a Postgres server says of itself to this user. */
export interface PostgresFacts {
  /** Milliseconds of one question and its answer. */
  latencyMs: number;
  /** As in `170002`. */
  version: number;
  tls: boolean;
  /** As they hold for this user in this database, with where they come from: `on (configuration file)`. */
  settings: Record<DurabilitySetting, { value: string; source: string }>;
  /** A standby, or a session that may only read. */
  standby: boolean;
  readOnly: boolean;
  mayCreate: boolean;
  /** Tables of the ledger that this user may not write. */
  unwritable: string[];
  /** Null: the ledger is not there. */
  applied: Migration[] | null;
  known: { version: number; name: string }[];
  connections: { most: number; reserved: number; open: number; role: number | null };
  /** What stands before it, and for how long that gives a session. */
  pooler: Pooler;
  /** How far this machine's clock is ahead. */
  skewMs: number;
}

export type Pooler = PostgresReport['pooler'];

const DURABILITY = ['fsync', 'full_page_writes', 'synchronous_commit'] as const;
type DurabilitySetting = (typeof DURABILITY)[number];

/** A connection that gives up in time. Whoever opens it ends it. */
export async function openClient(url: string, limitMs: number): Promise<Client> {
  const client = new Client({
    connectionString: url,
    types: parsers,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
    application_name: 'vidbatch-doctor',
  });
  // Told to whoever asks next.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

export async function gatherPostgres(
  client: Client,
  lookForPooler: () => Promise<Pooler>,
): Promise<PostgresFacts> {
  const db: Queryable = client;
  const latencyMs = await latencyOf(() => db.query('select 1'));
  const { rows } = await db.query<Omit<Answer, 'settings'>>(ANSWER);
  const answer = rows[0];
  if (answer === undefined) throw new Error('Postgres gave no answer');
  const { rows: settings } = await db.query<{ name: DurabilitySetting; setting: string; source: string }>(
    'select name, setting, source from pg_catalog.pg_settings where name = any($1)',
    [[...DURABILITY]],
  );
  return {
    latencyMs,
    version: answer.version,
    tls: answer.tls,
    settings: Object.fromEntries(
      settings.map(({ name, setting, source }) => [name, { value: setting, source }]),
    ) as PostgresFacts['settings'],
    standby: answer.standby,
    readOnly: answer.read_only,
    mayCreate: answer.may_create,
    applied: await appliedMigrations(db),
    unwritable: await unwritable(db),
    known: await migrations(),
    connections: {
      most: answer.most,
      reserved: answer.reserved,
      open: answer.open,
      role: answer.role_limit < 0 ? null : answer.role_limit,
    },
    pooler: await lookForPooler(),
    skewMs: await clockSkewMs(db),
  };
}

interface Answer {
  version: number;
  tls: boolean;
  standby: boolean;
  read_only: boolean;
  may_create: boolean;
  most: number;
  reserved: number;
  open: number;
  role_limit: number;
}

const ANSWER = `
  select current_setting('server_version_num')::int as version,
         coalesce((select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()), false) as tls,
         pg_is_in_recovery() as standby,
         current_setting('transaction_read_only')::bool as read_only,
         has_database_privilege(current_database(), 'create') as may_create,
         current_setting('max_connections')::int as most,
         current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
         (select count(*) from pg_catalog.pg_stat_activity
           where backend_type is null or backend_type = 'client backend')::int as open,
         (select rolconnlimit from pg_catalog.pg_roles where rolname = current_user) as role_limit`;

async function unwritable(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select c.relname as name
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
            unnest(case c.relname when 'migration' then array['select']
                   else array['select', 'insert', 'update', 'delete'] end) as needed
      where n.nspname = 'vidbatch' and c.relkind = 'r'
      group by c.oid, c.relname having not bool_and(has_table_privilege(c.oid, needed))
      order by c.relname`,
  );
  return rows.map(({ name }) => name);
}
