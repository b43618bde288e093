import { crashPoint } from '../core/crash-points.ts';
import { usageError } from '../core/errors.ts';
import type { VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { nextStep } from '../core/next-step.ts';
import type { State } from '../core/states.ts';
import { quoted } from '../core/text.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../ledger/operator/resolve.ts';
import type { Moved, Said, Seen } from '../ledger/operator/resolve.ts';
import { countChosen } from '../ledger/read/uncertain.ts';
import { logAccepted } from '../worker/row-log.ts';
import { requireRow } from './row-life.ts';

/** What a person decides about an uncertain row. */
export type Decision = { kind: 'task-id'; taskId: string } | { kind: 'not-sent' } | { kind: 'abandon' };

export interface Resolved {
  state: Extract<State, 'submitted' | 'pending' | 'cancelled' | 'abandoned'>;
  /** Only of a submitted row. */
  taskId?: string;
}

/**
 * Settles one uncertain row by what a person knows of it. The key must be the whole one.
 * @throws VidbatchError exit 2 when the row is not uncertain, the task id is another row's, or a row is called not sent
 *   while an answer may still come.
 */
export async function resolveRow(
  db: Queryable,
  batch: Batch,
  key: string,
  decision: Decision,
  said: Said,
  log: Logger,
): Promise<Resolved> {
  const row = await requireRow(db, batch, key, keyHint(batch));
  const choice = { batchId: batch.id, submissionId: row.id };
  const counted = await countChosen(db, choice);
  if (counted.rows === 0) throw await notUncertain(db, batch, key);
  const seen = { ...choice, asOf: counted.asOf };
  if (decision.kind === 'not-sent' && counted.waiting > 0)
    throw tooEarly(`${batch.name} ${key}`, counted.until);
  if (decision.kind !== 'task-id') {
    const state = stateOf(await resolveRows(db, decision, seen, said));
    if (state === undefined) throw await notUncertain(db, batch, key);
    return { state };
  }
  const { taskId } = decision;
  const accepted = await resolveAccepted(db, seen, taskId, said);
  crashPoint('row-resolved');
  if (accepted.kind === 'taken') {
    throw usageError(
      'TASK_ID_TAKEN',
      `task ${taskId} belongs to row ${accepted.key} of batch ${accepted.batch}: a task belongs to one row`,
      `\`vidbatch explain ${quoted(accepted.batch)} ${quoted(accepted.key)}\` shows it. Nothing was changed.`,
    );
  }
  if (accepted.kind === 'moved') throw await notUncertain(db, batch, key);
  const { attemptId, number: attempt } = accepted;
  logAccepted(log, { batch: batch.name, key, attempt, attemptId, taskId, surplus: false, by: 'resolve' });
  return { state: 'submitted', taskId };
}

/** Settles the rows that a person has seen. Rows that have moved since stay as they are. */
export async function resolveRows(
  db: Queryable,
  decision: Exclude<Decision, { kind: 'task-id' }>,
  seen: Seen,
  said: Said,
): Promise<Moved> {
  const moved = await (decision.kind === 'not-sent' ? resolveNotSent : resolveAbandon)(db, seen, said);
  crashPoint('row-resolved');
  return moved;
}

/** Where the rows went; undefined: none was moved. */
export function stateOf(moved: Moved): keyof Moved | undefined {
  return (['cancelled', 'pending', 'abandoned'] as const).find((state) => moved[state] > 0);
}

/** An answer may still come. A row that is called not sent too early could be paid twice. */
export function tooEarly(what: string, until: Date | null): VidbatchError {
  return usageError(
    'BEFORE_DEADLINE',
    `${what}: an answer may still come until ${until?.toISOString() ?? 'the deadline'}; until then a row cannot be called not sent`,
    'Try again then; --task-id and --abandon are possible now.',
  );
}

async function notUncertain(db: Queryable, batch: Batch, key: string): Promise<VidbatchError> {
  const row = await requireRow(db, batch, key, keyHint(batch));
  const task = row.taskId === null ? '' : `, task ${row.taskId}`;
  return usageError(
    'NOT_UNCERTAIN',
    `${batch.name} ${key} is ${row.state}${task}: only an uncertain row is resolved`,
    `Next: ${nextStep(row)}.`,
  );
}

function keyHint({ name }: Batch): string {
  return `\`vidbatch uncertain ${quoted(name)}\` lists the rows that can be resolved.`;
}
