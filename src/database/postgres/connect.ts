import { Pool, type PoolConfig } from 'pg';
import { VidbatchError } from '../../core/errors.ts';
import { PLANNING } from '../database.ts';
import { Outage } from '../outage.ts';
import { parsers } from '../parsers.ts';
import { probePostgres, type PostgresReport } from './probe.ts';
import { parsePostgresUrl, type PostgresPlace } from './url.ts';
import { watchedClient } from './watched-client.ts';

/** A connected server: the ledger, and also the queue where there is no Redis. The caller ends its pools. */
export interface Postgres {
  place: PostgresPlace;
  report: PostgresReport;
  outage: Outage;
  /** The ledger's. */
  pool: Pool;
  /** The ledger's pool for `frequent` statements. Undefined: a pooler gives no sessions that last. */
  frequent?: Pool;
}

type Server = Omit<Postgres, 'pool' | 'frequent'>;

/** @throws VidbatchError within ten seconds when the server cannot hold a ledger. */
export async function connectPostgres(url: string): Promise<Postgres> {
  const place = parsePostgresUrl(url);
  const report = await probePostgres(place);
  if (report.pooler === 'statement') {
    throw new VidbatchError(
      'POOLER_STATEMENTS',
      `Postgres at ${place.name} is behind a pooler that takes no transactions`,
      { hint: 'Name the server itself in DATABASE_URL, or a pool in session or transaction mode.' },
    );
  }
  const outage = new Outage('ledger', `Postgres at ${place.name}`);
  const server = { place, report, outage };
  const own = { types: parsers, max: 6, application_name: 'vidbatch' };
  // A pooler would give the settings to other programs.
  if (!keepsSessions(report)) return { ...server, pool: openPool(server, own) };
  // To compile takes longer than any statement of the ledger, and the pages that it reads are in memory.
  const settings = 'set jit = off; set random_page_cost = 1.1';
  return {
    ...server,
    pool: openPool(server, own, settings),
    frequent: openPool(server, { ...own, max: 3 }, `${settings}; ${PLANNING.frequent}`),
  };
}

/**
 * A pool for BullMQ, whose SQL names no schema. BullMQ holds one more client for LISTEN.
 * @throws VidbatchError where sessions do not last: LISTEN would get no notification, and the search path would be
 * lost.
 */
export function openQueuePool(server: Server): Pool {
  if (!keepsSessions(server.report)) {
    throw new VidbatchError(
      'POOLER_TRANSACTIONS',
      `Postgres at ${server.place.name} is behind a pooler that gives a session for one transaction only; the queue needs sessions that last (LISTEN, search_path)`,
      {
        hint: 'Set REDIS_URL, so that only the ledger is there; or name the server itself, or a pool in session mode, in DATABASE_URL.',
      },
    );
  }
  const settings = 'set search_path to bullmq, public; set jit = off';
  return openPool(server, { max: 8, application_name: 'vidbatch-queue' }, settings);
}

/** Whether a session (its settings, prepared statements, LISTEN) lasts as long as its connection. */
export function keepsSessions({ pooler }: PostgresReport): boolean {
  return pooler === 'none' || pooler === 'session';
}

function openPool({ place, report, outage }: Server, own: PoolConfig, settings?: string): Pool {
  const pool = new Pool({
    connectionString: place.url,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    Client: watchedClient({
      outage,
      direct: report.pooler === 'none',
      ...(settings === undefined ? {} : { settings }),
    }),
    ...own,
  });
  // BullMQ adds a listener for each of its queues.
  pool.setMaxListeners(0);
  // A connection that breaks while it is idle, or between two statements of a transaction, must not end the process. The
  // next statement on it fails.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
