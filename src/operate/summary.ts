/**
 * The room `operate` shows an operator the state of batches and servers: status, report, explain, verify, doctor and
 * metrics. It also copies whole ledgers.
 * It may import schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import { budgetJson, type BudgetJson } from '../batch/budget.ts';
import { EXIT, type ExitCode } from '../core/errors.ts';
import { remakeLine } from '../core/next-step.ts';
import { STATES, type Counts, type State } from '../core/states.ts';
import { openOf, type TaskCounts } from '../core/task-status.ts';
import type { TellTime } from '../core/time/tell-time.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readBudgetStatus } from '../ledger/money/budget.ts';
import type { FailReason } from '../ledger/operator/retry-failed-tasks.ts';
import { readNumbers, readSpeed, type BatchNumbers, type Speed } from '../ledger/read/batch-numbers.ts';
import { isFed } from '../ledger/workers.ts';
import { readGates, type Gate } from './gates.ts';

/**
 * Reads the status of a batch. `origin`: the provider of this configuration, if there is one. `tell`: how reasons tell
 * moments.
 */
export async function summarise(
  db: Queryable,
  batch: Batch,
  origin?: string,
  tell?: TellTime,
): Promise<Summary> {
  return summaryOf(db, batch, await readNumbers(db, batch.id), origin, tell);
}

/** The same from numbers that the caller has read already. */
export async function summaryOf(
  db: Queryable,
  batch: Batch,
  { counts, surplus, remade }: BatchNumbers,
  origin?: string,
  tell?: TellTime,
): Promise<Summary> {
  const status = await readBudgetStatus(db, batch.id);
  return {
    batch: batch.name,
    source: batch.source,
    priority: batch.priority,
    rows: totalOf(counts),
    counts,
    taskIds: counts.submitted,
    surplus,
    remade,
    gates: counts.pending + counts.submitting === 0 ? [] : await readGates(db, batch, origin, tell),
    budget: status === undefined ? null : budgetJson(status),
  };
}

/** The status of a batch. */
export interface Summary {
  batch: string;
  source: string;
  /** The batch's priority, which is added to that of each row; higher first. */
  priority: number;
  rows: number;
  counts: Counts;
  taskIds: number;
  /** Second task ids of rows: these rows were paid more than once. */
  surplus: number;
  /** Failed tasks that a person had made again: paid again on purpose. */
  remade: number;
  gates: Gate[];
  /** Null: the batch has no budget. */
  budget: BudgetJson | null;
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

/** Rows that have ended first, then rows that need a person, then rows that still wait. */
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
  const parts = [plural(summary.rows, 'row'), plural(summary.taskIds, 'task id')];
  for (const state of RECEIPT_ORDER) {
    if (summary.counts[state] > 0) parts.push(`${formatCount(summary.counts[state])} ${state}`);
  }
  const { remade = 0 } = summary;
  if (remade > 0) parts.push(`${formatCount(remade)} paid again on purpose`);
  parts.push(`paid twice: ${summary.surplus === 0 ? 'none known' : plural(summary.surplus, 'row')}`);
  return parts.join(' · ');
}

/** `10,000 tasks · 98% settled · 9,500 completed · 290 failed · 10 not known to the provider · 200 open` */
export function formatTasks(tasks: TaskCounts): string {
  const { completed, failed, missing, unknown, otherwise } = tasks;
  const settled = completed + failed + missing;
  const open = openOf(tasks);
  const total = settled + open;
  const parts = [plural(total, 'task')];
  // Rounded down: 9,999 of 10,000 must not read 100%.
  if (total > 0) parts.push(`${Math.floor((100 * settled) / total)}% settled`);
  parts.push(`${formatCount(completed)} completed`, `${formatCount(failed)} failed`);
  if (missing > 0) parts.push(`${formatCount(missing)} not known to the provider`);
  if (otherwise > 0) parts.push(`${formatCount(otherwise)} whose final status changed`);
  parts.push(`${formatCount(open)} open`);
  if (unknown > 0) parts.push(`${formatCount(unknown)} of them with an unknown status`);
  return parts.join(' · ');
}

