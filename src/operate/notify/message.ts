import { moneyJson } from '../../core/money/money.ts';
import { oneLine, quoted } from '../../core/text.ts';
import { formatCount, plural } from '../../core/units.ts';
import type { Cost } from '../../ledger/money/costs.ts';
import type { NewUncertain } from '../../ledger/notify/new-uncertain.ts';
import type { NoticeEvent } from '../../ledger/notify/notices.ts';
import type { BatchNumbers } from '../../ledger/read/batch-numbers.ts';
import type { CountedTrouble } from '../../ledger/read/trouble.ts';
import { formatBudgetUsed } from '../attention.ts';
import { formatHaltCode } from '../gates.ts';
import { formatSums, isSome, sumCosts } from '../cost.ts';
import { formatTasks, receipt, totalOf } from '../summary.ts';

/** What a target reads about an event. It holds no prompt, no key of the provider, and no text that a provider wrote. */
export interface Message {
  event: NoticeEvent | 'test';
  /** One line for a person. */
  text: string;
  /** What to do next, as a shell takes it. */
  command: string;
  /** The same for programs. */
  data: Record<string, unknown>;
}

/** A message about something that lasts, and what it is about. */
export interface LastingMessage extends Message {
  event: NoticeEvent;
  subject: string;
}

/** More batches without a worker are not named. */
const MOST_UNFED = 10;

/** Longer names are cut. */
const LONGEST_NAME = 200;

const short = (name: string): string => oneLine(name, LONGEST_NAME);

/** A provider may put any text where its code belongs. */
const codeOf = (code: string | null): string =>
  code !== null && /^[\w.:-]{1,60}$/.test(code) ? code : 'unknown';

export function batchDone(batch: string, { counts, surplus }: BatchNumbers, costs: readonly Cost[]): Message {
  const rows = totalOf(counts);
  const spent = sumCosts(costs, ({ spent: amount }) => amount).filter(isSome);
  const atRisk = sumCosts(costs, ({ atRisk: amount }) => amount).filter(isSome);
  const money = [
    ...(spent.length === 0 ? [] : [`spent ${formatSums(spent, ' and ')}`]),
    ...(atRisk.length === 0 ? [] : [`at risk ${formatSums(atRisk, ' and ')}`]),
  ];
  return {
    event: 'batch-done',
    text: `batch ${short(batch)} is done: ${[receipt({ rows, counts, taskIds: counts.submitted, surplus }), ...money].join(' · ')}`,
    command:
      counts.uncertain > 0 ? `vidbatch uncertain ${quoted(batch)}` : `vidbatch status ${quoted(batch)}`,
    data: {
      batch,
      rows,
      counts,
      taskIds: counts.submitted,
      failed: counts.rejected + counts.exhausted + counts.invalid,
      uncertain: counts.uncertain,
      surplus,
      spent: spent.map(moneyJson),
      atRisk: atRisk.map(moneyJson),
    },
  };
}

export function videosDone(batch: string, { tasks }: BatchNumbers): Message {
  const command = tasks.failed > 0 ? 'failures' : 'download';
  return {
    event: 'videos-done',
    text: `the videos of batch ${short(batch)} are done: ${formatTasks(tasks)}`,
    command: `vidbatch ${command} ${quoted(batch)}`,
    data: { batch, tasks },
  };
}

export function rowsUncertain({ batches }: NewUncertain): Message {
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  const named = batches.slice(0, 5).map(({ batch, rows: n }) => `${formatCount(n)} of ${short(batch)}`);
  const more =
    batches.length > 5 ? ` and of ${plural(batches.length - 5, 'other batch', 'other batches')}` : '';
  return {
    event: 'rows-uncertain',
    text: `${plural(rows, 'row')} may have been paid, and ${rows === 1 ? 'is' : 'are'} not sent again: ${named.join(', ')}${more}`,
    command: 'vidbatch uncertain',
    data: { rows, batches: batches.slice(0, 20) },
  };
}

/** Everything that lasts now, except a missing worker: one look is not enough to know that. */
export function lastingOf({ halts, stopped, spent, failedSchedules }: CountedTrouble): LastingMessage[] {
  return [
    ...halts.map(({ id, origin, code, httpStatus, raisedAt }) => ({
      event: 'provider-halted' as const,
      subject: id,
      text: `nothing is sent to ${short(origin)} any more: it was halted with ${formatHaltCode({ code: codeOf(code), httpStatus })}`,
      command: 'vidbatch status',
      data: { origin, code: codeOf(code), httpStatus, at: raisedAt },
    })),
    ...stopped.map(({ id, batch, code }) => ({
      event: 'batch-stopped' as const,
      subject: id,
      text: `batch ${short(batch)} has stopped itself: ${codeOf(code)}`,
      command: `vidbatch status ${quoted(batch)}`,
      data: { batch, code: codeOf(code) },
    })),
    ...spent.map(({ id, batch, rows, budget, currency }) => ({
      event: 'budget-used-up' as const,
      subject: id,
      text: `${formatBudgetUsed(short(batch), { budget, currency })}: ${plural(rows, 'row is', 'rows are')} not sent`,
      command: `vidbatch status ${quoted(batch)}`,
      data: { batch, rows, budget: { amount: budget, currency } },
    })),
    ...failedSchedules.map(({ id, schedule, batch, code, at }) => ({
      event: 'schedule-failed' as const,
      subject: id,
      text: `the last run of schedule ${short(schedule)} has failed: ${codeOf(code)}`,
      command: `vidbatch schedule show ${quoted(schedule)}`,
      data: { schedule, batch, code: codeOf(code), at },
    })),
  ];
}

export function noWorker({ unfed }: Pick<CountedTrouble, 'unfed'>): LastingMessage {
  const batches = unfed.slice(0, MOST_UNFED).map(({ batch }) => batch);
  return {
    event: 'no-worker',
    subject: '',
    text: `rows wait, and no worker sends them: ${batches.map(short).join(', ')}`,
    command: 'vidbatch work',
    data: { batches },
  };
}

export function testMessage(who: string): Message {
  return {
    event: 'test',
    text: `this is a test of vidbatch by ${short(who)}`,
    command: 'vidbatch status',
    data: { by: short(who) },
  };
}
