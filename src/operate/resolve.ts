import { crashPoint } from '../core/crash-points.ts';
import { usageError, type VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { nextStep } from '../core/next-step.ts';
import type { State } from '../core/states.ts';
import { quoted } from '../core/text.ts';
import { tellUtc, type TellTime } from '../core/time/tell-time.ts';
import { plural } from '../core/units.ts';
import type { Database, Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import {
  resolveAbandon,
  resolveAccepted,
  resolveNotSent,
  type Moved,
  type Said,
  type Seen,
} from '../ledger/operator/resolve.ts';
import { countChosen, type Choice } from '../ledger/read/uncertain.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { logAccepted } from '../worker/row-log.ts';
import { requireRow } from './row-life.ts';

/** What a person decides about an uncertain row. */
export type Decision = { kind: 'task-id'; taskId: string } | { kind: 'not-sent' } | { kind: 'abandon' };

/** A decision that may be made about many rows. A task belongs to one row. */
export type SharedDecision = Exclude<Decision, { kind: 'task-id' }>;

export interface Resolved {
  state: Extract<State, 'submitted' | 'pending' | 'cancelled' | 'abandoned'>;
  /** Only of a submitted row. */
  taskId?: string;
}

/**
 * Settles one uncertain row by what a person knows of it. The key must be the whole one. `asOf`: when the person saw the
 * evidence, as `Counted.asOf`; by default now. `tell`: how an error tells moments.
 * @throws VidbatchError exit 2 when the row is not uncertain or has changed since, the task id is another row's, or a row
 *   is called not sent while an answer may still come.
 */
export async function resolveRow(
  db: Database,
  batch: Batch,
  key: string,
  decision: Decision,
  said: Said,
  log: Logger,
  { asOf, tell }: { asOf?: string | undefined; tell?: TellTime | undefined } = {},
): Promise<Resolved> {
  const row = await requireRow(db, batch, key, keyHint(batch));
  const choice = { batchId: batch.id, submissionId: row.id };
  const counted = await countChosen(db, choice);
  if (counted.rows === 0) throw await notUncertain(db, batch, key, decision);
  const seen = { ...choice, asOf: asOf ?? counted.asOf };
  if (decision.kind === 'not-sent' && counted.waiting > 0)
    throw tooEarly(`${batch.name} ${key}`, counted.until, tell);
  if (decision.kind !== 'task-id') {
    const state = stateOf(await resolveRows(db, decision, seen, said));
    if (state === undefined) throw await notUncertain(db, batch, key, decision);
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
  if (accepted.kind === 'moved') throw await notUncertain(db, batch, key, decision);
  const { attemptId, number: attempt } = accepted;
  logAccepted(log, { batch: batch.name, key, attempt, attemptId, taskId, surplus: false, by: 'resolve' });
  return { state: 'submitted', taskId };
}

/** The rows that a person agreed to settle. A row whose deadline passed while they were asked is not among them. */
export function agreedRows(
  batch: Batch,
  choice: Omit<Choice, 'batchId'>,
  { kind }: SharedDecision,
  asOf: string,
): Seen {
  return { ...choice, batchId: batch.id, asOf, ...(kind === 'not-sent' && { readyAt: asOf }) };
}

/** Settles the rows that a person has seen. Rows that have moved since stay as they are. */
export async function resolveRows(
  db: Database,
  decision: SharedDecision,
  seen: Seen,
  said: Said,
): Promise<Moved> {
  const moved = await (decision.kind === 'not-sent' ? resolveNotSent : resolveAbandon)(db, seen, said);
  crashPoint('row-resolved');
  return moved;
}

/** What a decision about the chosen rows would do now. */
export interface Preview {
  rows: number;
  /** Rows that it would settle: all but those that must wait. */
  ready: number;
  /** Rows that must wait for their deadline, and the last of these deadlines. */
  early: number;
  until: Date | null;
  /** When the rows were counted, as `Seen` needs it. */
  asOf: string;
}

/**
 * Counts the rows before a person agrees to settle them.
 * @throws VidbatchError exit 2 when no row can be settled before its deadline.
 */
export async function previewResolve(
  db: Queryable,
  batch: Batch,
  choice: Omit<Choice, 'batchId'>,
  decision: SharedDecision,
  tell?: TellTime,
): Promise<Preview> {
  const { rows, waiting, until, asOf } = await countChosen(db, { ...choice, batchId: batch.id });
  const early = decision.kind === 'not-sent' ? waiting : 0;
  if (early > 0 && early === rows)
    throw tooEarly(`${batch.name}: ${plural(early, 'uncertain row')}`, until, tell);
  return { rows, ready: rows - early, early, until, asOf };
}

/** Where the rows went; undefined: none was moved. */
export function stateOf(moved: Moved): keyof Moved | undefined {
  return (['cancelled', 'pending', 'abandoned'] as const).find((state) => moved[state] > 0);
}

/** An answer may still come. A row that is called not sent too early could be paid twice. */
function tooEarly(what: string, until: Date | null, tell: TellTime = tellUtc): VidbatchError {
  return usageError(
    'BEFORE_DEADLINE',
    `${what}: an answer may still come until ${until === null ? 'the deadline' : tell(until)}; until then a row cannot be called not sent`,
    'Try again then; --task-id and --abandon are possible now.',
  );
}

/**
 * The rule for task ids in answers: a task id must be storable. `name`: of the flag or the field.
 * @throws VidbatchError exit 2
 */
export function checkTaskId(name: string, text: string): string {
  const taskId = text.trim();
  if (/^[^\p{Cc}\p{Cs}]{1,512}$/u.test(taskId)) return taskId;
  throw usageError('BAD_TASK_ID', `${name}: not a text of 1 to 512 printable characters`);
}

/** @throws VidbatchError exit 2 without a reason. */
export function checkReason(name: string, text: string): string {
  if (text.trim() !== '') return text.trim();
  throw usageError('NO_REASON', `${name}: say how you know`, 'The reason is kept with the row.');
}

async function notUncertain(
  db: Queryable,
  batch: Batch,
  key: string,
  decision: Decision,
): Promise<VidbatchError> {
  const row = await requireRow(db, batch, key, keyHint(batch));
  if (row.state === 'uncertain') {
    return usageError(
      'CHANGED_MEANWHILE',
      `${batch.name} ${key} has changed since you saw its evidence: nothing was changed`,
      'Look at the evidence again.',
    );
  }
  const task = row.taskId === null ? '' : `, task ${row.taskId}`;
  return usageError(
    'NOT_UNCERTAIN',
    `${batch.name} ${key} is ${row.state}${task}: only an uncertain row is resolved`,
    (decision.kind === 'task-id' && row.taskId === null && againstPaying(row)) || `Next: ${nextStep(row)}.`,
  );
}

/** States from which a person sends a row again. */
const TAKEN_UP_AGAIN: readonly State[] = ['rejected', 'invalid', 'exhausted', 'cancelled'];

/** A person who has found a task of this row must not be told to send it. Undefined: the state says nothing else. */
function againstPaying(row: SubmissionView): string | undefined {
  const batch = quoted(row.batch);
  if (row.state === 'pending')
    return `If the task is of this row, the row must not be sent again: \`vidbatch pause ${batch}\`, take the row out of the manifest, and \`vidbatch submit <manifest> --batch ${batch} --prune\` cancels it. Then \`vidbatch resume ${batch}\`.`;
  if (TAKEN_UP_AGAIN.includes(row.state))
    return 'If the task is of this row, do not send the row again: it would be paid twice. Fetch the video at the provider.';
  return undefined;
}

function keyHint({ name }: Batch): string {
  return `\`vidbatch uncertain ${quoted(name)}\` lists the rows that can be resolved.`;
}
