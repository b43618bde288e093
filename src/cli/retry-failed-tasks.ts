import { fitOf, readAllowance, refuseBudget, estimate } from '../batch/estimate.ts';
import type { Estimate } from '../batch/estimate.ts';
import { checkReopening } from '../batch/retry.ts';
import { crashPoint } from '../core/crash-points.ts';
import { usageError } from '../core/errors.ts';
import { formatMoney } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';
import { nextStep } from '../core/next-step.ts';
import { quoted } from '../core/text.ts';
import { transaction } from '../database/database.ts';
import type { Database } from '../database/database.ts';
import { logEvent } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { findSubmissions } from '../ledger/read/rows.ts';
import { readRemakable, remakeFailed } from '../ledger/operator/retry-failed-tasks.ts';
import type { Remakable } from '../ledger/operator/retry-failed-tasks.ts';
import { formatReasons, rowsOf } from '../operate/summary.ts';
import { confirm } from './io.ts';
import { operator } from '../core/operator.ts';
import type { Io } from './io.ts';

/** What was chosen and agreed to. */
export interface FailedTaskFlags {
  keys: readonly string[] | null;
  prices: Prices;
  yes: boolean;
}

/**
 * `retry --failed-tasks`: rows whose task failed at the provider are to be made again. That pays a second time, so it asks,
 * with the price; without a terminal it needs --yes.
 */
export async function retryFailedTasks(
  db: Database,
  batch: Batch,
  { keys, prices, yes }: FailedTaskFlags,
  io: Io,
): Promise<{ text: string; json: Record<string, unknown> }> {
  await checkFailed(db, batch, keys ?? []);
  const seen = await readRemakable(db, batch.id, keys);
  const total = seen.groups.reduce((sum, { toSend }) => sum + toSend, 0);
  if (total > 0) {
    const rest = await readAllowance(db, { batchId: batch.id }, undefined);
    const refused =
      rest && refuseBudget({ batch: batch.name, groups: asGroups(seen) }, prices, rest.budget.currency);
    if (refused !== undefined) throw refused;
    const short = rest !== undefined && fitOf(prices, asGroups(seen), rest) !== 'all';
    const question = questionOf(batch.name, total, seen, estimate(prices, seen.groups), short);
    if (yes) io.err(question);
    else await confirm(io, `${question}. Pay for ${total === 1 ? 'it' : 'them'} again?`);
  }
  const rows =
    total === 0
      ? 0
      : await transaction(db, async (session) => {
          await checkReopening(session, batch, keys === null ? {} : { keys });
          const who = operator();
          const moved = await remakeFailed(session, batch.id, { keys, asOf: seen.asOf, who, prices });
          crashPoint('rows-retried');
          await logEvent(session, 'retry --failed-tasks', rowsOf(moved), batch.id, who);
          return moved;
        });
  return {
    text: formatRemakable(batch, rows, seen),
    json: { batch: batch.name, retried: rows, otherwise: seen.otherwise, another: seen.another },
  };
}

/** A key that is named and not made again is a mistake, of which a count would say nothing. */
async function checkFailed(db: Database, batch: Batch, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    const row = (await findSubmissions(db, batch.id, key)).find((one) => one.key === key);
    if (row === undefined) {
      throw usageError(
        'NO_SUCH_ROW',
        `batch ${batch.name} has no row with the key ${key}`,
        `\`vidbatch export ${quoted(batch.name)}\` lists them in the column row_key.`,
      );
    }
    if (row.state === 'submitted' && row.providerStatus === 'failed') continue;
    const task = row.taskId === null ? '' : `, its task is ${row.providerStatus ?? 'not asked for yet'}`;
    throw usageError(
      'TASK_NOT_FAILED',
      `${batch.name} ${key} is ${row.state}${task}: only a task that failed is made again; nothing was changed`,
      `Next: ${nextStep(row)}.`,
    );
  }
}

/** The budget's rules ask for groups of a manifest. */
function asGroups({ groups }: Remakable): Parameters<typeof fitOf>[1] {
  return groups.map((group) => ({
    ...group,
    mode: '',
    offPeak: false,
    fresh: 0,
    known: group.toSend,
    changed: 0,
  }));
}

/** `nianhuo: 21 tasks failed (18 InternalServiceFailure · 3 Timeout); to make them again costs at most 10.50 CNY` */
export function questionOf(
  batch: string,
  tasks: number,
  { reasons }: Pick<Remakable, 'reasons'>,
  { totals, unknown }: Estimate,
  short: boolean,
): string {
  const known = totals.map(formatMoney).join(' and ');
  const cost =
    unknown === 0
      ? `costs at most ${known}`
      : known === ''
        ? 'costs an amount that is not known (--prices FILE gives the prices)'
        : `costs at most ${known} for ${rowsOf(tasks - unknown)}, and an amount that is not known for ${rowsOf(unknown)}`;
  const limit = short ? ', as far as the budget goes' : '';
  const them = tasks === 1 ? 'it' : 'them';
  return `${batch}: ${tasks === 1 ? '1 task' : `${tasks.toLocaleString('en')} tasks`} failed (${formatReasons(reasons)}); to make ${them} again ${cost}${limit}`;
}

function formatRemakable({ name }: Batch, rows: number, { otherwise, another }: Remakable): string {
  const parts = [
    rows === 0
      ? 'nothing to make again: no failed task'
      : `${rowsOf(rows)} ${rows === 1 ? 'is' : 'are'} pending again, and will be paid again; \`vidbatch work --drain\` or \`vidbatch run\` sends ${rows === 1 ? 'it' : 'them'}`,
  ];
  if (otherwise > 0) {
    parts.push(
      `${rowsOf(otherwise)} left alone: the provider no longer calls ${otherwise === 1 ? 'its task' : 'their tasks'} failed; \`vidbatch verify ${quoted(name)}\` lists ${otherwise === 1 ? 'it' : 'them'}`,
    );
  }
  if (another > 0) {
    parts.push(
      `${rowsOf(another)} left alone: a second task has not failed, or a later request may have been accepted; \`vidbatch explain ${quoted(name)} KEY\` shows what was sent`,
    );
  }
  return parts.join('; ');
}
