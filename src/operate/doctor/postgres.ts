import { duration } from '../../core/format.ts';
import { compareMigrations } from '../../ledger/migrate.ts';
import type { Migration } from '../../ledger/migrate.ts';
import { failed, ok, warning } from './check.ts';
import type { Check } from './check.ts';
import type { PostgresFacts } from './postgres-facts.ts';

/** It has multiranges, in which windows are kept; and BullMQ recommends it where the queue is there, too. */
const OLDEST = 14;
/** A worker is refused beyond it. */
const MOST_SKEW_MS = 5_000;

/** What one worker opens at most: the ledger's pool; with its queue in Postgres that pool and a listener, too. */
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
    judgeMigrations(facts),
  ];
}

function judgeServer({ version, latencyMs, tls }: PostgresFacts, where: string): Check {
  const major = Math.floor(version / 10_000);
  const what = `Postgres ${major}.${version % 10_000} at ${where}, ${latencyMs.toFixed(1)} ms, ${tls ? 'with' : 'without'} TLS`;
  if (major < OLDEST) {
    return failed('postgres', `${what}: older than ${OLDEST}`, `Use Postgres ${OLDEST} or newer.`);
  }
  if (latencyMs > 50) {
    return warning('postgres', `${what}: slow`, 'Every row costs several round trips: move closer to it.');
  }
  return ok('postgres', what);
}

function judgeWriting({ standby, readOnly, mayCreate, unwritable, applied }: PostgresFacts): Check {
  if (standby || readOnly) {
    return failed(
      'postgres-writing',
      standby ? 'it is a standby, which only reads' : 'this user’s sessions only read',
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
          'grant create on database … to this user, or run `vidbatch migrate` as one who may.',
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
    return ok('postgres-durability', 'what is committed is on the disk before a request leaves');
  }
  const what = off.map(([name, { source }]) => `${name} is off (${source})`).join(', ');
  if (settings.synchronous_commit.value === 'off' || settings.fsync.value === 'off') {
    return failed(
      'postgres-durability',
      `${what}: after a power failure rows that were paid may be pending again`,
      'Turn it on, for the server, this database and this user. A service that keeps its log elsewhere may be right to say fsync=off; ask it.',
    );
  }
  return warning(
    'postgres-durability',
    `${what}: a power failure may tear pages`,
    'Turn it on, unless the file system writes 8 KiB at once or not at all, as ZFS does.',
  );
}

/** The ledger needs a session for one transaction only; BullMQ's LISTEN and its search_path need one that lasts. */
function judgePooler({ pooler }: PostgresFacts, queueInPostgres: boolean): Check {
  if (pooler === 'none') return ok('postgres-pooler', 'none: a session keeps its own connection');
  const what = `there is a pooler that gives a session for one ${pooler}`;
  if (pooler === 'session') return ok('postgres-pooler', 'there is a pooler, and its sessions last');
  if (pooler === 'transaction' && !queueInPostgres)
    return ok('postgres-pooler', `${what}, which will do for a ledger alone`);
  return failed(
    'postgres-pooler',
    pooler === 'transaction' ? `${what}, and the queue needs sessions that last` : what,
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
  const off = `this machine's clock is ${duration(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} the database's`;
  if (Math.abs(ahead) <= MOST_SKEW_MS) return ok('clock', 'this machine and the database agree on the time');
  return failed('clock', `${off}; workers refuse to start beyond 5 s`, 'Synchronise both clocks (NTP).');
}

function judgeMigrations({ applied, known }: Pick<PostgresFacts, 'applied' | 'known'>): Check {
  return judgeLedgerVersion(applied, known);
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
