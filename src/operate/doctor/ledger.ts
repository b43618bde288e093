import type { Client } from 'pg';
import type { Config } from '../../core/config.ts';
import { reasonOf } from '../../database/connection-errors.ts';
import { VidbatchError } from '../../core/errors.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { readHolder } from '../../database/lock.ts';
import { hasFiles } from '../../database/database-files.ts';
import { databaseOf, openFolder } from '../../database/data-folder.ts';
import { appliedMigrations, migrations } from '../../ledger/migrate.ts';
import { probePostgres, postgresTrouble } from '../../database/postgres/probe.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import type { PostgresPlace } from '../../database/postgres/url.ts';
import { failed, ok, parsed, refused, skipped, within } from './check.ts';
import type { Check } from './check.ts';
import { judgeLedgerVersion, judgePostgres, gatherPostgres, openClient } from './postgres.ts';
import type { Pooler } from './postgres.ts';

/** The ledger, if there is one. */
export interface OpenedLedger {
  checks: Check[];
  /** Undefined: it is not there, cannot be reached, or is of another version. */
  db?: Queryable;
  /** The embedded database, which may hold the queue, too. */
  embedded?: Database;
  close(): Promise<void>;
}

/** An embedded database takes seconds to start, and its holder may be starting, too. */
const EMBEDDED_MS = 30_000;

/** Opens the ledger to look at it: makes nothing, migrates nothing, replays and sweeps nothing. */
export function openLedger(config: Config, limitMs: number): Promise<OpenedLedger> {
  return config.databaseUrl === undefined
    ? openEmbedded(config.dataDir, limitMs)
    : openPostgres(config.databaseUrl, config.redisUrl === undefined, limitMs);
}

async function openPostgres(url: string, queueInPostgres: boolean, limitMs: number): Promise<OpenedLedger> {
  let client: Client | undefined;
  const close = async (): Promise<void> => {
    await within(limitMs, async () => client?.end()).catch(() => undefined);
  };
  const place = parsed(() => parsePostgresUrl(url));
  if (place === undefined)
    return { checks: [skipped('postgres', 'was not asked: DATABASE_URL is not understood')], close };
  try {
    const opened = await openClient(place.url, limitMs);
    client = opened;
    const facts = await within(2 * limitMs, () => gatherPostgres(opened, () => poolerOf(place, limitMs)));
    const checks = judgePostgres(facts, place.name, { queueInPostgres });
    return { checks, close, ...(readable(checks) ? { db: opened } : {}) };
  } catch (error) {
    return { checks: [refused('postgres', postgresTrouble(error, place))], close };
  }
}

/** If the server refuses for another reason, another check says so. */
async function poolerOf(place: PostgresPlace, limitMs: number): Promise<Pooler> {
  return probePostgres(place, limitMs).then(
    ({ pooler }) => pooler,
    () => 'none',
  );
}

async function openEmbedded(dir: string, limitMs: number): Promise<OpenedLedger> {
  const none = async (): Promise<void> => undefined;
  try {
    if (!hasFiles(databaseOf(dir))) {
      const what = `there is none yet in ${dir}: the first \`submit\` or \`run\` makes it`;
      return { checks: [skipped('ledger', what)], close: none };
    }
    const folder = await within(EMBEDDED_MS, async () => openFolder(dir, { mayMake: false }));
    const { database } = folder;
    // A holder that was stopped does not answer when the client leaves. This process waits for its own checkpoint.
    const closingMs = folder.role === 'client' ? limitMs : EMBEDDED_MS;
    const close = (): Promise<void> => within(closingMs, () => folder.close()).catch(() => undefined);
    try {
      const applied = await within(limitMs, () => appliedMigrations(database));
      const checks = [judgeHolder(dir, folder.role), judgeLedgerVersion(applied, await migrations())];
      return { checks, close, ...(readable(checks) ? { db: database, embedded: database } : {}) };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    const hint = error instanceof VidbatchError ? error.hint : undefined;
    return {
      checks: [failed('ledger', reasonOf(error), hint ?? 'Wait until its process has started or ended.')],
      close: none,
    };
  }
}

function judgeHolder(dir: string, role: 'holder' | 'client'): Check {
  if (role === 'holder') return ok('data-folder-lock', 'no other process holds the folder');
  const { pid, startedAt } = readHolder(dir) ?? { pid: 'unknown', startedAt: 'unknown' };
  return ok(
    'data-folder-lock',
    `held by process ${pid} since ${startedAt}, which was asked through its socket`,
  );
}

/** A ledger of another version is not asked. */
function readable(checks: readonly Check[]): boolean {
  return checks.every(({ check, status }) => check !== 'ledger' || status === 'ok');
}
