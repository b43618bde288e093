import { defaultSeconds } from '../batch/batch-profile.ts';
import { estimate, fitOf, readAllowance, refuseBudget, type Estimate } from '../batch/estimate.ts';
import { checkReopening } from '../batch/retry.ts';
import { crashPoint } from '../core/crash-points.ts';
import { usageError } from '../core/errors.ts';
import type { Prices } from '../core/money/prices.ts';
import { nextStep } from '../core/next-step.ts';
import { quoted } from '../core/text.ts';
import { plural } from '../core/units.ts';
import { transaction, type Database } from '../database/database.ts';
import { logEvent, type Batch } from '../ledger/batches.ts';
import { readRemakable, remakeFailed, type Remakable } from '../ledger/operator/retry-failed-tasks.ts';
import { requireRow } from './row-life.ts';
import { formatMost } from './stake.ts';
import { formatReasons } from './summary.ts';

/** Which failed tasks a person wants to have made again. */
export interface RemakeChoice {
  /** Null: every failed task. */
  keys: readonly string[] | null;
  prices: Prices;
}

/** What making failed tasks again would do. It pays a second time. */
export interface Remaking {
  tasks: number;
  cost: Estimate;
  /** The budget does not pay for all of them. */
  isShort: boolean;
  found: Remakable;
  seconds: number | undefined;
}

/**
 * Reads what a person must see before failed tasks are paid again.
 * @throws VidbatchError exit 2 for a key whose task did not fail, and where the budget cannot hold the rows.
 */
export async function readRemaking(
  db: Database,
  batch: Batch,
  { keys, prices }: RemakeChoice,
): Promise<Remaking> {
  for (const key of keys ?? []) await checkFailed(db, batch, key);
  const seconds = await defaultSeconds(db, batch);
  const found = await readRemakable(db, batch.id, keys, seconds);
  const tasks = found.groups.reduce((sum, { toSend }) => sum + toSend, 0);
  const rest = tasks === 0 ? undefined : await readAllowance(db, { batchId: batch.id }, undefined);
  const refused =
    rest && refuseBudget({ batch: batch.name, groups: asGroups(found) }, prices, rest.budget.currency);
  if (refused !== undefined) throw refused;
  const isShort = rest !== undefined && fitOf(prices, asGroups(found), rest) !== 'all';
  return { tasks, cost: estimate(prices, found.groups), isShort, found, seconds };
}

/** The rows become pending again, and are paid again. Tasks that failed after they were read stay as they are. */
export async function remakeTasks(
  db: Database,
  who: string,
  batch: Batch,
  { keys, prices }: RemakeChoice,
  { tasks, found, seconds }: Remaking,
): Promise<number> {
  if (tasks === 0) return 0;
  return transaction(db, async (session) => {
    await checkReopening(session, batch, keys === null ? {} : { keys });
    const moved = await remakeFailed(session, batch.id, {
      keys,
      asOf: found.asOf,
      who,
      prices,
      ...(seconds === undefined ? {} : { seconds }),
    });
    crashPoint('rows-retried');
    await logEvent(session, 'retry --failed-tasks', plural(moved, 'row'), batch.id, who);
    return moved;
  });
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
export function formatRemaking(batch: string, { tasks, cost, isShort, found }: Remaking): string {
  const hint = cost.totals.length === 0 && cost.unknown > 0 ? ' (--prices FILE gives the prices)' : '';
  const limit = isShort ? ', as far as the budget goes' : '';
  const them = tasks === 1 ? 'it' : 'them';
  return `${batch}: ${plural(tasks, 'task')} failed (${formatReasons(found.reasons)}); making ${them} again costs ${formatMost(cost)}${hint}${limit}`;
}

export function formatRemade({ name }: Batch, rows: number, { otherwise, another }: Remakable): string {
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
