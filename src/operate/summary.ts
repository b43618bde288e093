import { count } from '../core/format.ts';
import type { PurseJson } from '../batch/budget.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Counts, State } from '../core/submission.ts';
import { STATES } from '../core/submission.ts';
import { openOf } from '../core/task.ts';
import type { TaskCounts } from '../core/task.ts';

/** A gate that keeps rows of a batch waiting, with its reason. */
export interface Gate {
  gate:
    | 'paused'
    | 'cancelled'
    | 'halted'
    | 'stopped'
    | 'throttled'
    | 'other-provider'
    | 'trying'
    | 'window'
    | 'not-before'
    | 'deadline'
    | 'budget';
  reason: string;
  /** It concerns these rows of the batch alone. */
  only?: 'off-peak';
  /** When it opens, RFC 3339, where that is known. */
  opensAt?: string;
}

/** Where a batch stands. */
export interface Summary {
  batch: string;
  source: string;
  /** Of the batch: added to that of its rows, higher first. */
  priority: number;
  rows: number;
  counts: Counts;
  taskIds: number;
  /** Task ids beyond one a row: paid more than once, as far as we know. */
  surplus: number;
  /** Failed tasks that a person had made again, or will have: paid again on purpose. */
  remade: number;
  gates: Gate[];
  /** Null: it has none. */
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

/** What ended first, what needs a look next, what still waits last. */
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
export function tasksTold(tasks: TaskCounts): string {
  const { completed, failed, missing, unknown, otherwise } = tasks;
  const settled = completed + failed + missing;
  const open = openOf(tasks);
  const total = settled + open;
  const parts = [`${count(total)} ${total === 1 ? 'task' : 'tasks'}`];
  // 9,999 of 10,000 are not all of them.
  if (total > 0) parts.push(`${Math.floor((100 * settled) / total)}% settled`);
  parts.push(`${count(completed)} completed`, `${count(failed)} failed`);
  if (missing > 0) parts.push(`${count(missing)} not known to the provider`);
  if (otherwise > 0) parts.push(`${count(otherwise)} otherwise than before`);
  parts.push(`${count(open)} open`);
  if (unknown > 0) parts.push(`${count(unknown)} of them of a status that nobody knows`);
  return parts.join(' · ');
}

/** Why the queue holds a single row of a batch; undefined: it may hold more. */
export function proofTold(proof: number, pending: number): string | undefined {
  if (proof === 0 || pending <= 1) return undefined;
  const first = proof === 1 ? 'the first one is' : `the first ${count(proof)} are`;
  return `one row at a time is queued and sent until ${first} accepted; then the others follow`;
}

/** `1 row`, `1,234 rows` */
export function rowsOf(n: number): string {
  return `${count(n)} ${n === 1 ? 'row' : 'rows'}`;
}
