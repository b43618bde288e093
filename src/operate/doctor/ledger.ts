import type { Client } from 'pg';
import type { Config } from '../../core/config.ts';
import { VidbatchError } from '../../core/errors.ts';
import { formatFirst } from '../../core/text.ts';
import { formatCount, formatDuration, plural } from '../../core/units.ts';
import { reasonOf } from '../../database/connection-errors.ts';
import { openFolder } from '../../database/data-folder.ts';
import { databaseOf } from '../../database/incoming.ts';
import { hasFiles } from '../../database/database-files.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { readHolder } from '../../database/lock.ts';
import { probePostgres, postgresTrouble } from '../../database/postgres/probe.ts';
import { parsePostgresUrl, type PostgresPlace } from '../../database/postgres/url.ts';
import { closedHint, formatClosed } from '../../ledger/closed.ts';
import { appliedMigrations, migrations } from '../../ledger/migrate.ts';
import { readPendingModels } from '../../ledger/read/backlog.ts';
import { readCondition, type LedgerCondition } from '../../ledger/read/condition.ts';
import { formatHalt } from '../gates.ts';
import {
  checkSubject,
  failed,
  ok,
  parsed,
  refused,
  skipped,
  withLimit,
  warning,
  type Check,
} from './check.ts';
import { judgeLedgerVersion, judgePostgres, readPostgresFacts, openClient, type Pooler } from './postgres.ts';

/** The ledger, if there is one. */
export interface OpenedLedger {
  checks: Check[];
  /** Undefined: it does not exist, cannot be reached, or has another version. */
  db?: Queryable;
  /** The embedded database, which may hold the queue, too. */
  embedded?: Database;
  close(): Promise<void>;
}

/** An embedded database takes seconds to start, and the process that holds it may also be starting. */
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
    await withLimit(limitMs, async () => client?.end()).catch(() => undefined);
  };
  const place = parsed(() => parsePostgresUrl(url));
  if (place === undefined)
    return { checks: [skipped('postgres', 'was not checked: DATABASE_URL is not valid')], close };
  try {
    const opened = await openClient(place.url, limitMs);
    client = opened;
    const facts = await withLimit(2 * limitMs, () =>
      readPostgresFacts(opened, () => poolerOf(place, limitMs)),
    );
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
      const what = `there is no ledger yet in ${dir}: the first \`submit\` or \`run\` makes it`;
      return { checks: [skipped('ledger', what)], close: none };
    }
    const folder = await withLimit(EMBEDDED_MS, async () => openFolder(dir, { mayMake: false }));
    const { database } = folder;
    // A suspended holder does not answer when the client closes. A holder in this process writes a checkpoint when it
    // closes.
    const closingMs = folder.role === 'client' ? limitMs : EMBEDDED_MS;
    const close = (): Promise<void> => withLimit(closingMs, () => folder.close()).catch(() => undefined);
    try {
      const applied = await withLimit(limitMs, () => appliedMigrations(database));
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
    `held by process ${pid} since ${startedAt}, which shares it through its socket`,
  );
}

/** A ledger of another version is not asked. */
function readable(checks: readonly Check[]): boolean {
  return checks.every(({ check, status }) => check !== 'ledger' || status === 'ok');
}

/** What keeps rows from being sent, which rows need a person, and whether a worker runs. */
export function judgeCondition(condition: LedgerCondition): Check[] {
  const gates = judgeGates(condition);
  return [
    ok('ledger-id', condition.ledgerId),
    ...(gates.length > 0 ? gates : [ok('gates', 'nothing is paused, halted or throttled')]),
    judgeUncertain(condition),
    ...judgeSurplus(condition),
    judgeWorkers(condition),
  ];
}

function judgeGates({ closed, paused, pausedBatches, pausedModels, held, halts }: LedgerCondition): Check[] {
  const checks: Check[] = [];
  if (closed !== null) checks.push(failed('gates', formatClosed(closed), closedHint(closed)));
  if (paused) checks.push(warning('gates', 'everything is paused', '`vidbatch resume` continues.'));
  if (pausedBatches.length > 0) {
    checks.push(
      warning(
        'gates',
        `paused or stopped: ${formatFirst(pausedBatches)}`,
        '`vidbatch resume <batch>` continues one.',
      ),
    );
  }
  if (pausedModels.length > 0) {
    checks.push(
      warning(
        'gates',
        `paused models: ${formatFirst(pausedModels)}`,
        '`vidbatch status` says where; `vidbatch resume --model <model>` continues one.',
      ),
    );
  }
  for (const { origin, state, throttledMs, unreached } of held) {
    const halt = halts.find((one) => one.origin === origin);
    const reason = halt === undefined ? '' : `: ${formatHalt(halt)}`;
    if (state === 'halted') {
      checks.push(
        warning(
          'gates',
          `${origin} is halted${reason}`,
          'Correct the cause, then `vidbatch resume`, `run` or `work` tries one row; if it is accepted, the halt ends.',
        ),
      );
    }
    if (state === 'probing') {
      checks.push(
        warning(
          'gates',
          unreached > 0 && halt === undefined
            ? `no answer from ${origin}: ${formatCount(unreached)} tries in a row`
            : `${origin} is tried with one row after a halt${reason}`,
          'Wait: one accepted row ends it.',
        ),
      );
    }
    if (throttledMs > 0) {
      checks.push(
        warning(
          'gates',
          unreached > 0
            ? `${origin} is tried again in ${formatDuration(throttledMs)}`
            : `${origin} asked to wait another ${formatDuration(throttledMs)}`,
          'It continues by itself.',
        ),
      );
    }
  }
  return checks;
}

function judgeUncertain({ uncertain }: LedgerCondition): Check {
  if (uncertain === 0) return ok('uncertain', 'no row is uncertain');
  return warning(
    'uncertain',
    `${plural(uncertain, 'row is', 'rows are')} uncertain: ${uncertain === 1 ? 'it' : 'they'} may have been accepted`,
    '`vidbatch uncertain` shows the evidence, `vidbatch resolve` settles a row.',
  );
}

function judgeSurplus({ paidTwice }: LedgerCondition): Check[] {
  if (paidTwice === 0) return [];
  return [
    warning(
      'surplus',
      `${plural(paidTwice, 'surplus task id')}: rows were paid more than once`,
      '`vidbatch verify` and `vidbatch explain <batch> <key>` show which.',
    ),
  ];
}

function judgeWorkers({ open, fed }: LedgerCondition): Check {
  if (fed > 0) return ok('workers', `${plural(fed, 'queue is', 'queues are')} being fed`);
  if (!open) return ok('workers', 'none, and no row waits to be sent');
  return warning('workers', 'rows wait to be sent, and no worker runs', 'Start `vidbatch work`.');
}

/** The models of rows that wait to be sent. Without a ledger, none. */
export async function pendingModels({ db }: OpenedLedger, limitMs: number): Promise<string[]> {
  if (db === undefined) return [];
  return withLimit(limitMs, () => readPendingModels(db)).catch(() => []);
}

/** What keeps rows waiting. Returns the ledger's id, if there is a ledger. */
export async function* checkGates(
  { db }: OpenedLedger,
  limitMs: number,
): AsyncGenerator<Check, string | undefined> {
  if (db === undefined) {
    yield skipped('gates', 'there is no ledger to ask');
    return undefined;
  }
  let ledgerId: string | undefined;
  yield* await checkSubject('gates', limitMs, async () => {
    const condition = await readCondition(db);
    ({ ledgerId } = condition);
    return judgeCondition(condition);
  });
  return ledgerId;
}
