import { formatMoney } from '../core/money/money.ts';
import { remakeLine } from '../core/next-step.ts';
import { oneLine, quoted } from '../core/text.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import { amountOf } from '../ledger/money/budget.ts';
import { readAttentionFacts } from '../ledger/read/attention.ts';
import type { AttentionFacts } from '../ledger/read/attention.ts';

/** One thing that needs a person, with what helps. */
export interface Attention {
  kind:
    | 'paid-twice'
    | 'halted'
    | 'no-worker'
    | 'uncertain'
    | 'stopped'
    | 'schedule-failed'
    | 'urls-die'
    | 'tasks-failed';
  /** One line: what happened, and what it costs. */
  what: string;
  /** A command, as a shell takes it. */
  command: string;
  /** The batch that it is about, where it is about one. */
  batch?: string;
}

/** What needs a person, the worst first. Empty: nothing does. */
export async function readAttention(db: Queryable, now = Date.now()): Promise<Attention[]> {
  return attentionOf(await readAttentionFacts(db), now);
}

/** The order is that of the money at stake: paid for nothing, then all rows stand still, then one batch, then videos. */
export function attentionOf(facts: AttentionFacts, now: number): Attention[] {
  const age = (time: string | Date): string => formatDuration(now - new Date(time).getTime());
  const ago = (time: string | Date): string => `${age(time)} ago`;
  return [
    ...(facts.paidTwice === 0
      ? []
      : [
          {
            kind: 'paid-twice' as const,
            what: `${plural(facts.paidTwice, 'row was', 'rows were')} paid twice: cancel one of the tasks at the provider, or use both`,
            command: 'vidbatch uncertain',
          },
        ]),
    ...facts.halts.map(({ origin, code, reason, raisedAt, rows }) => ({
      kind: 'halted' as const,
      what: `nothing has been sent to ${origin} for ${age(raisedAt)}: ${code}: ${oneLine(reason, 200)}; ${plural(rows, 'row waits', 'rows wait')}`,
      command: 'vidbatch resume',
    })),
    ...(facts.unfed === 0
      ? []
      : [
          {
            kind: 'no-worker' as const,
            what: `no worker is alive${facts.lastWorker === null ? '' : `, the last one was seen ${ago(facts.lastWorker)}`}: ${plural(facts.unfed, 'row waits', 'rows wait')}`,
            command: 'vidbatch work',
          },
        ]),
    ...(facts.uncertain === 0
      ? []
      : [
          {
            kind: 'uncertain' as const,
            what: `${plural(facts.uncertain, 'row')} may have been paid${formatCost(facts)}${facts.oldestUncertain === null ? '' : `; the oldest is ${age(facts.oldestUncertain)} old`}`,
            command: 'vidbatch uncertain',
          },
        ]),
    ...facts.stopped.map(({ batch, reason, rows }) => ({
      kind: 'stopped' as const,
      what: `batch ${batch} has stopped: ${oneLine(reason, 200)}; ${plural(rows, 'row waits', 'rows wait')}`,
      command: `vidbatch resume ${quoted(batch)}`,
      batch,
    })),
    ...facts.failedSchedules.map(({ schedule, reason, at }) => ({
      kind: 'schedule-failed' as const,
      what: `the last run of schedule ${schedule} failed ${ago(at)}: ${oneLine(reason, 200)}`,
      command: `vidbatch schedule show ${quoted(schedule)}`,
    })),
    ...facts.dying.map(({ batch, videos, firstAt }) => ({
      kind: 'urls-die' as const,
      what: `the ${videos === 1 ? 'URL' : 'URLs'} of ${plural(videos, 'video')} of batch ${batch} ${videos === 1 ? 'dies' : 'die'} within six hours, the first in ${formatDuration(new Date(firstAt).getTime() - now)}`,
      command: `vidbatch download ${quoted(batch)}`,
      batch,
    })),
    ...facts.failedTasks.map(({ batch, tasks }) => ({
      kind: 'tasks-failed' as const,
      what: `${plural(tasks, 'task')} of batch ${batch} failed within the last day; to make ${tasks === 1 ? 'it' : 'them'} again is paid again: ${remakeLine(batch)}`,
      command: `vidbatch failures ${quoted(batch)}`,
      batch,
    })),
  ];
}

function formatCost({ uncertainCost }: AttentionFacts): string {
  if (uncertainCost.length === 0) return '';
  const amounts = uncertainCost.map(({ amount, currency }) =>
    formatMoney({ amount: amountOf(amount), currency }),
  );
  return `, at most ${amounts.join(' and ')}`;
}

/** For a terminal. */
export function formatAttention(all: readonly Attention[]): string[] {
  if (all.length === 0) return ['nothing needs attention'];
  return [
    `${formatCount(all.length)} ${all.length === 1 ? 'thing needs' : 'things need'} attention:`,
    ...all.map(({ what, command }) => `  ${what}\n    ${command}`),
  ];
}
