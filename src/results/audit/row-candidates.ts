import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usageError, VidbatchError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { readCandidates, readEdges, type CandidateTask } from '../../ledger/audit/candidates.ts';
import { countListed } from '../../ledger/audit/pairing.ts';
import { beginImport, endImport, keepImport } from '../../ledger/import/stage.ts';
import type { ColumnMap } from '../../manifest/columns.ts';
import { explain, type Verdict } from './candidate.ts';
import { matchFiles } from './match-files.ts';

/** A list of the provider that a person has pasted or uploaded, and the row that they look for in it. */
export interface GivenList {
  /** A pasted text, or a file, whose name says its format. */
  list: string | { name: string; bytes: Uint8Array };
  /** Of times that name no zone. */
  zone: string | undefined;
  map: ColumnMap;
  row: {
    submissionId: number;
    /** The provider to which the row was sent. */
    origin: string;
  };
  redact: (text: string) => string;
}

export interface Candidates {
  /** What `reconcile --provider-file` would say about the row. */
  verdict: Verdict;
  /** The best first. */
  tasks: CandidateTask[];
  /** Tasks of the list, and how many of them belong to rows of this ledger already. */
  listed: number;
  known: number;
}

/** A person cannot compare more. */
const MOST_TASKS = 20;
/** As `--clock-tolerance`. */
const TOLERANCE_MS = 60_000;
/** No batch has this number: only tasks of the list are compared. */
const NO_BATCH = 0;
/** Amounts of the list are neither stored nor shown, so their currency does not matter (ISO 4217: "no currency"). */
const ANY_MONEY = { currency: 'XXX', negative: 'charge' } as const;

/**
 * Compares such a list with the ledger, in the same way as `reconcile --provider-file`, and finds the tasks that one row
 * may have created. It stores nothing.
 * @throws VidbatchError exit 2 for a list that cannot be understood as a whole.
 */
export async function findCandidates(
  db: Database,
  { list, zone, map, row, redact }: GivenList,
): Promise<Candidates> {
  const content = typeof list === 'string' ? list : list.bytes;
  if (typeof content === 'string' ? content.trim() === '' : content.length === 0)
    throw usageError('NO_LIST', 'the list is empty: paste the task list of the provider, or choose its file');
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-list-'));
  try {
    const path = join(folder, typeof list === 'string' ? `list.${formatOf(list)}` : fileNameOf(list));
    await writeFile(path, content, { mode: 0o600 });
    // A pasted text is always the same; the encoding of a file is detected.
    const encoding = typeof list === 'string' ? { encoding: 'utf-8' } : {};
    const options = { files: [path], map, zone, redact, ...encoding, ...ANY_MONEY };
    return await compare(db, { ...options, origin: row.origin }, `row ${row.submissionId}`);
  } catch (error) {
    throw withoutPath(error, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(
  db: Database,
  options: Omit<Parameters<typeof matchFiles>[2], 'batchId' | 'toleranceMs'>,
  owner: string,
): Promise<Candidates> {
  const importId = await beginImport(db);
  try {
    const { signs } = await matchFiles(db, importId, {
      ...options,
      batchId: NO_BATCH,
      toleranceMs: TOLERANCE_MS,
    });
    const edges = await readEdges(db, importId, [owner], TOLERANCE_MS);
    const tasks = await readCandidates(db, importId, owner, TOLERANCE_MS, MOST_TASKS);
    const { tasks: listed, known } = await countListed(db, importId);
    // If staged lines were deleted, only some of them were read, and a task could wrongly seem to be the only one.
    await keepImport(db, importId);
    return { verdict: explain([owner], edges, signs).get(owner) ?? { kind: 'none' }, tasks, listed, known };
  } finally {
    await endImport(db, importId);
  }
}

/** Nothing of the name that a browser sends goes into a path but a plain extension. */
function fileNameOf({ name }: { name: string }): string {
  const extension = /\.[a-z0-9]{1,8}$/i.exec(name)?.[0] ?? '';
  return `list${extension.toLowerCase()}`;
}

/** A pasted text has no name that would say its format. */
function formatOf(text: string): 'json' | 'jsonl' | 'csv' {
  if (!/^\s*[[{]/.test(text)) return 'csv';
  const [first = ''] = text.trim().split('\n', 1);
  const byLine = text.trim().includes('\n') && isJson(first) && !isJson(text);
  return byLine || !text.includes('[') ? 'jsonl' : 'json';
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The message of an error names the file. A person has pasted a text, and knows no file. */
function withoutPath(error: unknown, folder: string): unknown {
  if (!(error instanceof VidbatchError)) return error;
  const { code, exitCode, hint } = error;
  const message = error.message.replaceAll(`${folder}/`, '').replaceAll('--provider-file: ', '');
  return new VidbatchError(code, message, { exitCode, hint, cause: error });
}
