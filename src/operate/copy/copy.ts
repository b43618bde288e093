import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../../core/config.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { refusal, usageError } from '../../core/errors.ts';
import { formatDuration, plural } from '../../core/units.ts';
import { transaction, type Database } from '../../database/database.ts';
import { isThere } from '../../database/disk-errors.ts';
import { closedRefusal, closeLedger, isCopiedTo, readClosed } from '../../ledger/closed.ts';
import { closeSource, type InUse } from '../../ledger/copy/close-source.ts';
import { fillLedger, type CopiedTable } from '../../ledger/copy/fill.ts';
import { withSnapshot } from '../../ledger/copy/snapshot.ts';
import { sweep } from '../../ledger/send/sweep.ts';
import { ledgerNow } from '../../ledger/send/window.ts';
import { ALIVE_MS } from '../../ledger/workers.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { carryJournals, ownJournals, refuseStrangers, unreadJournals } from '../../worker/journal/carry.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { replayJournals } from '../../worker/journal/replay.ts';
import { asFullDisk, flushDatabase, notEmpty, openPlace, prepareTarget, type Place } from './target.ts';

export interface CopyReport {
  from: string;
  to: string;
  ledgerId: string;
  tables: CopiedTable[];
  /** Files that were brought into the other data folder. */
  journals: number;
  /** An earlier command had completed the copy. */
  again: boolean;
  /** The clock of the copy is this many milliseconds ahead. */
  clockAheadMs: number;
}

export interface CopyOptions {
  who: string;
  onTable?: (copied: CopiedTable) => void;
}

/**
 * Copies a whole ledger to an empty place. The order makes sure that two ledgers never both send:
 *
 * 1. The place gets an incomplete ledger, which no command uses.
 * 2. The original is closed, which is on the disk before step 3. From now on it sends nothing.
 * 3. One transaction fills the copy, compares it with the original, and opens it.
 *
 * A crash leaves an incomplete copy, or a complete one beside a closed original. The same command completes both.
 */
export async function copyLedger(
  source: LedgerApp,
  config: Config,
  place: Place,
  { who, onTable }: CopyOptions,
): Promise<CopyReport> {
  const { db, ledgerId } = source;
  const from = source.storage.ledger;
  const isEmbedded = config.databaseUrl === undefined;
  if (place.kind === 'folder' && isEmbedded && isSameFolder(place.dir, config.dataDir)) {
    throw usageError('SAME_LEDGER', `--to: ${place.dir} is the folder of this ledger itself`);
  }
  const closed = await readClosed(db);
  if (closed !== undefined && !isCopiedTo(closed, place.name)) throw closedRefusal(closed);
  // A closed ledger may have a complete copy, whose workers may write journals into the same folder.
  if (closed === undefined) await refuseUse(db, config, { ledgerId, isEmbedded });
  const isElsewhere = place.kind === 'folder' && !isSameFolder(place.dir, config.dataDir);
  if (isElsewhere) await refuseStrangers(journalFolder(place.dir), ledgerId);
  const target = await openPlace(place);
  try {
    const found = await prepareTarget(target.db, { ledgerId, place, from });
    const report = {
      from,
      to: place.name,
      ledgerId,
      clockAheadMs: (await ledgerNow(target.db)) - (await ledgerNow(db)),
    };
    if (found === 'complete') {
      if (closed === undefined) throw notEmpty(`${place.name} holds this ledger already`);
      await closeAsCopied(db, place, who);
      return { ...report, tables: [], journals: 0, again: true };
    }
    const inUse = await closeSource(db, { to: place.name, who, alone: isEmbedded });
    if (inUse !== undefined) throw inUseRefusal(inUse);
    // A power failure must not reopen the original: the copy may send.
    if (isEmbedded) await flushDatabase(config.dataDir);
    crashPoint('source-closed');
    // A worker may have ended between the first replay and the closing.
    await refuseUse(db, config, { ledgerId, isEmbedded });
    const journals = isElsewhere ? await bringJournals(config, place.dir, ledgerId) : 0;
    const tables = await withSnapshot(db, (snapshot) => {
      if (!isCopiedTo(snapshot.closed, place.name)) throw reopened();
      return fillLedger(target.db, snapshot, { from, who, ...(onTable && { onTable }) });
    });
    // The copy is on the disk before the original says that there is one.
    await target.close();
    await closeAsCopied(db, place, who);
    return { ...report, tables, journals, again: false };
  } catch (cause) {
    throw asFullDisk(cause, place.name);
  } finally {
    await target.close();
  }
}

function reopened(): Error {
  return refusal(
    'LEDGER_REOPENED',
    'a person has reopened the ledger meanwhile, so it was not copied',
    'Run the same command again, or use the ledger as it is.',
  );
}

function isSameFolder(one: string, other: string): boolean {
  const real = (dir: string): string => (isThere(dir) ? realpathSync(dir) : resolve(dir));
  return real(one) === real(other);
}

async function closeAsCopied(db: Database, { name }: Place, who: string): Promise<void> {
  await transaction(db, (session) => closeLedger(session, { code: 'copied', note: name }, who));
}

/**
 * Brings in what the journals of this machine know, and judges attempts whose deadline has passed.
 * @throws VidbatchError exit 3 when a process still writes a journal.
 */
async function refuseUse(
  db: Database,
  { dataDir }: Config,
  { ledgerId, isEmbedded }: { ledgerId: string; isEmbedded: boolean },
): Promise<void> {
  const folder = journalFolder(dataDir);
  await replayJournals(db, folder, ledgerId);
  await sweep(db, { all: isEmbedded });
  const unread = await unreadJournals(db, folder, ledgerId);
  if (unread.length === 0) return;
  throw refusal(
    'LEDGER_IN_USE',
    `${folder}: a process still writes ${unread.join(', ')}; nothing was copied`,
    'Stop every worker and wait until it has ended, then run the same command again.',
  );
}

function inUseRefusal({ workers, inFlight, until }: InUse): Error {
  if (workers.length > 0) {
    const names = workers.map(({ host, pid }) => `process ${pid} on ${host}`).join(', ');
    return refusal(
      'LEDGER_IN_USE',
      `${plural(workers.length, 'worker is', 'workers are')} alive: ${names}; nothing was copied`,
      `Stop every worker (SIGTERM) and wait until it has ended, then run the same command again. A killed worker counts as alive for ${ALIVE_MS / 1000} s.`,
    );
  }
  const wait = until === null ? '' : `, the last until ${until.toISOString()}`;
  return refusal(
    'LEDGER_IN_USE',
    `${plural(inFlight, 'row is', 'rows are')} in flight${wait}; nothing was copied`,
    'Their workers are gone, and answers may still come. Start a worker on their machine, which reads its journal, or wait until then. Then run the same command again.',
  );
}

/** A copy in Postgres keeps using the data folder of this machine, and its journals are there. */
async function bringJournals({ dataDir }: Config, to: string, ledgerId: string): Promise<number> {
  const folder = journalFolder(dataDir);
  const names = await ownJournals(folder, ledgerId);
  await carryJournals(names, folder, journalFolder(to));
  return names.length;
}

const CLOCK_MS = 5_000;

/** A warning; undefined: the clocks agree. */
export function formatClockDifference({ clockAheadMs, to }: CopyReport): string | undefined {
  if (Math.abs(clockAheadMs) < CLOCK_MS) return undefined;
  const by = formatDuration(Math.abs(clockAheadMs));
  return `the clock of ${to} is ${by} ${clockAheadMs > 0 ? 'ahead' : 'behind'}: windows, waits and deadlines follow it`;
}
