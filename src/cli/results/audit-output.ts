import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { messageOf, usageError } from '../../core/errors.ts';
import { quoted, oneLine } from '../../core/text.ts';
import { either, formatCount, plural } from '../../core/units.ts';
import type { FileFacts } from '../../ledger/audit/provider-lines.ts';
import type { Audit, Doubts } from '../../results/audit/audit.ts';
import type { AuditFinding } from '../../results/audit/audited-task.ts';
import { csvLine, DIFFERENCE_COLUMNS, differenceLine } from '../../results/audit/difference.ts';
import { FINDING_TYPES, isDifference } from '../../results/audit/finding-type.ts';
import type { Counted, Example, MoneyText } from '../../results/audit/summary.ts';

/** What the comparison was asked to do. */
interface Asked {
  /** Null: all batches. */
  batch: string | null;
  accepting: boolean;
  /** The uncertain rows that are shown. */
  rows: readonly SideBySide[];
}

/** The result of a comparison, as a table for people. */
export function formatAudit({ files, summary, doubts, stored }: Audit, asked: Asked): string[] {
  const counted = summary.counted();
  return [
    ...files.map(formatFile),
    '',
    ...formatTable(counted),
    ...formatDoubts(doubts, asked),
    ...asked.rows.map((row) => formatSideBySide(row, asked.accepting)),
    ...(stored === 0 ? [] : ['', `${plural(stored, 'billed entry', 'billed entries')} stored`]),
    '',
    summary.differing === 0
      ? 'nothing differs'
      : plural(summary.differing, 'task or line differs', 'tasks or lines differ'),
  ];
}

function formatFile({ file, lines, unreadable, listed, billed, from, to }: FileFacts): string {
  const is = listed && billed ? 'task list and bill' : listed ? 'task list' : 'bill';
  const time = from === null || to === null ? '' : `, ${from.toISOString()} to ${to.toISOString()}`;
  const bad = unreadable === 0 ? '' : `, ${formatCount(unreadable)} unreadable`;
  return `${file}: ${is}, ${plural(lines, 'line')}${bad}${time}`;
}

function formatTable(counted: readonly Counted[]): string[] {
  const cells = counted.map(({ kind, tasks, amounts }) => [kind, formatCount(tasks), formatAmounts(amounts)]);
  const width = (column: number): number => Math.max(0, ...cells.map((row) => row[column]?.length ?? 0));
  const [names, numbers, sums] = [width(0), width(1), width(2)];
  return counted.flatMap((one, index) => {
    const [name = '', tasks = '', amount = ''] = cells[index] ?? [];
    const { means, next } = FINDING_TYPES[one.kind];
    return [
      `  ${name.padEnd(names)}  ${tasks.padStart(numbers)}  ${amount.padStart(sums)}  ${means}`,
      ...one.examples.map((example) => `      ${formatExample(example)}`),
      ...one.groups.map(({ group, tasks: n }) => `      ${oneLine(group, 60)}: ${formatCount(n)}`),
      ...(FINDING_TYPES[one.kind].is === 'difference' ? [`      next: ${next}`] : []),
    ];
  });
}

function formatAmounts(amounts: readonly MoneyText[]): string {
  return amounts.map(({ amount, currency }) => `${amount} ${currency}`).join(' + ');
}

function formatExample({ taskId, batch, key, lines, fault, billed, expected }: Example): string {
  const parts = [
    batch === null || key === null ? null : `${batch} ${key}`,
    taskId,
    lines.length === 0 ? null : `(${lines.join(', ')})`,
    fault,
    expected === null ? null : `${formatAmounts(billed)} instead of ${formatAmounts([expected])}`,
  ];
  return parts.flatMap((part) => (part === null ? [] : oneLine(part, 120))).join(' ');
}

