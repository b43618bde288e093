import { Client } from 'pg';
import { VidbatchError } from '../../core/errors.ts';
import { within } from '../../core/within.ts';
import { codeOf, noAnswer, PRIVATE_CA, reasonOf, tlsTrouble } from '../connection-errors.ts';
import type { PostgresPlace } from './url.ts';

export interface PostgresReport {
  version: string;
  /** For how long a pooler, such as PgBouncer, gives a session; `none`: there is no pooler. */
  pooler: 'none' | 'session' | 'transaction' | 'statement';
}

/** The longest time of a probe, also at an address that never answers. */
const STARTING_MS = 8_000;
const ASK_MS = 2_000;
/** BullMQ needs it, and it is the oldest version that is still maintained. */
const OLDEST = 13;
/** A pooler may give the same session twice by chance. */
const POOLER_CHECKS = 3;

/**
 * Asks the server over connections of its own, and closes them. Changes nothing.
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
    return await within(ms, ask(place, open), noAnswer);
  } catch (error) {
    throw error instanceof VidbatchError ? error : postgresTrouble(error, place);
  } finally {
    for (const client of clients) void client.end().catch(() => undefined);
  }
}

async function ask(place: PostgresPlace, open: () => Promise<Client>): Promise<PostgresReport> {
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
  // The process id that the server sends when a connection starts. A pooler sends an invented one.
  const announced = (client as unknown as { processID: number }).processID;
  return { version, pooler: announced === pid ? 'none' : await probePooler(client, open) };
}

/**
 * While another connection holds a transaction, a pooler in transaction mode gives this connection another session, or gave
 * its session to the other connection. In session mode, each connection keeps its session.
 */
async function probePooler(
  client: Client,
  open: () => Promise<Client>,
): Promise<Exclude<PostgresReport['pooler'], 'none'>> {
  try {
    const other = await open();
    for (let n = 0; n < POOLER_CHECKS; n += 1) {
      const before = await readBackend(client);
      await other.query('begin');
      const theirs = await readBackend(other);
      const meanwhile = await readBackend(client);
      await other.query('rollback');
      if (before !== meanwhile || before === theirs) return 'transaction';
    }
    return 'session';
  } catch (error) {
    // With any other error, the second connection got no session: the pooler has only one, and gives it to transactions.
    return reasonOf(error).includes('transaction blocks not allowed') ? 'statement' : 'transaction';
  }
}

async function readBackend(client: Client): Promise<number | undefined> {
  const question = { text: 'select pg_backend_pid() as pid', query_timeout: ASK_MS };
  const { rows } = await client.query<{ pid: number }>(question as { text: string });
  return rows[0]?.pid;
}

/** Why Postgres cannot be used, and what to do. */
export function postgresTrouble(error: unknown, place: PostgresPlace): VidbatchError {
  const reason = reasonOf(error);
  const code = codeOf(error) ?? '';
  const trouble = (name: string, what: string, hint: string): VidbatchError =>
    new VidbatchError(name, `Postgres at ${place.name} ${what}`, { hint });

  if (/does not support SSL|error establishing an SSL/.test(reason) || tlsTrouble(error) === 'no-tls') {
    return trouble(
      'LEDGER_TLS',
      `does not speak TLS: ${reason}`,
      'For a connection without TLS: no sslmode in DATABASE_URL, or sslmode=disable.',
    );
  }
  if (tlsTrouble(error) === 'certificate') {
    return trouble(
      'LEDGER_TLS',
      `shows a certificate that is not trusted: ${reason}`,
      `${PRIVATE_CA} Or name it in DATABASE_URL: sslrootcert=/path/ca.pem. sslmode=no-verify would trust every server.`,
    );
  }
  if (code === '28000' && /no encryption|SSL off/.test(reason)) {
    return trouble('LEDGER_TLS', `asks for TLS: ${reason}`, 'Add sslmode=verify-full to DATABASE_URL.');
  }
  if (code.startsWith('28') || /password must be a string|^SASL/.test(reason)) {
    return trouble(
      'LEDGER_AUTH',
      `refuses the user or the password: ${reason}`,
      'Check both in DATABASE_URL; special characters are percent-encoded.',
    );
  }
  if (code === '57P03') {
    return trouble('LEDGER_LOADING', `is not ready: ${reason}`, 'Try again once it is.');
  }
  if (code === '3D000') {
    return trouble(
      'LEDGER_UNREACHABLE',
      `cannot be used: ${reason}`,
      'If rows were sent before, correct the name in DATABASE_URL: a new database would pay for them again. If not, make it with createdb.',
    );
  }
  return trouble(
    'LEDGER_UNREACHABLE',
    `cannot be used: ${reason}`,
    'Check DATABASE_URL, and that the server runs and can be reached from here.',
  );
}
