import type { Estimate } from '../batch/estimate.ts';
import { formatMoney, sums, type Money } from '../core/money/money.ts';
import type { State } from '../core/states.ts';
import { plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import { readStake, type StakeGroup } from '../ledger/read/stake.ts';

interface Waiting {
  rows: number;
  cost: Estimate;
}

/** What an operator's act concerns: rows and money. */
export interface Stake {
  /** Rows that may still be sent, and what that can cost at most. */
  waiting: Waiting;
  /** The same by model. */
  models: (Waiting & { model: string })[];
  /** Rows whose request has left. No act stops them. */
  inFlight: Held;
  /** Rows that may have been paid. */
  uncertain: Held;
  /** Rows that are paid. */
  paid: Held;
}

/** Rows, what is spent or may be spent for them, and how many of them have no known price. */
export interface Held {
  rows: number;
  held: Money[];
  unpriced: number;
}

/** `batchId`: null for all batches. `models`: none for all models. */
export async function stakeOf(
  db: Queryable,
  { batchId, models }: { batchId: number | null; models: readonly string[] },
): Promise<Stake> {
  return sumStake(await readStake(db, { batchId, models: models.length === 0 ? null : models }));
}

function sumStake(groups: readonly StakeGroup[]): Stake {
  const of = (state: State): readonly StakeGroup[] => groups.filter((group) => group.state === state);
  const held = (state: State): Held => ({
    rows: count(of(state)),
    held: sums(of(state).flatMap((group) => group.held ?? [])),
    unpriced: unpriced(of(state)),
  });
  return {
    waiting: waitingOf(of('pending')),
    models: [...Map.groupBy(of('pending'), ({ model }) => model ?? '')].map(([model, some]) => ({
      model,
      ...waitingOf(some),
    })),
    inFlight: held('submitting'),
    uncertain: held('uncertain'),
    paid: held('submitted'),
  };
}

function waitingOf(groups: readonly StakeGroup[]): Waiting {
  return { rows: count(groups), cost: costOf(groups) };
}

function count(groups: readonly StakeGroup[]): number {
  return groups.reduce((sum, { rows }) => sum + rows, 0);
}

function costOf(groups: readonly StakeGroup[]): Estimate {
  return {
    totals: sums(groups.flatMap(({ most }) => most ?? [])),
    unknown: unpriced(groups),
  };
}

function unpriced(groups: readonly StakeGroup[]): number {
  return groups.reduce((sum, { rows, priced }) => sum + rows - priced, 0);
}

/** `at most 12.50 CNY`, `at most 12.50 CNY, and an unknown amount for 3 rows`, `an unknown amount` */
export function formatMost({ totals, unknown }: Estimate): string {
  const known = totals.map(formatMoney).join(' and ');
  if (known === '') return unknown === 0 ? 'nothing' : 'an unknown amount';
  return `at most ${known}${unknown === 0 ? '' : `, and an unknown amount for ${plural(unknown, 'row')}`}`;
}