/** Why only one row of a batch is queued; undefined: more may be. */
export function formatProof(proof: number, pending: number): string | undefined {
  if (proof === 0 || pending <= 1) return undefined;
  const first = proof === 1 ? 'the first one is' : `the first ${formatCount(proof)} are`;
  return `one row at a time is queued and sent until ${first} accepted; then the others follow`;
}

const MOST_REASONS = 3;

/** `18 InternalServiceFailure · 3 the provider gave no reason · 2 for other reasons` */
export function formatReasons(reasons: readonly FailReason[]): string {
  const shown = reasons.slice(0, MOST_REASONS).map(({ reason, tasks }) => `${formatCount(tasks)} ${reason}`);
  const others = reasons.slice(MOST_REASONS).reduce((sum, { tasks }) => sum + tasks, 0);
  return [...shown, ...(others === 0 ? [] : [`${formatCount(others)} for other reasons`])].join(' · ');
}

/** One line about the failed tasks of a batch; undefined: no task failed. */
export function formatFailedTasks(batch: string, reasons: readonly FailReason[]): string | undefined {
  const total = reasons.reduce((sum, { tasks }) => sum + tasks, 0);
  if (total === 0) return undefined;
  const them = total === 1 ? 'it' : 'them';
  return `${plural(total, 'task')} failed at the provider: ${formatReasons(reasons)}; \`${remakeLine(batch)}\` makes ${them} again, and pays again`;
}

/** How fast a batch is sent, and how long the rest takes. */
export interface Pace {
  /** Accepted rows a second, over the last minute or since the first one. */
  rate: number;
  /** Until all rows are sent that the budget pays for. Null: no row is left, nothing moves, or a gate may stay shut. */
  etaSeconds: number | null;
  /** A worker that sends its rows is alive. */
  fed: boolean;
  /** The numbers behind `rate`. */
  lately: Speed;
}

/** Gates that do not change the estimate. The measured rate already includes throttling. */
const PASSING: ReadonlySet<Gate['gate']> = new Set(['throttled', 'other-provider']);

export async function readPace(db: Queryable, batch: Pick<Batch, 'id'>, summary: Summary): Promise<Pace> {
  const lately = await readSpeed(db, batch.id);
  const fed = await isFed(db, batch.id);
  const rate = lately.accepted / lately.seconds;
  return { rate, etaSeconds: etaOf(rate, fed, summary), fed, lately };
}

/** That rows wait for a worker; undefined: they do not. */
export function formatUnfed({
  counts,
  fed,
}: Pick<Summary, 'counts'> & Pick<Pace, 'fed'>): string | undefined {
  if (counts.pending === 0 || fed) return undefined;
  return 'no worker feeds these rows: start `vidbatch work`, or `vidbatch run` with the manifest';
}

/** Whole seconds. */
export function etaOf(
  rate: number,
  fed: boolean,
  { counts, gates, budget }: Pick<Summary, 'counts' | 'gates' | 'budget'>,
): number | null {
  // Rows that the budget does not pay for are never sent.
  const open = counts.pending + counts.submitting - (budget?.beyond ?? 0);
  const moves = rate > 0 && fed && gates.every(({ gate }) => PASSING.has(gate));
  return open > 0 && moves ? Math.round(open / rate) : null;
}

/** A slow speed is shown as a number of rows, because `0.0 accepted/s` would look like a standstill. */
export function formatSpeed({ accepted, seconds }: Speed): string {
  const lately = seconds < 60 ? formatDuration(seconds * 1000) : 'minute';
  if (accepted / seconds >= 1) return `${(accepted / seconds).toFixed(1)} accepted/s over the last ${lately}`;
  return `${formatCount(accepted)} accepted in the last ${lately}`;
}
