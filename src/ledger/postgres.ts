import { Pool } from 'pg';
import { placeOf, reasonOf } from '../engine.ts';
import { VidbatchError } from '../errors.ts';
import { parsers } from './parsers.ts';

/** Opens the ledger's server. The pool is returned at once, so that whoever opened it can end it; `ready` tells. */
export function openPostgres(url: string): { pool: Pool; where: string; ready: Promise<void> } {
  const where = placeOf(url, 'DATABASE_URL');
  const pool = new Pool({ ...options(url), types: parsers, max: 6, application_name: 'vidbatch' });
  surviveBreaks(pool);
  return { pool, where, ready: probe(pool, where) };
}

/** BullMQ's SQL is unqualified; its pool looks into BullMQ's schema. One more client is held for LISTEN. */
export function openQueuePool(url: string): Pool {
  const pool = new Pool({
    ...options(url),
    options: '-c search_path=bullmq,public',
    max: 8,
    application_name: 'vidbatch-queue',
  });
  surviveBreaks(pool);
  return pool;
}

function options(url: string) {
  return { connectionString: url, connectionTimeoutMillis: 10_000, keepAlive: true };
}

async function probe(pool: Pool, where: string): Promise<void> {
  try {
    await pool.query('select 1');
  } catch (error) {
    throw new VidbatchError('LEDGER_UNREACHABLE', `Postgres at ${where} cannot be used: ${reasonOf(error)}`, {
      hint: 'Check DATABASE_URL, and that the server runs and accepts this user.',
    });
  }
}

/**
 * A connection that breaks while nobody asks anything of it must not end the process: neither an idle one, nor one that
 * is held between two statements of a transaction, which the pool does not listen to. Whoever uses it next is told.
 */
function surviveBreaks(pool: Pool): void {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
}
