import { basename } from 'node:path';
import { explain } from './candidate.ts';
import type { Signs, Verdict } from './candidate.ts';
import { checkMapped } from './field.ts';
import { openProviderFile, lineWithoutKeys } from './provider-file.ts';
import type { FileOptions } from './provider-file.ts';
import { expectedOf, judge, toAuditedTask } from './audited-task.ts';
import type { Context, Span, AuditFinding } from './audited-task.ts';
import { AuditSummary } from './summary.ts';
import { usageError } from '../../core/errors.ts';
import {
  storeCharges,
  analyseListing,
  readFileFacts,
  stageLines,
} from '../../ledger/audit/provider-lines.ts';
import type { Database } from '../../database/database.ts';
import { transaction } from '../../database/database.ts';
import { beginImport, endImport, keepImport } from '../../ledger/import/stage.ts';
import type { FileFacts, StagedLine } from '../../ledger/audit/provider-lines.ts';
import {
  readNameless,
  readOwnClients,
  pairTasks,
  readSendingSince,
  readSubjects,
} from '../../ledger/audit/pairing.ts';
import { resolveAccepted } from '../../ledger/operator/resolve.ts';
import type { Said } from '../../ledger/operator/resolve.ts';
import {
  compareClocks,
  readEdges,
  gatherSuspects,
  markCandidates,
  pairSettled,
  readSuspects,
} from '../../ledger/audit/suspect.ts';
import type { Suspect } from '../../ledger/audit/suspect.ts';
import { countChosen } from '../../ledger/read/uncertain.ts';
import { defaultProfile } from '../../provider/profile/load.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { TaskWords } from '../../provider/task-words.ts';

export interface AuditOptions extends FileOptions {
  files: readonly string[];
  origin: string;
  /** Null: all batches. */
  batch: { id: number; name: string } | null;
  /** The time that the files cover, if a person gives it: milliseconds since the epoch. */
  since?: number;
  until?: number;
  /** How far the provider's clock may be from the ledger's. */
  toleranceMs: number;
  price: Context['price'];
  /** Removes API keys from the text of a line before it is stored. */
  redact?: (text: string) => string;
  /** Who settles rows that match one task each; undefined: they are only shown. */
  accept?: Said;
  onFinding?: (finding: AuditFinding) => Promise<void> | void;
  onVerdict?: (row: Suspect, verdict: Verdict, accepted: Accepted | undefined) => void;
  onProgress?: (lines: number) => void;
  onWarning?: (text: string) => void;
  signal?: AbortSignal;
}

/** A row that was settled by a file. */
export interface Accepted {
  taskId: string;
  attemptId: string;
  number: number;
}

/** The uncertain rows of the comparison, by verdict. */
export interface Doubts {
  rows: number;
  /** With one task each, which fits no other row. */
  matching: number;
  /** How many of these were settled now. */
  settled: number;
  unproven: number;
  ambiguous: number;
  without: number;
  signs: Signs;
}

export interface Audit {
  files: FileFacts[];
  summary: AuditSummary;
  doubts: Doubts;
  /** Entries that are new in the ledger, or changed. */
  stored: number;
}

const CHUNK = 1000;
const PAGE = 200;

/**
 * Compares files of the provider with the ledger and with what polling has stored in it. Files may have any number of lines:
 * they are staged beside the ledger and compared there, task by task.
 * @throws VidbatchError exit 2 or 3 for a file that cannot be understood as a whole; nothing is changed then.
 *   `IMPORT_LOST` when the staged lines of the files were deleted: rows that were settled before stay settled.
 */
export async function audit(db: Database, options: AuditOptions): Promise<Audit> {
  const { origin, batch, toleranceMs } = options;
  const importId = await beginImport(db);
  try {
    const profiles = [...(await rememberedProfiles(db).all()), defaultProfile()];
    const words = profiles.map(({ task }) => new TaskWords(task));
    const { zoned, empty } = await stageFiles(db, importId, { ...options, words });
    await analyseListing(db);
    await pairTasks(db, importId, { origin, batchId: batch?.id ?? null });
    await gatherSuspects(db, importId, origin);
    await analyseListing(db);
    const since = await readSendingSince(db, origin);
    const clients = await readOwnClients(db, importId);
    const { strangers, twins } = await markCandidates(db, importId, { origin, toleranceMs, since, clients });
    const signs = {
      clocks: await compareClocks(db, importId, toleranceMs),
      absolute: !zoned,
      strangers,
      twins,
    };
    const doubts = await settleDoubts(db, importId, signs, options);
    const files = [...(await readFileFacts(db, importId)), ...empty];
    const context: Context = {
      lists: spansOf(
        files.filter(({ listed }) => listed),
        options,
      ),
      bills: spansOf(
        files.filter(({ billed }) => billed),
        options,
      ),
      since: since.getTime() - toleranceMs,
      clients: new Set(clients),
      price: options.price,
    };
    const summary = await judgeAll(db, importId, context, options);
    const stored = await transaction(db, async (session) => {
      await keepImport(session, importId);
      return options.signal?.aborted === true ? 0 : storeCharges(session, importId);
    });
    return { files, summary, doubts, stored };
  } finally {
    await endImport(db, importId);
  }
}

