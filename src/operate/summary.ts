import { count } from '../core/format.ts';
import type { PurseJson } from '../batch/budget.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Counts, State } from '../core/submission.ts';
import { STATES } from '../core/submission.ts';
import { openOf } from '../core/task.ts';
import type { TaskCounts } from '../core/task.ts';
import type { Gate } from './gate.ts';
import { remakeLine } from '../core/next-step.ts';
import type { FailReason } from '../ledger/operator/retry-failed-tasks.ts';

/** Where a batch stands. */
export interface Summary {
  batch: string;
  source: string;
  /** Of the batch. It is added to the priority of its rows; higher first. */
  priority: number;
  rows: number;
  counts: Counts;
  taskIds: number;
  /** Task ids beyond one a row: paid more than once, as far as we know. */
  surplus: number;
  /** Failed tasks that were made again for a person, or will be: paid again on purpose. */
  remade: number;
  gates: Gate[];
  /** Null: the batch has no budget. */
  budget: PurseJson | null;
}

export function totalOf(counts: Counts): number {
  return STATES.reduce((sum, state) => sum + counts[state], 0);
}

/** The exit code for the state of the named batches. The highest risk wins: 5, 7, 6, 4. */
export function exitCodeOf(
  summaries: readonly Pick<Summary, 'counts' | 'surplus'>[],
  stopped = false,
): ExitCode {
  const any = (...states: (keyof Counts)[]): boolean =>
    summaries.some(({ counts }) => states.some((state) => counts[state] > 0));
  if (any('uncertain') || summaries.some(({ surplus }) => surplus > 0)) return EXIT.uncertainRows;
  if (stopped) return EXIT.stopped;
  if (any('rejected', 'exhausted', 'invalid')) return EXIT.failedRows;
  return EXIT.ok;
}

/** First what has ended, then what needs a person, then what still waits. */
const RECEIPT_ORDER = [
  'rejected',
  'exhausted',
  'invalid',
  'cancelled',
  'abandoned',
  'uncertain',
  'submitting',
  'pending',
] as const satisfies State[];

/** `50,000 rows · 49,988 task ids · 9 rejected · 3 uncertain · paid twice: none known` */
export function receipt(
  summary: Pick<Summary, 'rows' | 'counts' | 'taskIds' | 'surplus'> & Partial<Pick<Summary, 'remade'>>,
): string {
  const parts = [
    `${count(summary.rows)} ${summary.rows === 1 ? 'row' : 'rows'}`,
    `${count(summary.taskIds)} task ${summary.taskIds === 1 ? 'id' : 'ids'}`,
  ];
  for (const state of RECEIPT_ORDER) {
    if (summary.counts[state] > 0) parts.push(`${count(summary.counts[state])} ${state}`);
  }
  const { remade = 0 } = summary;
  if (remade > 0) parts.push(`${count(remade)} paid again on purpose`);
  parts.push(`paid twice: ${summary.surplus === 0 ? 'none known' : rowsOf(summary.surplus)}`);
  return parts.join(' · ');
}

/** `10,000 tasks · 98% settled · 9,500 completed · 290 failed · 10 not known to the provider · 200 open` */
export function formatTasks(tasks: TaskCounts): string {
  const { completed, failed, missing, unknown, otherwise } = tasks;
  const settled = completed + failed + missing;
  const open = openOf(tasks);
  const total = settled + open;
  const parts = [`${count(total)} ${total === 1 ? 'task' : 'tasks'}`];
  // Rounded down: 9,999 of 10,000 must not read 100%.
  if (total > 0) parts.push(`${Math.floor((100 * settled) / total)}% settled`);
  parts.push(`${count(completed)} completed`, `${count(failed)} failed`);
  if (missing > 0) parts.push(`${count(missing)} not known to the provider`);
  if (otherwise > 0) parts.push(`${count(otherwise)} otherwise than before`);
  parts.push(`${count(open)} open`);
  if (unknown > 0) parts.push(`${count(unknown)} of them with an unknown status`);
  return parts.join(' · ');
}

/** Why only one row of a batch is queued; undefined: more may be. */
export function formatProof(proof: number, pending: number): string | undefined {
  if (proof === 0 || pending <= 1) return undefined;
  const first = proof === 1 ? 'the first one is' : `the first ${count(proof)} are`;
  return `one row at a time is queued and sent until ${first} accepted; then the others follow`;
}

/** `1 row`, `1,234 rows` */
export function rowsOf(n: number): string {
  return `${count(n)} ${n === 1 ? 'row' : 'rows'}`;
}

const MOST_REASONS = 3;

/** `18 InternalServiceFailure · 3 the provider gave no reason · 2 for other reasons` */
export function formatReasons(reasons: readonly FailReason[]): string {
  const shown = reasons.slice(0, MOST_REASONS).map(({ reason, tasks }) => `${count(tasks)} ${reason}`);
  const others = reasons.slice(MOST_REASONS).reduce((sum, { tasks }) => sum + tasks, 0);
  return [...shown, ...(others === 0 ? [] : [`${count(others)} for other reasons`])].join(' · ');
}

/** One line about the failed tasks of a batch; undefined: no task failed. */
export function formatFailedTasks(batch: string, reasons: readonly FailReason[]): string | undefined {
  const total = reasons.reduce((sum, { tasks }) => sum + tasks, 0);
  if (total === 0) return undefined;
  const them = total === 1 ? 'it' : 'them';
  return `${count(total)} ${total === 1 ? 'task' : 'tasks'} failed at the provider: ${formatReasons(reasons)}; \`${remakeLine(batch)}\` makes ${them} again, and pays again`;
}
