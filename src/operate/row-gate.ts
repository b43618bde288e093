import { priceHint, raiseHint } from '../batch/budget.ts';
import { isOffPeak } from '../core/model.ts';
import { nextStep } from '../core/next-step.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readBudget } from '../ledger/money/budget.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { readGates } from './gate.ts';
import type { Gate } from './gate.ts';

/** Every shut gate of a row that waits. */
export async function readGatesOf(
  db: Queryable,
  batch: Batch,
  row: Pick<SubmissionView, 'model' | 'price'>,
  origin?: string,
): Promise<Gate[]> {
  const gates = (await readGates(db, batch, origin)).filter((gate) => concerns(gate, row));
  const budget = await readBudget(db, batch.id);
  if (budget === null || row.price?.currency === budget.currency) return gates;
  // Others of its batch may go; this one may not, however high the budget is.
  const reason = `its price is not known, and its batch has a budget; ${priceHint(batch)}`;
  return [...gates.filter(({ gate }) => gate !== 'budget'), { gate: 'budget', reason }];
}

/** A gate of other rows of its batch is none of this one. */
function concerns({ gate, only }: Gate, { model }: Pick<SubmissionView, 'model'>): boolean {
  return gate !== 'not-before' && (only === undefined || (model !== null && isOffPeak(model)));
}

/** What a person would do now about a row with these gates. */
export function nextStepOf(
  row: SubmissionView,
  batch: Pick<Batch, 'name' | 'source'>,
  gates: readonly Gate[],
): string {
  const isShut = (name: Gate['gate']): boolean => gates.some(({ gate }) => gate === name);
  if (isShut('budget')) return (row.price === null ? priceHint : raiseHint)(batch);
  if (isShut('window')) return 'nothing: it is sent when its gates are open, while a worker runs';
  return nextStep(row);
}

/** `until 2026-11-25T15:00:00.000Z`: the time of its own that a pending row waits for; undefined: it waits for none. */
export function ownTime({ state, notBefore }: SubmissionView): string | undefined {
  if (state !== 'pending' || notBefore === null || notBefore.getTime() <= Date.now()) return undefined;
  return `until ${notBefore.toISOString()}`;
}