/** The uncertain rows, and what the files say about them. */
function formatDoubts(doubts: Doubts, { batch, accepting }: Asked): string[] {
  if (doubts.rows === 0) return [];
  const { signs } = doubts;
  const rows = (n: number): string => plural(n, 'uncertain row');
  const lines = [''];
  if (doubts.matching > 0) {
    const raced = doubts.matching - doubts.settled;
    lines.push(
      accepting
        ? `${rows(doubts.settled)} settled: exactly one task fits each, and no other row` +
            (raced === 0 ? '' : `; ${formatCount(raced)} more got an answer meanwhile`)
        : `${rows(doubts.matching)} ${either(doubts.matching, 'matches exactly one task: --accept settles it', 'match exactly one task each: --accept settles them')}`,
    );
  }
  if (doubts.unproven > 0) {
    const why = [
      signs.clocks === 'differ'
        ? "the provider's clock and the ledger's differ on tasks that both know (--tz, --clock-tolerance)"
        : '',
      signs.clocks === 'unseen' ? 'no task that both know shows that the clocks agree' : '',
      signs.strangers > 0
        ? `${plural(signs.strangers, 'task')} of this time ${signs.strangers === 1 ? 'is' : 'are'} not in this ledger: another client uses the account`
        : '',
      signs.twins > 0
        ? `${signs.twins === 1 ? 'one of them has' : `${formatCount(signs.twins)} of them have`} the prompt of a row that has its task: that client sends the same prompts, so only a request id proves it (a list with request ids, or \`vidbatch resolve\`)`
        : '',
    ].filter((reason) => reason !== '');
    lines.push(
      `${rows(doubts.unproven)} ${either(doubts.unproven, 'with one task is', 'with one task each are')} not settled: ${why.join('; ')}`,
    );
  }
  if (doubts.ambiguous > 0)
    lines.push(`${rows(doubts.ambiguous)} cannot be matched: several tasks or several rows fit`);
  if (doubts.without > 0) {
    const of = batch === null ? '' : ` ${quoted(batch)}`;
    lines.push(
      `${rows(doubts.without)} without a task that fits: a list may be late or lack a page, so ${either(doubts.without, 'it stays', 'they stay')} uncertain`,
      `      next: \`vidbatch uncertain${of}\` shows what is known about each; \`vidbatch resolve${of === '' ? ' <batch>' : of}\` settles ${either(doubts.without, 'it', 'them')}`,
    );
  }
  return lines;
}

/** An uncertain row beside the task that may be its own. */
export interface SideBySide {
  batch: string;
  key: string;
  verdict: string;
  task: string | null;
  why: string | null;
}

function formatSideBySide({ batch, key, verdict, task, why }: SideBySide, accepting: boolean): string {
  // With --accept, an answer that came meanwhile settled the row.
  const now = verdict !== 'settled' ? verdict : accepting ? 'answered meanwhile' : 'would settle';
  const what = task === null ? now : `${now}: task ${task}`;
  const command =
    task === null
      ? ''
      : ` · \`vidbatch resolve ${quoted(batch)} ${quoted(key)} --task-id ${quoted(task)} --reason <text>\``;
  return `      ${batch} ${oneLine(key, 80)}  ${what}${why === null ? '' : ` (${why})`}${verdict === 'unproven' ? command : ''}`;
}

/** `--differences`: the file appears at its path only when it is complete. Until then an earlier file stays. */
export interface Differences {
  write: (finding: AuditFinding) => Promise<void>;
  /** Puts the complete file at its path. */
  keep: () => Promise<void>;
  /** Deletes an incomplete file. Without effect after `keep`. */
  drop: () => Promise<void>;
}

const NOTHING: Differences = {
  write: () => Promise.resolve(),
  keep: () => Promise.resolve(),
  drop: () => Promise.resolve(),
};

/**
 * Opens the file before anything is read, so that a bad path is reported at once.
 * @throws VidbatchError exit 2 for a path that cannot be written, and for one of the files that are read.
 */
export async function openDifferences(
  path: string | undefined,
  files: readonly string[],
  redact: (text: string) => string,
): Promise<Differences> {
  if (path === undefined) return NOTHING;
  const real = await realpath(path).catch(() => undefined);
  const read = await Promise.all(files.map((file) => realpath(file).catch(() => undefined)));
  if (real !== undefined && read.includes(real)) {
    throw usageError(
      'WRITES_WHAT_IT_READS',
      `--differences: ${path} is one of the provider's files`,
      'Name another file.',
    );
  }
  const target = real ?? path;
  // A pipe or a terminal is written directly. Opening a folder fails with its own message.
  const isPlain = real === undefined || (await stat(real)).isFile();
  const part = isPlain ? `${target}.${process.pid}.part` : target;
  // The file contains prompts and payments. A link at the given path is followed. `wx` refuses a link at the temporary
  // path.
  const stream = createWriteStream(part, { mode: 0o600, flags: isPlain ? 'wx' : 'w' });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw usageError(
      'BAD_DIFFERENCES',
      `--differences: ${messageOf(error)}`,
      'Name a writable file in an existing folder.',
    );
  }
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await once(stream, 'drain');
  };
  await write(csvLine(DIFFERENCE_COLUMNS));
  let isOpen = true;
  const close = async (): Promise<void> => {
    isOpen = false;
    stream.end();
    await once(stream, 'close');
  };
  return {
    write: async (finding) => {
      if (finding.kinds.some(isDifference)) await write(differenceLine(finding, redact));
    },
    keep: async () => {
      await close();
      if (isPlain) await rename(part, target);
    },
    drop: async () => {
      if (!isOpen) return;
      await close();
      if (isPlain) await rm(part, { force: true });
    },
  };
}
