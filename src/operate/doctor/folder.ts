import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from '../../core/config.ts';
import { messageOf, type VidbatchError } from '../../core/errors.ts';
import { formatCount, plural } from '../../core/units.ts';
import { reasonOf } from '../../database/connection-errors.ts';
import type { Queryable } from '../../database/database.ts';
import { isThere } from '../../database/disk-errors.ts';
import { folderRefusal } from '../../database/ownership.ts';
import {
  FOREIGN_HINT,
  foreignJournals,
  formatForeignJournals,
  type OwnedJournal,
} from '../../worker/journal/foreign.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { JOURNAL_RULES, inspectJournals } from '../verify/journal-check.ts';
import { checkSubject, withLimit, failed, ok, refused, skipped, warning, type Check } from './check.ts';
import type { OpenedLedger } from './ledger.ts';

/** The folder of the journals and of the embedded ledger. */
export interface FolderFacts {
  dir: string;
  /** False: the first worker makes it. */
  there: boolean;
  /** Why another user could change what is in it; null: no other user can. */
  refusal: VidbatchError | null;
  /** Why the folder, or the one that it will be made in, cannot be written; null: it can. */
  unwritable: string | null;
  /** Undefined: the system does not tell. */
  freeBytes: number | undefined;
  fileSystem: FileSystem;
  /** It also holds the ledger. */
  embedded: boolean;
}

type FileSystem = 'local' | 'memory' | 'network' | 'container' | 'unknown';

/** `f_type` of Linux's statfs(2). */
const FILE_SYSTEMS: ReadonlyMap<number, FileSystem> = new Map([
  [0x01021994, 'memory'],
  [0x858458f6, 'memory'],
  [0x6969, 'network'],
  [0x517b, 'network'],
  [0xfe534d42, 'network'],
  [0xff534d42, 'network'],
  [0x01021997, 'network'],
  [0x00c36400, 'network'],
  [0x794c7630, 'container'],
]);

/** Below this a worker may soon have no room for its journal (a megabyte ahead) and an embedded ledger that grows. */
const LITTLE_BYTES = 256 * 1024 * 1024;

export async function readFolderFacts(dir: string, embedded: boolean): Promise<FolderFacts> {
  const there = isThere(dir);
  const nearest = nearestFolder(dir);
  const unwritable = await access(nearest, constants.W_OK | constants.X_OK).then(
    () => null,
    (error: unknown) => messageOf(error),
  );
  const disk = await statfs(nearest).catch(() => undefined);
  return {
    dir,
    there,
    refusal: folderRefusal(dir) ?? null,
    unwritable,
    freeBytes: disk && disk.bavail * disk.bsize,
    fileSystem: process.platform === 'linux' && disk ? (FILE_SYSTEMS.get(disk.type) ?? 'local') : 'unknown',
    embedded,
  };
}

function nearestFolder(dir: string): string {
  return isThere(dir) || dirname(dir) === dir ? dir : nearestFolder(dirname(dir));
}

export function judgeFolder(facts: FolderFacts): Check[] {
  return [judgeAccess(facts), judgeRoom(facts), judgeFileSystem(facts)];
}

function judgeAccess({ dir, there, unwritable, refusal }: FolderFacts): Check {
  if (refusal !== null) return refused('data-folder', refusal);
  if (unwritable !== null) {
    return failed(
      'data-folder',
      `${dir} cannot be written: ${unwritable}`,
      'Give the whole data folder to this user with `chown -R`, or mount it writable.',
    );
  }
  return ok('data-folder', there ? `${dir} can be written` : `${dir} does not exist yet, and can be made`);
}