/** `zoned`: a time has its zone from a flag. `empty`: files without a line, which SQL cannot count. */
async function stageFiles(
  db: Database,
  importId: string,
  options: AuditOptions,
): Promise<{ zoned: boolean; empty: FileFacts[] }> {
  let position = 0;
  let zoned = false;
  const empty: FileFacts[] = [];
  const headers = new Set<string>();
  const mayBeEmpty = options.since !== undefined || options.until !== undefined;
  for (const [index, path] of options.files.entries()) {
    const file = await openProviderFile(path, { ...options, mayBeEmpty });
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

/** A file covers the time from its first line to its last, unless a person says otherwise. For one batch it covers all. */
function spansOf(files: readonly FileFacts[], { since, until, batch, toleranceMs }: AuditOptions): Span[] {
  if (files.length === 0) return [];
  if (since !== undefined || until !== undefined || batch !== null) {
    return [{ from: since ?? -Infinity, to: until ?? Infinity }];
  }
  return files.flatMap(({ from, to }) =>
    from === null || to === null
      ? []
      : [{ from: from.getTime() - toleranceMs, to: to.getTime() + toleranceMs }],
  );
}

async function settleDoubts(
  db: Database,
  importId: string,
  signs: Signs,
  options: AuditOptions,
): Promise<Doubts> {
  const doubts: Doubts = { rows: 0, matching: 0, settled: 0, unproven: 0, ambiguous: 0, without: 0, signs };
  let after = 0;
  for (;;) {
    const page = await readSuspects(db, importId, options.batch?.id ?? null, after, PAGE);
    const owners = page.map(({ owner }) => owner);
    const edges = await readEdges(db, importId, owners, options.toleranceMs);
    // If staged rows were deleted, only some of them were read. Then a task could wrongly seem to have one possible row.
    await keepImport(db, importId);
    const verdicts = explain(owners, edges, signs);
    for (const row of page) {
      const verdict = verdicts.get(row.owner) ?? { kind: 'none' };
      const accepted =
        verdict.kind === 'settled' && options.accept !== undefined
          ? await settleRow(db, importId, row, verdict, options.accept)
          : undefined;
      doubts.rows += 1;
      if (verdict.kind === 'settled') doubts.matching += 1;
      if (accepted !== undefined) doubts.settled += 1;
      if (verdict.kind === 'unproven') doubts.unproven += 1;
      if (verdict.kind === 'ambiguous') doubts.ambiguous += 1;
      if (verdict.kind === 'none') doubts.without += 1;
      options.onVerdict?.(row, verdict, accepted);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE || options.signal?.aborted === true) return doubts;
    after = last.submissionId;
  }
}

const BECAUSE = {
  request: 'the file names the request of its attempt',
  prompt: 'the only task with this prompt and model in the time of the attempt',
  time: 'the only task with this model in the time of the attempt, and no other row can have made it',
};

/** Settles a row as a person would; undefined: an answer has settled it meanwhile. */
async function settleRow(
  db: Database,
  importId: string,
  { batchId, submissionId }: Suspect,
  { task, evidence }: Extract<Verdict, { kind: 'settled' }>,
  said: Said,
): Promise<Accepted | undefined> {
  const choice = { batchId, submissionId };
  const { asOf } = await countChosen(db, choice);
  const resolved = await resolveAccepted(db, { ...choice, asOf }, task, {
    ...said,
    reason: `${said.reason}: ${BECAUSE[evidence]}`,
  });
  if (resolved.kind !== 'submitted') return undefined;
  await pairSettled(db, importId, task, resolved.attemptId);
  return { taskId: task, attemptId: resolved.attemptId, number: resolved.number };
}

/** After this many tasks the import is kept alive and progress is reported. */
const BREATH = 20_000;

async function judgeAll(
  db: Database,
  importId: string,
  context: Context,
  { batch, onFinding, onProgress, signal }: AuditOptions,
): Promise<AuditSummary> {
  const summary = new AuditSummary();
  let judged = 0;
  const told = async (finding: AuditFinding): Promise<void> => {
    summary.add(finding);
    await onFinding?.(finding);
    judged += 1;
    if (judged % BREATH !== 0) return;
    await keepImport(db, importId);
    onProgress?.(judged);
  };
  for await (const row of readSubjects(db, importId)) {
    if (signal?.aborted === true) return summary;
    const subject = toAuditedTask(row, batch?.id ?? null);
    const kinds = judge(subject, context);
    await told({ kinds, expected: expectedOf(kinds, subject, context), subject, row, lines: row.lines });
  }
  for await (const line of readNameless(db, importId)) {
    if (signal?.aborted === true) return summary;
    const kind = line.fault === null && line.aside ? 'no-task' : 'unreadable';
    await told({ kinds: [kind], expected: null, subject: null, row: null, lines: [line] });
  }
  return summary;
}
