import { usageError } from '../core/errors.ts';
import type { ModelNames } from '../core/rate/rate-limits.ts';
import { likely } from '../core/suggestion.ts';
import { quoted } from '../core/text.ts';
import type { TellTime } from '../core/time/tell-time.ts';
import { formatCount } from '../core/units.ts';
import type { Database } from '../database/database.ts';
import { countOpen, listBatches, type Batch } from '../ledger/batches.ts';
import { cancelBy, pauseBy, resumeBy } from '../ledger/operator/pause.ts';
import { findUnusedModels, pauseModelsBy, resumeModelsBy } from '../ledger/operator/pause-model.ts';
import { readGates, type Gate } from './gates.ts';

/** What an operator pauses or resumes. */
export interface Scope {
  /** Undefined: all batches. */
  batch: Batch | undefined;
  /** Only rows of these models; empty: of all. */
  models: readonly string[];
}

/** `text: model viduq3p-720p`: what an act is about, in words. */
export function formatScope({ batch, models }: Scope): string {
  if (models.length === 0) return batch?.name ?? 'everything';
  return `${batch === undefined ? '' : `${batch.name}: `}model ${models.join(', ')}`;
}

/** @throws VidbatchError exit 2 for a cancelled batch. */
export function checkPausable(batch: Batch | undefined): void {
  if (batch?.state !== 'cancelled') return;
  throw usageError('CANCELLED', `batch ${batch.name} was cancelled: there is nothing to pause`);
}

/** @throws VidbatchError exit 2 for a cancelled batch. */
export function checkResumable(batch: Batch | undefined): void {
  if (batch?.state !== 'cancelled') return;
  throw usageError(
    'CANCELLED',
    `batch ${batch.name} was cancelled`,
    `\`vidbatch retry ${quoted(batch.name)}\` makes its rows pending again.`,
  );
}

/**
 * Stops new claims. Open calls finish.
 * @throws VidbatchError exit 2 for a cancelled batch, and for a model that is neither configured nor in the ledger.
 */
export async function pauseRows(
  db: Database,
  who: string,
  { batch, models }: Scope,
  { why, known }: { why?: string | undefined; known: ModelNames },
): Promise<void> {
  checkPausable(batch);
  if (models.length === 0) {
    await pauseBy(db, who, batch && [batch], why);
    return;
  }
  await checkModels(db, models, known);
  await pauseModelsBy(db, who, { models, batch }, why);
}

/** A pause of a misspelled model would keep no row, and look as if it did. */
async function checkModels(db: Database, models: readonly string[], known: ModelNames): Promise<void> {
  const unused = await findUnusedModels(
    db,
    models.filter((model) => !known.knows(model)),
  );
  const [first] = unused;
  if (first === undefined) return;
  const meant = likely(first, known.names);
  throw usageError(
    'NO_SUCH_MODEL',
    `no row of the ledger has the model ${first}, and the profile does not name it; nothing was paused`,
    meant === undefined
      ? '`vidbatch cost --by model` lists the models of all rows.'
      : `Did you mean ${meant}?`,
  );
}

/** What a resume did, and what still keeps rows. */
export interface Resumed {
  /** Something was paused, or a batch had stopped itself. */
  held: boolean;
  /** The models among the given ones that were not paused there. */
  others: string[];
  /** Halted providers that are probed. */
  trying: string[];
  waiting: (Gate & { name: string })[];
}

/**
 * Lets rows continue. Without a batch and without models, each halted provider is probed with one row. `tell`: how reasons
 * tell moments.
 * @throws VidbatchError exit 2 for a cancelled batch.
 */
export async function resumeRows(
  db: Database,
  who: string,
  { batch, models }: Scope,
  origin: string | undefined,
  tell?: TellTime,
): Promise<Resumed> {
  checkResumable(batch);
  if (models.length === 0) {
    const resumed = await resumeBy(db, who, batch && [batch]);
    return { ...resumed, others: [], waiting: await readStillWaiting(db, { batch, models }, origin, tell) };
  }
  const resumed = await resumeModelsBy(db, who, { models, batch });
  return {
    held: resumed.length > 0,
    others: models.filter((model) => !resumed.includes(model)),
    trying: [],
    waiting: await readStillWaiting(db, { batch, models }, origin, tell),
  };
}

/** The gates that stay shut for rows of this scope. */
async function readStillWaiting(
  db: Database,
  { batch, models }: Scope,
  origin: string | undefined,
  tell: TellTime | undefined,
): Promise<Resumed['waiting']> {
  // The state of a batch may have changed just now.
  const batches = (await listBatches(db)).filter(({ id }) => batch === undefined || id === batch.id);
  const left: Resumed['waiting'] = [];
  for (const one of batches) {
    if (one.state === 'cancelled' || (await countOpen(db, [one.id])) === 0) continue;
    const gates = (await readGates(db, one, origin, tell)).filter(
      ({ gate, model }) =>
        gate !== 'trying' && (models.length === 0 || model === undefined || models.includes(model)),
    );
    left.push(...gates.map((gate) => ({ ...gate, name: one.name })));
  }
  return left;
}

const MOST_WAITING = 10;

/** What a resume did, in lines. */
export function formatResumed(scope: Scope, { held, others, trying, waiting }: Resumed): string[] {
  const { batch, models } = scope;
  const lines: string[] = [];
  const done = models.filter((model) => !others.includes(model));
  if (held) lines.push(`${formatScope({ batch, models: done })}: resumed`);
  else if (models.length === 0)
    lines.push(batch === undefined ? 'there was no pause of all batches' : `${batch.name}: was not paused`);
  if (others.length > 0) {
    const where = batch === undefined ? 'in all batches' : 'in this batch';
    lines.push(`${formatScope({ batch, models: others })}: was not paused ${where}`);
  }
  lines.push(
    ...trying.map(
      (origin) => `${origin} was halted: one row is tried, and the others follow when it is accepted`,
    ),
    ...waiting.slice(0, MOST_WAITING).map(({ name, reason }) => `still waiting: ${name}: ${reason}`),
  );
  const more = waiting.length - MOST_WAITING;
  if (more > 0) lines.push(`still waiting: ${formatCount(more)} more; \`vidbatch status\` shows why`);
  return lines;
}

/** Cancels the pending rows of these batches, and returns how many. Rows in flight finish. */
export async function cancelRows(
  db: Database,
  who: string,
  batches: readonly Pick<Batch, 'id'>[],
): Promise<number> {
  let cancelled = 0;
  for (const batch of batches) cancelled += await cancelBy(db, who, batch);
  return cancelled;
}
