import { basename } from 'node:path';
import { usageError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { compareClocks, pairTasks, readOwnClients, readSendingSince } from '../../ledger/audit/pairing.ts';
import {
  analyseListing,
  stageLines,
  type FileFacts,
  type StagedLine,
} from '../../ledger/audit/provider-lines.ts';
import { gatherSuspects, markCandidates } from '../../ledger/audit/suspect.ts';
import { defaultProfile } from '../../provider/profile/load.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { TaskWords } from '../../provider/task-words.ts';
import type { Signs } from './candidate.ts';
import { checkMapped } from './field.ts';
import { lineWithoutKeys, openProviderFile, type FileOptions } from './provider-file.ts';

export interface MatchOptions extends FileOptions {
  files: readonly string[];
  /** The provider of the files. */
  origin: string;
  /** The ledger's tasks that must be in the files: those of this batch; null: those of all batches. */
  batchId: number | null;
  /** How far the provider's clock may be from the ledger's. */
  toleranceMs: number;
  /** Removes API keys from the text of a line before it is stored. */
  redact?: (text: string) => string;
  onProgress?: (lines: number) => void;
  onWarning?: (text: string) => void;
  signal?: AbortSignal;
}

/** Files beside the ledger: their tasks are paired with its attempts, and those that an unknown attempt may have made are marked. */
export interface Matched {
  /** Files without any line. SQL counts lines, so it does not see them. */
  empty: FileFacts[];
  signs: Signs;
  /** The time from which tasks of the provider may belong to this ledger. */
  since: Date;
  /** Tokens or users of tasks that the ledger knows. */
  clients: string[];
}

const CHUNK = 1000;

/**
 * Stages the files under this import, and compares them with the ledger.
 * @throws VidbatchError exit 2 or 3 for a file that cannot be understood as a whole; `IMPORT_LOST`
 */
export async function matchFiles(db: Database, importId: string, options: MatchOptions): Promise<Matched> {
  const { origin, batchId, toleranceMs } = options;
  const profiles = [...(await rememberedProfiles(db).all()), defaultProfile()];
  const words = profiles.map(({ task }) => new TaskWords(task));
  const { zoned, empty } = await stageFiles(db, importId, { ...options, words });
  await analyseListing(db);
  await pairTasks(db, importId, { origin, batchId });
  await gatherSuspects(db, importId, origin);
  await analyseListing(db);
  const since = await readSendingSince(db, origin);
  const clients = await readOwnClients(db, importId);
  const { strangers, twins } = await markCandidates(db, importId, { origin, toleranceMs, since, clients });
  const clocks = await compareClocks(db, importId, toleranceMs);
  return { empty, signs: { clocks, absolute: !zoned, strangers, twins }, since, clients };
}

/** `zoned`: a time has its zone from a flag. `empty`: files without a line, which SQL cannot count. */
async function stageFiles(
  db: Database,
  importId: string,
  options: MatchOptions,
): Promise<{ zoned: boolean; empty: FileFacts[] }> {
  let position = 0;
  let zoned = false;
  const empty: FileFacts[] = [];
  const headers = new Set<string>();
  for (const [index, path] of options.files.entries()) {
    const file = await openProviderFile(path, options);
    for (const warning of file.warnings) options.onWarning?.(warning);
    // Two files may have the same name.
    const name = options.files.slice(0, index).some((other) => basename(other) === file.name)
      ? path
      : file.name;
    const signs = { below: 0, above: 0 };
    const before = position;
    let chunk: StagedLine[] = [];
    for await (const line of file.lines) {
      if (options.signal?.aborted === true) return { zoned, empty };
      position += 1;
      zoned ||= line.read.zoned;
      if (line.read.negative) signs.below += 1;
      else if (line.read.amount !== null) signs.above += 1;
      chunk.push({ ...lineWithoutKeys(line, options.redact ?? same), position, file: name });
      if (chunk.length < CHUNK) continue;
      await stageLines(db, importId, chunk);
      options.onProgress?.(position);
      chunk = [];
    }
    if (chunk.length > 0) await stageLines(db, importId, chunk);
    if (signs.below > 0 && signs.above === 0 && options.negative === undefined) throw allNegative(path);
    for (const header of file.headers) headers.add(header);
    if (position > before) continue;
    const { listed, billed } = file;
    empty.push({ file: name, lines: 0, unreadable: 0, listed, billed, from: null, to: null });
  }
  checkMapped(options.map, headers);
  return { zoned, empty };
}

function same(text: string): string {
  return text;
}

function allNegative(path: string): Error {
  return usageError(
    'ALL_NEGATIVE',
    `${path}: every amount is negative: charges as changes of a balance, or refunds?`,
    'Choose one: --negative charge or --negative refund; or name the column of types, --map type=<header>.',
  );
}
