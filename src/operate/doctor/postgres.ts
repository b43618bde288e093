import { Client } from 'pg';
import { formatDuration } from '../../core/units.ts';
import type { Queryable } from '../../database/database.ts';
import { parsers } from '../../database/parsers.ts';
import type { PostgresReport } from '../../database/postgres/probe.ts';
import { appliedMigrations, migrations, compareMigrations, type Migration } from '../../ledger/migrate.ts';
import { clockSkewMs } from '../../ledger/send/provider.ts';
import { latencyOf, failed, ok, warning, type Check } from './check.ts';

/** What a Postgres server says to this user. */
export interface PostgresFacts {
  /** Milliseconds from a query to its answer. */
  latencyMs: number;
  /** As in `170002`. */
  version: number;
  tls: boolean;
  /** The values for this user in this database, and where they come from: `on (configuration file)`. */
  settings: Record<DurabilitySetting, { value: string; source: string }>;
  /** A standby, or a session that may only read. */
  standby: boolean;
  readOnly: boolean;
  mayCreate: boolean;
  /** Tables of the ledger that this user may not write. */
  unwritable: string[];
  /** Null: the ledger is not there. */
  applied: Migration[] | null;
  known: Migration[];
  connections: { most: number; reserved: number; open: number; role: number | null };
  /** The pooler in front of it, by how long a session lasts. */
  pooler: Pooler;
  /** How far this machine's clock is ahead, in milliseconds. */
  skewMs: number;
}

export type Pooler = PostgresReport['pooler'];

const DURABILITY = ['fsync', 'full_page_writes', 'synchronous_commit'] as const;
type DurabilitySetting = (typeof DURABILITY)[number];

