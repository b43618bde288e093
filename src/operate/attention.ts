import { formatMoney } from '../core/money/money.ts';
import { oneLine, quoted } from '../core/text.ts';
import { either, formatDistance, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import { amountOf } from '../ledger/money/budget.ts';
import { NEWS, readAttentionFacts, type AttentionFacts } from '../ledger/read/attention.ts';
import type { SpentBatch } from '../ledger/read/trouble.ts';
import { SOON } from '../ledger/tasks/tasks.ts';
import { formatMost } from './stake.ts';

/** One thing that needs a person, with what helps. */
export interface Attention {
  kind:
    | 'paid-twice'
    | 'task-shared'
    | 'halted'
    | 'no-worker'
    | 'silent-worker'
    | 'uncertain'
    | 'stopped'
    | 'budget-used'
    | 'schedule-failed'
    | 'urls-die'
    | 'tasks-failed'
    | 'not-notified';
  /** One line: what happened, and what it costs. */
  what: string;
  /** A command, as a shell takes it. */
  command: string;
  /** The batch that it is about, where it is about one. */
  batch?: string;
  /** The schedule that it is about, where it is about one. */
  schedule?: string;
}

/** What needs a person, the worst first. Empty: nothing does. */
export async function readAttention(db: Queryable, now = Date.now()): Promise<Attention[]> {
  return attentionOf(await readAttentionFacts(db), now);
}

/** The order is that of the money at stake: paid for nothing, then all rows stand still, then one batch, then videos. */
export function attentionOf(facts: AttentionFacts, now: number): Attention[] {
  const age = (time: string | Date): string => formatDistance(now - new Date(time).getTime());
  const ago = (time: string | Date): string => `${age(time)} ago`;
  const unfed = facts.unfed.reduce((sum, { rows }) => sum + rows, 0);
  const all: (Attention | undefined)[] = [
    atLeastOne(facts.paidTwice, (n) => ({
      kind: 'paid-twice',
      what: `${plural(n, 'row was', 'rows were')} paid twice: cancel one of the tasks at the provider, or use both`,
      command: 'vidbatch uncertain',
    })),
    ...facts.sharedTasks.map(({ batch, rows }): Attention => ({
      kind: 'task-shared',
      what: `${plural(rows, 'row')} of batch ${batch} ${either(rows, 'has', 'have')} the task id of another row: the provider gave both one task, and one of them may have no video`,
      command: 'vidbatch verify',
      batch,
    })),
    ...facts.halts.map(({ origin, code, reason, raisedAt, rows }): Attention => ({
      kind: 'halted',
      what: `nothing has been sent to ${origin} for ${age(raisedAt)}: ${code}: ${oneLine(reason, 200)}; ${rowsWait(rows)}`,
      command: 'vidbatch resume',
    })),
    atLeastOne(unfed, (n) => ({
      kind: 'no-worker',
      what: facts.someAlive
        ? `the workers that are alive send only other batches, or to another provider: ${rowsWait(n)}`
        : `no worker is alive${facts.lastWorker === null ? '' : `, the last one was seen ${ago(facts.lastWorker)}`}: ${rowsWait(n)}`,
      command: 'vidbatch work',
    })),
    // Rows without a worker say the same, and more.
    ...(unfed > 0 ? [] : facts.silent).map(({ host, pid, seenAt }): Attention => ({
      kind: 'silent-worker',
      what: `the worker on ${oneLine(host, 200)} with pid ${pid} has given no sign of life for ${age(seenAt)}`,
      command: 'vidbatch workers',
    })),
    atLeastOne(facts.uncertain, (n) => ({
      kind: 'uncertain',
      what: `${plural(n, 'row')} may have been paid${formatCost(facts)}${facts.oldestUncertain === null ? '' : `; the oldest is ${age(facts.oldestUncertain)} old`}`,
      command: 'vidbatch uncertain',
    })),
    ...facts.stopped.map(({ batch, reason, rows }): Attention => ({
      kind: 'stopped',
      what: `batch ${batch} has stopped: ${oneLine(reason, 200)}; ${rowsWait(rows)}`,
      command: `vidbatch resume ${quoted(batch)}`,
      batch,
    })),
    ...facts.spent.map(({ batch, budget, currency, rows }): Attention => ({
      kind: 'budget-used',
      what: `${formatBudgetUsed(batch, { budget, currency })}: ${rowsWait(rows)}`,
      command: `vidbatch status ${quoted(batch)}`,
      batch,
    })),
    ...facts.failedSchedules.map(({ schedule, reason, at }): Attention => ({
      kind: 'schedule-failed',
      what: `the last run of schedule ${schedule} failed ${ago(at)}: ${oneLine(reason, 200)}`,
      command: `vidbatch schedule show ${quoted(schedule)}`,
      schedule,
    })),
    ...facts.dying.map(({ batch, videos, firstAt }): Attention => ({
      kind: 'urls-die',
      what: `the ${either(videos, 'URL', 'URLs')} of ${plural(videos, 'video')} of batch ${batch} ${either(videos, 'expires', 'expire')} within ${SOON.words}, the first in ${formatDistance(new Date(firstAt).getTime() - now)}`,
      command: `vidbatch download ${quoted(batch)}`,
      batch,
    })),
    ...facts.failedTasks.map(({ batch, tasks }): Attention => ({
      kind: 'tasks-failed',
      what: `${plural(tasks, 'task')} of batch ${batch} failed within ${NEWS.words}; to make ${either(tasks, 'it', 'them')} again is paid again`,
      command: `vidbatch failures ${quoted(batch)}`,
      batch,
    })),
    ...facts.untold.map(({ place, notices, events, failure, at }): Attention => ({
      kind: 'not-notified',
      what: `${plural(notices, 'notification')} to ${place} ${either(notices, 'was', 'were')} given up, the last ${ago(at)}: ${failure}; not told: ${events.join(', ')}. Correct the URL of --notify, and test it`,
      command: 'vidbatch notify test',
    })),
  ];
  return all.filter((one) => one !== undefined);
}

function atLeastOne(n: number, tell: (n: number) => Attention): Attention | undefined {
  return n === 0 ? undefined : tell(n);
}

export function formatBudgetUsed(
  batch: string,
  { budget, currency }: Pick<SpentBatch, 'budget' | 'currency'>,
): string {
  return `the budget of batch ${batch}, ${formatMoney({ amount: amountOf(budget), currency })}, is used up`;
}

function rowsWait(rows: number): string {
  return plural(rows, 'row waits', 'rows wait');
}

function formatCost({ uncertainCost, uncertainUnpriced }: AttentionFacts): string {
  if (uncertainCost.length === 0) return '';
  const totals = uncertainCost.map(({ amount, currency }) => ({ amount: amountOf(amount), currency }));
  return `, ${formatMost({ totals, unknown: uncertainUnpriced })}`;
}
