import { explain, type Signs, type Verdict } from './candidate.ts';
import { matchFiles, type MatchOptions } from './match-files.ts';
import {
  expectedOf,
  judge,
  toAuditedTask,
  type Context,
  type Span,
  type AuditFinding,
} from './audited-task.ts';
import { AuditSummary } from './summary.ts';
import { storeCharges, readFileFacts, type FileFacts } from '../../ledger/audit/provider-lines.ts';
import { transaction, type Database } from '../../database/database.ts';
import { beginImport, endImport, keepImport } from '../../ledger/import/stage.ts';
import { readNameless, readSubjects } from '../../ledger/audit/pairing.ts';
import { resolveAccepted, type Said } from '../../ledger/operator/resolve.ts';
import { readEdges } from '../../ledger/audit/candidates.ts';
import { pairSettled, readSuspects, type Suspect } from '../../ledger/audit/suspect.ts';
import { countChosen } from '../../ledger/read/uncertain.ts';

export interface AuditOptions extends Omit<MatchOptions, 'batchId' | 'mayBeEmpty'> {
  /** Null: all batches. */
  batch: { id: number; name: string } | null;
  /** The time that the files cover, if a person gives it: milliseconds since the epoch. */
  since?: number;
  until?: number;
  price: Context['price'];
  /** Who settles rows that match one task each; undefined: they are only shown. */
  accept?: Said;
  onFinding?: (finding: AuditFinding) => Promise<void> | void;
  onVerdict?: (row: Suspect, verdict: Verdict, accepted: Accepted | undefined) => void;
}

/** A row that was settled by a file. */
interface Accepted {
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

const PAGE = 200;

/**
 * Compares files of the provider with the ledger and with what polling has stored in it. Files may have any number of lines:
 * they are staged beside the ledger and compared there, task by task.
 * @throws VidbatchError exit 2 or 3 for a file that cannot be understood as a whole; nothing is changed then.
 *   `IMPORT_LOST` when the staged lines of the files were deleted: rows that were settled before stay settled.
 */
export async function audit(db: Database, options: AuditOptions): Promise<Audit> {
  const { batch, toleranceMs } = options;
  const importId = await beginImport(db);
  try {
    const { empty, signs, since, clients } = await matchFiles(db, importId, {
      ...options,
      batchId: batch?.id ?? null,
      mayBeEmpty: options.since !== undefined || options.until !== undefined,
    });
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
