import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { VidbatchError } from '../../core/errors.ts';
import { PLANNING } from '../database.ts';
import { parsers } from '../parsers.ts';
import { Outage } from '../outage.ts';
import { watchedClient } from './connection.ts';
import { probePostgres } from './probe.ts';
import type { PostgresReport } from './probe.ts';
import { parsePostgresUrl } from './url.ts';
import type { PostgresPlace } from './url.ts';

/** An open server, for the ledger and, where there is no Redis, for the queue. */
export interface Postgres {
  place: PostgresPlace;
  report: PostgresReport;
  outage: Outage;
  /** The ledger's. Whoever opened it ends it. */
  pool: Pool;
  /** The same for `frequent` statements; undefined where sessions do not last. */
  frequent?: Pool;
}

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
  if (!keepsSessions(report)) return { ...server, pool: openPool(server, own) };
  // Compiling takes longer than any of our statements, and what they read is in memory: a plan that is made while a table is
  // small would read all of it later. Behind a pooler the settings would be somebody else's.
  const greeting = 'set jit = off; set random_page_cost = 1.1';
  return {
    ...server,
    pool: openPool(server, own, greeting),
    frequent: openPool(server, { ...own, max: 3 }, `${greeting}; ${PLANNING.frequent}`),
  };
}

/**
 * BullMQ's SQL is unqualified; its pool looks into BullMQ's schema. One more client is held for LISTEN.
 * @throws VidbatchError where sessions do not last: LISTEN would hear nothing, and the schema would be forgotten.
 */
export function openQueuePool(server: Omit<Postgres, 'pool' | 'frequent'>): Pool {
  if (!keepsSessions(server.report)) {
    throw new VidbatchError(
      'POOLER_TRANSACTIONS',
      `Postgres at ${server.place.name} is behind a pooler that gives a session for one transaction only; the queue needs sessions that last (LISTEN, search_path)`,
      {
        hint: 'Set REDIS_URL, so that only the ledger is there; or name the server itself, or a pool in session mode, in DATABASE_URL.',
      },
    );
  }
  const greeting = 'set search_path to bullmq, public; set jit = off';
  return openPool(server, { max: 8, application_name: 'vidbatch-queue' }, greeting);
}

/** Whether what a session is told (settings, prepared statements, LISTEN) holds for as long as its connection. */
export function keepsSessions({ pooler }: PostgresReport): boolean {
  return pooler === 'none' || pooler === 'session';
}

function openPool(
  { place, report, outage }: Omit<Postgres, 'pool'>,
  own: PoolConfig,
  greeting?: string,
): Pool {
  const pool = new Pool({
    connectionString: place.url,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    Client: watchedClient({
      outage,
      direct: report.pooler === 'none',
      ...(greeting === undefined ? {} : { greeting }),
    }),
    ...own,
  });
  // BullMQ leaves a listener for each of its queues.
  pool.setMaxListeners(0);
  surviveBreaks(pool);
  return pool;
}

/**
 * A connection that breaks while nobody asks anything of it must not end the process: neither an idle one, nor one that
 * is held between two statements of a transaction, which the pool does not listen to. Whoever uses it next is told.
 */
function surviveBreaks(pool: Pool): void {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
}
