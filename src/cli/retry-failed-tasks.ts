import { defaultSeconds } from '../batch/batch-profile.ts';
import { fitOf, readAllowance, refuseBudget, estimate } from '../batch/estimate.ts';
import type { Estimate } from '../batch/estimate.ts';
import { checkReopening } from '../batch/retry.ts';
import { crashPoint } from '../core/crash-points.ts';
import { usageError } from '../core/errors.ts';
import { formatMoney } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';
import { nextStep } from '../core/next-step.ts';
import { operator } from '../core/operator.ts';
import { quoted } from '../core/text.ts';
import { plural } from '../core/units.ts';
import { transaction } from '../database/database.ts';
import type { Database } from '../database/database.ts';
import { logEvent } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { readRemakable, remakeFailed } from '../ledger/operator/retry-failed-tasks.ts';
import type { Remakable } from '../ledger/operator/retry-failed-tasks.ts';
import { requireRow } from '../operate/row-life.ts';
import { formatReasons } from '../operate/summary.ts';
import { confirm } from './io.ts';
import type { Io } from './io.ts';
import type { Retried } from './retry.ts';

interface Options {
  /** Null: every failed task. */
  keys: readonly string[] | null;
  prices: Prices;
  /** Whether a person has agreed already. */
  yes: boolean;
}

/**
 * `retry --failed-tasks`: makes rows again whose task failed at the provider. This pays a second time, so the command shows
 * the price and asks. Without a terminal it needs --yes.
 */
export async function retryFailedTasks(
  db: Database,
  batch: Batch,
  { keys, prices, yes }: Options,
  io: Io,
): Promise<Retried> {
  for (const key of keys ?? []) await checkFailed(db, batch, key);
  const seconds = await defaultSeconds(db, batch);
  const found = await readRemakable(db, batch.id, keys, seconds);
  const total = found.groups.reduce((sum, { toSend }) => sum + toSend, 0);
  if (total > 0) {
    const rest = await readAllowance(db, { batchId: batch.id }, undefined);
    const refused =
      rest && refuseBudget({ batch: batch.name, groups: asGroups(found) }, prices, rest.budget.currency);
    if (refused !== undefined) throw refused;
    const isShort = rest !== undefined && fitOf(prices, asGroups(found), rest) !== 'all';
    const question = formatQuestion(batch.name, total, found, estimate(prices, found.groups), isShort);
    if (yes) io.err(question);
    else await confirm(io, `${question}. Pay for ${total === 1 ? 'it' : 'them'} again?`);
  }
  const remake = (): Promise<number> =>
    transaction(db, async (session) => {
      await checkReopening(session, batch, keys === null ? {} : { keys });
      const who = operator();
      const moved = await remakeFailed(session, batch.id, { keys, asOf: found.asOf, who, prices, seconds });
      crashPoint('rows-retried');
      await logEvent(session, 'retry --failed-tasks', plural(moved, 'row'), batch.id, who);
      return moved;
    });
  const rows = total === 0 ? 0 : await remake();
  return {
    text: formatResult(batch, rows, found),
    json: { batch: batch.name, retried: rows, otherwise: found.otherwise, another: found.another },
  };
}

/** A key of a row whose task did not fail is a mistake, which a count alone would hide. */
async function checkFailed(db: Database, batch: Batch, key: string): Promise<void> {
  const row = await requireRow(db, batch, key);
  if (row.state === 'submitted' && row.providerStatus === 'failed') return;
  const task = row.taskId === null ? '' : `, its task is ${row.providerStatus ?? 'not polled yet'}`;
  throw usageError(
    'TASK_NOT_FAILED',
    `${batch.name} ${key} is ${row.state}${task}: only a task that failed is made again; nothing was changed`,
    `Next: ${nextStep(row)}.`,
  );
}

/** The failed rows in the form that `fitOf` needs: groups of rows, as a manifest has them. */
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

/** `nianhuo: 21 tasks failed (18 InternalServiceFailure · 3 Timeout); making them again costs at most 10.50 CNY` */
export function formatQuestion(
  batch: string,
  tasks: number,
  { reasons }: Pick<Remakable, 'reasons'>,
  { totals, unknown }: Estimate,
  isShort: boolean,
): string {
  const known = totals.map(formatMoney).join(' and ');
  const cost =
    unknown === 0
      ? `costs at most ${known}`
      : known === ''
        ? 'costs an unknown amount (--prices FILE gives the prices)'
        : `costs at most ${known} for ${plural(tasks - unknown, 'row')}, and an unknown amount for ${plural(unknown, 'row')}`;
  const limit = isShort ? ', as far as the budget goes' : '';
  const them = tasks === 1 ? 'it' : 'them';
  return `${batch}: ${plural(tasks, 'task')} failed (${formatReasons(reasons)}); making ${them} again ${cost}${limit}`;
}

function formatResult({ name }: Batch, rows: number, { otherwise, another }: Remakable): string {
  const parts = [
    rows === 0
      ? 'nothing to make again: no failed task'
      : `${plural(rows, 'row is', 'rows are')} pending again, and will be paid again; \`vidbatch work --drain\` or \`vidbatch run\` sends ${rows === 1 ? 'it' : 'them'}`,
  ];
  if (otherwise > 0) {
    const [task, it] = otherwise === 1 ? ['its task', 'it'] : ['their tasks', 'them'];
    parts.push(
      `${plural(otherwise, 'row')} left alone: the provider no longer calls ${task} failed; \`vidbatch verify ${quoted(name)}\` lists ${it}`,
    );
  }
  if (another > 0) {
    parts.push(
      `${plural(another, 'row')} left alone: a second task has not failed, or a later request may have been accepted; \`vidbatch explain ${quoted(name)} KEY\` shows what was sent`,
    );
  }
  return parts.join('; ');
}