/** A connection that gives up in time. The caller ends it. */
export async function openClient(url: string, limitMs: number): Promise<Client> {
  const client = new Client({
    connectionString: url,
    types: parsers,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
    application_name: 'vidbatch-doctor',
  });
  // The next query reports the error.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

export async function readPostgresFacts(
  client: Client,
  lookForPooler: () => Promise<Pooler>,
): Promise<PostgresFacts> {
  const db: Queryable = client;
  const latencyMs = await latencyOf(() => db.query('select 1'));
  const [answer] = (await db.query<Answer>(ANSWER, [DURABILITY])).rows;
  if (answer === undefined) throw new Error('Postgres gave no answer');
  return {
    ...answer,
    latencyMs,
    applied: await appliedMigrations(db),
    unwritable: await unwritable(db),
    known: await migrations(),
    pooler: await lookForPooler(),
    skewMs: await clockSkewMs(db),
  };
}

type Answer = Omit<PostgresFacts, 'latencyMs' | 'applied' | 'unwritable' | 'known' | 'pooler' | 'skewMs'>;

const ANSWER = `
  select current_setting('server_version_num')::int as version,
         coalesce((select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()), false) as tls,
         (select json_object_agg(name, json_build_object('value', setting, 'source', source))
            from pg_catalog.pg_settings where name = any($1)) as settings,
         pg_is_in_recovery() as standby,
         current_setting('transaction_read_only')::bool as "readOnly",
         has_database_privilege(current_database(), 'create') as "mayCreate",
         json_build_object(
           'most', current_setting('max_connections')::int,
           'reserved', current_setting('superuser_reserved_connections')::int
             + coalesce(current_setting('reserved_connections', true)::int, 0),
           'open', (select count(*) from pg_catalog.pg_stat_activity
                     where backend_type is null or backend_type = 'client backend'),
           'role', (select nullif(rolconnlimit, -1) from pg_catalog.pg_roles where rolname = current_user)
         ) as connections`;

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

/** BullMQ recommends 14 for a queue in Postgres. A ledger with its queue in Redis needs the same version. */
const OLDEST = 14;
/** A worker is refused beyond it. */
const MOST_SKEW_MS = 5_000;

/** The most connections of one worker: the ledger's pool, and with the queue in Postgres also its pool and its listener. */
function connectionsOfWorker(queueInPostgres: boolean): number {
  return queueInPostgres ? 15 : 6;
}

export function judgePostgres(
  facts: PostgresFacts,
  where: string,
  options: { queueInPostgres: boolean },
): Check[] {
  return [
    judgeServer(facts, where),
    judgeWriting(facts),
    judgeDurability(facts),
    judgePooler(facts, options.queueInPostgres),
    judgeConnections(facts, connectionsOfWorker(options.queueInPostgres)),
    judgeClock(facts.skewMs),
    judgeLedgerVersion(facts.applied, facts.known),
  ];
}

function judgeServer({ version, latencyMs, tls }: PostgresFacts, where: string): Check {
  const major = Math.floor(version / 10_000);
  const what = `Postgres ${major}.${version % 10_000} at ${where}, ${latencyMs.toFixed(1)} ms, ${tls ? 'with' : 'without'} TLS`;
  if (major < OLDEST) {
    return failed('postgres', `${what}: older than ${OLDEST}`, `Use Postgres ${OLDEST} or newer.`);
  }
  if (latencyMs > 50) {
    return warning(
      'postgres',
      `${what}: slow`,
      'Every row costs several round trips: run workers closer to it.',
    );
  }
  return ok('postgres', what);
}

function judgeWriting({ standby, readOnly, mayCreate, unwritable, applied }: PostgresFacts): Check {
  if (standby || readOnly) {
    return failed(
      'postgres-writing',
      standby ? 'it is a standby, which is read-only' : 'the sessions of this user are read-only',
      standby
        ? 'DATABASE_URL must name the primary.'
        : 'default_transaction_read_only is on, for this user or this database: turn it off.',
    );
  }
  if (applied === null) {
    return mayCreate
      ? ok('postgres-writing', 'this user may make the ledger')
      : failed(
          'postgres-writing',
          'there is no ledger, and this user may not make one',
          'grant create on database … to this user, or run `vidbatch migrate` as a user with that right.',
        );
  }
  if (unwritable.length === 0) return ok('postgres-writing', 'this user may write the ledger');
  return failed(
    'postgres-writing',
    `this user may not write ${unwritable.join(', ')}`,
    'grant select, insert, update, delete on all tables in schema vidbatch to this user.',
  );
}

function judgeDurability({ settings }: PostgresFacts): Check {
  const off = Object.entries(settings).filter(([, { value }]) => value === 'off');
  if (off.length === 0) {
    return ok('postgres-durability', 'a commit is on the disk before a request is sent');
  }
  const what = off.map(([name, { source }]) => `${name} is off (${source})`).join(', ');
  if (settings.synchronous_commit.value === 'off' || settings.fsync.value === 'off') {
    return failed(
      'postgres-durability',
      `${what}: after a power failure paid rows may be pending again`,
      'Turn it on for the server, this database and this user. A managed service that keeps its log elsewhere may safely report fsync=off; ask its operator.',
    );
  }
  return warning(
    'postgres-durability',
    `${what}: a power failure may tear pages`,
    'Turn it on, unless the file system writes 8 KiB at once or not at all, as ZFS does.',
  );
}

/** The ledger needs a session for one transaction only. BullMQ's LISTEN and search_path need a session that lasts. */
function judgePooler({ pooler }: PostgresFacts, queueInPostgres: boolean): Check {
  if (pooler === 'none') return ok('postgres-pooler', 'none: a session keeps its own connection');
  const what = `there is a pooler that gives a session for one ${pooler}`;
  if (pooler === 'session') return ok('postgres-pooler', 'there is a pooler in session mode');
  if (pooler === 'transaction' && !queueInPostgres)
    return ok('postgres-pooler', `${what}, which is enough for a ledger without a queue`);
  return failed(
    'postgres-pooler',
    pooler === 'transaction' ? `${what}, and the queue needs lasting sessions` : what,
    pooler === 'transaction'
      ? 'Set REDIS_URL, or name the server itself or a pooler in session mode (PgBouncer: pool_mode = session).'
      : 'Name the server itself, or a pooler in session mode (PgBouncer: pool_mode = session).',
  );
}

function judgeConnections({ connections }: PostgresFacts, perWorker: number): Check {
  const { most, reserved, open, role } = connections;
  const room = Math.min(most - reserved, role ?? most);
  const left = Math.max(0, room - open);
  const what = `${open} of ${room} connections are open; a worker opens up to ${perWorker}`;
  if (left >= perWorker)
    return ok('postgres-connections', `${what}: room for ${Math.floor(left / perWorker)} more`);
  return warning(
    'postgres-connections',
    `${what}: no room for another`,
    role !== null && role < most - reserved
      ? 'Raise this user’s connection limit, or run fewer workers with a higher --concurrency.'
      : 'Raise max_connections, or run fewer workers with a higher --concurrency.',
  );
}

/** `ahead`: by how much this machine's clock is ahead of the database's. */
function judgeClock(ahead: number): Check {
  const off = `this machine's clock is ${formatDuration(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} the database's`;
  if (Math.abs(ahead) <= MOST_SKEW_MS) return ok('clock', 'this machine and the database agree on the time');
  return failed('clock', `${off}; workers refuse to start beyond 5 s`, 'Synchronise both clocks (NTP).');
}

/** `applied`: null where there is no ledger. */
export function judgeLedgerVersion(applied: readonly Migration[] | null, known: readonly Migration[]): Check {
  if (applied === null) {
    return warning(
      'ledger',
      'there is no ledger yet',
      '`vidbatch migrate` makes it; so do `submit` and `run`.',
    );
  }
  const { refused, missing } = compareMigrations(applied, known);
  if (refused !== undefined) return failed('ledger', `it ${refused.what}`, refused.hint);
  if (missing.length === 0) return ok('ledger', `at version ${applied.at(-1)?.version ?? 0}`);
  return failed(
    'ledger',
    `not migrated yet: ${missing.map(({ name }) => name).join(', ')}`,
    'Run `vidbatch migrate`; a worker does so by itself when it starts.',
  );
}
