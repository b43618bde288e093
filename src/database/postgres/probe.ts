import { Client } from 'pg';
import { reasonOf, within } from '../engine.ts';
import { VidbatchError } from '../../core/errors.ts';
import { postgresTrouble } from './trouble.ts';
import type { PostgresPlace } from './url.ts';

/** What a Postgres says of itself, and what stands before it. */
export interface PostgresReport {
  /** `17.2` */
  version: string;
  /** A pooler such as PgBouncer, and for how long it gives a session. */
  pooler: 'none' | 'session' | 'transaction' | 'statement';
}

/** Opening an engine takes this long at most, also at an address that swallows everything. */
const STARTING_MS = 8_000;
const ASK_MS = 2_000;
/** What BullMQ needs, and the oldest that is still kept up. */
const OLDEST = 13;
/** A pooler may give the same session twice by chance, as long as it has others to give. */
const LOOKS = 3;

/**
 * Looks at the server over connections of its own, which are closed again. Changes nothing.
 * @throws VidbatchError LEDGER_… when it cannot hold a ledger.
 */
export async function probePostgres(place: PostgresPlace, ms = STARTING_MS): Promise<PostgresReport> {
  const clients: Client[] = [];
  const open = async (): Promise<Client> => {
    const client = new Client({
      connectionString: place.url,
      connectionTimeoutMillis: ms,
      application_name: 'vidbatch-probe',
    });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  try {
    return await within(ms, look(place, open), () => new Error('no answer in time'));
  } catch (error) {
    throw error instanceof VidbatchError ? error : postgresTrouble(error, place);
  } finally {
    for (const client of clients) void client.end().catch(() => undefined);
  }
}

async function look(place: PostgresPlace, open: () => Promise<Client>): Promise<PostgresReport> {
  const client = await open();
  const { rows } = await client.query<{ version: string; number: number; standby: boolean; pid: number }>(
    `select split_part(current_setting('server_version'), ' ', 1) as version, current_setting('server_version_num')::int as number,
            pg_is_in_recovery() or current_setting('transaction_read_only')::bool as standby, pg_backend_pid() as pid`,
  );
  const [{ version, number, standby, pid } = { version: '?', number: 0, standby: false, pid: 0 }] = rows;
  if (number < OLDEST * 10_000) {
    throw new VidbatchError('LEDGER_TOO_OLD', `Postgres at ${place.name} is version ${version}`, {
      hint: `${OLDEST} or newer is needed.`,
    });
  }
  if (standby) {
    throw new VidbatchError(
      'LEDGER_READ_ONLY',
      `Postgres at ${place.name} is a standby or read-only, and cannot be written to`,
      { hint: 'Name the primary in DATABASE_URL.' },
    );
  }
  // The number that the server's greeting gave for this connection; a pooler makes up its own.
  const greeted = (client as unknown as { processID: number }).processID;
  return { version, pooler: greeted === pid ? 'none' : await poolerOf(client, open) };
}

/**
 * While another connection holds a transaction, a pooler that gives sessions for transactions gives this one another
 * session than before, or gave that one ours. A session that lasts is nobody else's, and stays the same.
 */
async function poolerOf(
  client: Client,
  open: () => Promise<Client>,
): Promise<Exclude<PostgresReport['pooler'], 'none'>> {
  try {
    const other = await open();
    for (let n = 0; n < LOOKS; n += 1) {
      const before = await backendOf(client);
      await other.query('begin');
      const theirs = await backendOf(other);
      const meanwhile = await backendOf(client);
      await other.query('rollback');
      if (before !== meanwhile || before === theirs) return 'transaction';
    }
    return 'session';
  } catch (error) {
    // Otherwise it has one session only, and the transaction holds it.
    return reasonOf(error).includes('transaction blocks not allowed') ? 'statement' : 'transaction';
  }
}

async function backendOf(client: Client): Promise<number | undefined> {
  const question = { text: 'select pg_backend_pid() as pid', query_timeout: ASK_MS };
  const { rows } = await client.query<{ pid: number }>(question as { text: string });
  return rows[0]?.pid;
}