function judgeRoom({ freeBytes }: FolderFacts): Check {
  if (freeBytes === undefined) return skipped('data-folder-room', 'unknown: the system does not report it');
  const what = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free`;
  if (freeBytes >= LITTLE_BYTES) return ok('data-folder-room', what);
  return warning(
    'data-folder-room',
    `only ${what}`,
    'Free space outside the data folder: without space for its journal, a worker sends nothing.',
  );
}

/** Without the move, another folder would be another, empty ledger. */
const MOVE =
  'Stop vidbatch, move the whole folder to a disk of this machine, and name it with VIDBATCH_DATA_DIR: the ledger moves with it.';

function judgeFileSystem({ fileSystem, embedded }: FolderFacts): Check {
  const name = 'data-folder-disk';
  const kept = embedded ? 'the ledger' : 'the journals';
  if (fileSystem === 'local') return ok(name, 'on a disk of this machine');
  if (fileSystem === 'unknown') return skipped(name, 'unknown: it should be on a disk of this machine');
  if (fileSystem === 'network') {
    return warning(name, 'on another machine: its locks and flushes may not be reliable', MOVE);
  }
  if (fileSystem === 'container') {
    return warning(
      name,
      `in a container’s own layer: ${kept} would be deleted with the container`,
      'Stop vidbatch, copy the whole folder to a volume, and mount that volume here: the ledger moves with it.',
    );
  }
  const what = `in memory: a restart of this machine deletes ${kept}`;
  return embedded ? failed(name, what, MOVE) : warning(name, what, MOVE);
}

interface JournalFacts {
  journals: number;
  /** What is wrong with the files. */
  damaged: string[];
  /** Journals of other ledgers that no person has accepted. */
  foreign: OwnedJournal[];
  /** Attempts that only a journal knows. */
  unknown: number;
}

async function readJournalFacts(
  db: Queryable,
  folder: string,
  ledgerId: string,
  signal: AbortSignal,
): Promise<JournalFacts> {
  const foreign = await foreignJournals(db, folder, ledgerId);
  const facts: JournalFacts = { journals: 0, damaged: [], foreign, unknown: 0 };
  const onJournal = (): void => void (facts.journals += 1);
  for await (const { found } of inspectJournals(db, folder, { ledgerId, batch: null, onJournal })) {
    if (signal.aborted) break;
    for (const { invariant, what } of found) {
      if (invariant === JOURNAL_RULES.whole.name) facts.damaged.push(what);
      if (invariant === JOURNAL_RULES.intent.name) facts.unknown += 1;
    }
  }
  return facts;
}

export function judgeJournals({ journals, damaged, foreign, unknown }: JournalFacts): Check[] {
  const checks: Check[] = [];
  if (damaged.length > 0) {
    checks.push(
      warning(
        'journals',
        some(damaged),
        `${sentence(JOURNAL_RULES.whole.next)}; \`vidbatch verify\` shows more.`,
      ),
    );
  }
  if (foreign.length > 0) {
    const what = `${formatForeignJournals(foreign)}; a worker sends nothing`;
    checks.push(failed('journals', what, FOREIGN_HINT));
  }
  if (unknown > 0) {
    checks.push(
      warning(
        'journals',
        `${plural(unknown, 'attempt is', 'attempts are')} only in a journal, as after a restored ledger`,
        'Start `vidbatch work` on this machine before anything is submitted again: it brings them back.',
      ),
    );
  }
  const read = journals === 0 ? 'none yet' : `${formatCount(journals)} read`;
  return checks.length > 0 ? checks : [ok('journals', `${read}; the ledger knows them`)];
}

function some([first = '', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first}, and ${formatCount(others.length)} more of this kind`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export async function checkJournals(
  { db }: OpenedLedger,
  config: Config,
  ledgerId: string | undefined,
  limitMs: number,
): Promise<Check[]> {
  if (db === undefined || ledgerId === undefined) return [];
  try {
    return await withLimit(limitMs, async (signal) =>
      judgeJournals(await readJournalFacts(db, journalFolder(config.dataDir), ledgerId, signal)),
    );
  } catch (error) {
    return [
      skipped('journals', `not read completely: ${reasonOf(error)}; \`vidbatch verify\` reads all of them`),
    ];
  }
}

export function checkFolder({ dataDir, databaseUrl }: Config, limitMs: number): Promise<Check[]> {
  return checkSubject('data-folder', limitMs, async () =>
    judgeFolder(await readFolderFacts(dataDir, databaseUrl === undefined)),
  );
}
