import { priceHint, raiseHint } from '../batch/budget.ts';
import { usageError } from '../core/errors.ts';
import { nextStep } from '../core/next-step.ts';
import { expiryOf, isSettled } from '../core/task-status.ts';
import { quoted, shorten } from '../core/text.ts';
import { tellUtc, type TellTime } from '../core/time/tell-time.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import {
  readAttempts,
  readEventLog,
  findSubmissions,
  type AttemptView,
  type LoggedEvent,
  type SubmissionView,
} from '../ledger/read/rows.ts';
import type { Reached } from '../ledger/read/uncertain.ts';
import { readTasks, type TaskView } from '../ledger/tasks/tasks.ts';
import { readRowGates, type Gate } from './gates.ts';

/** One row, with everything that the ledger knows of it. */
export interface RowLife {
  row: SubmissionView;
  batch: Pick<Batch, 'name' | 'source'>;
  tasks: TaskView[];
  /** The HTTP calls, oldest first. */
  attempts: AttemptView[];
  /** What people did, oldest first. */
  trail: LoggedEvent[];
  /** What keeps the row waiting; empty unless it is pending. */
  gates: Gate[];
}

/**
 * The row with exactly this key. A beginning is not enough: of "shot-1" and "shot-10", the wrong row would be changed.
 * @throws VidbatchError exit 2 if there is no such row; `hint` says where to find the keys.
 */
export async function requireRow(
  db: Queryable,
  batch: Batch,
  key: string,
  hint = `\`vidbatch export ${quoted(batch.name)}\` lists them in the column row_key.`,
): Promise<SubmissionView> {
  const found = await findSubmissions(db, batch.id, key);
  const row = found.find((one) => one.key === key);
  if (row !== undefined) return row;
  const near = found.map((one) => one.key).join(', ');
  throw usageError(
    'NO_SUCH_ROW',
    `batch ${batch.name} has no row with the key ${key}`,
    near === '' ? hint : `Give the whole key; there are: ${near}.`,
  );
}

/**
 * `origin`: the provider of this configuration. `lastAttempts`: how many of the newest attempts it reads. `tell`: how the
 * reasons of its gates tell moments.
 */
export async function readRowLife(
  db: Queryable,
  batch: Batch,
  row: SubmissionView,
  {
    origin,
    lastAttempts = null,
    tell,
  }: { origin: string | undefined; lastAttempts?: number | null; tell?: TellTime | undefined },
): Promise<RowLife> {
  return {
    row,
    batch,
    tasks: await readTasks(db, row.id),
    attempts: await readAttempts(db, row.id, lastAttempts),
    trail: await readEventLog(db, row.id),
    gates: row.state === 'pending' ? await readRowGates(db, batch, row, origin, tell) : [],
  };
}

/** The history of a row in words, for `explain` and for the row's page. */
export interface RowText {
  /** `CODE · HTTP 400 · message` */
  error: string | undefined;
  tasks: TaskText[];
  attempts: AttemptText[];
  trail: string[];
  /** The own time (`not_before`) that a pending row waits for. */
  waitsUntil: string | undefined;
  /** What a person can do next. */
  next: string;
}

interface TaskText {
  /** `surplus task X`, `earlier task X`; undefined: the task that the row has now. */
  other: string | undefined;
  status: string;
  url: string | null;
  expiry: string | undefined;
  failReason: string | undefined;
  laterStatus: string | undefined;
  polls: string;
}

interface AttemptText {
  number: number;
  at: string;
  end: string;
  findings: string;
  worker: string;
}

export function formatRowLife(
  { row, batch, tasks, attempts, trail, gates }: RowLife,
  tell: TellTime = tellUtc,
): RowText {
  const error = [row.errorCode, row.httpStatus === null ? null : `HTTP ${row.httpStatus}`, row.error];
  return {
    error:
      row.errorCode === null && row.error === null
        ? undefined
        : error.filter((part) => part !== null).join(' · '),
    tasks: tasks.map((task) => formatTask(task, row.taskId, tell)),
    attempts: attempts.map((attempt) => formatAttempt(attempt, tell)),
    trail: trail.map(({ at, ...event }) => `${tell(at)}  ${formatEvent(event)}`),
    waitsUntil: formatWait(row, tell),
    next: formatNextStep(row, batch, gates, tell),
  };
}

function formatTask(task: TaskView, current: string | null, tell: TellTime): TaskText {
  const isCurrent = task.taskId === current;
  return {
    other: isCurrent ? undefined : `${task.surplus ? 'SURPLUS' : 'earlier'} task ${task.taskId}`,
    status: formatStatus(task),
    url: task.resultUrl,
    expiry: formatExpiry(task, tell),
    // The failure reason of the current task is the row's error.
    failReason: isCurrent ? undefined : (task.failReason ?? undefined),
    laterStatus: formatLaterStatus(task, tell),
    polls: formatPolls(task, tell),
  };
}

/** `in_progress 40%`, with the provider's own word if it differs. How far a task came counts until its end. */
function formatStatus(task: Pick<TaskView, 'status' | 'rawStatus' | 'progress'>): string {
  const { status, rawStatus, progress } = task;
  const own = rawStatus !== null && rawStatus.toLowerCase() !== status ? ` ("${rawStatus}")` : '';
  return `${status}${own}${progress === null || isSettled(status) ? '' : ` ${progress}%`}`;
}

/** How it is known when a URL expires. */
export const EXPIRY_KNOWN = {
  answer: 'as the provider says',
  url: 'as the URL says',
  profile: 'as the profile says',
  assumed: 'assumed',
} as const;

/** `its URL is good until 2026-11-26T10:00:00.000Z (assumed)` */
function formatExpiry(task: TaskView, tell: TellTime): string | undefined {
  const expiry = expiryOf(task);
  return expiry && `its URL is good until ${tell(expiry.at)} (${EXPIRY_KNOWN[expiry.by]})`;
}

/** The provider changed the final status of the task. */
function formatLaterStatus(task: TaskView, tell: TellTime): string | undefined {
  return task.laterStatus === null
    ? undefined
    : `it was ${task.status}, and since ${task.laterAt === null ? 'then' : tell(task.laterAt)} the provider calls it ${task.laterStatus}`;
}

/** When the task was polled, with what result, and when it is polled again. */
function formatPolls(task: TaskView, tell: TellTime): string {
  const last = task.askedAt === null ? '' : `, last at ${tell(task.askedAt)}`;
  const parts = [`asked ${task.polls === 1 ? 'once' : `${task.polls} times`}${last}`];
  if (task.misses > 0) parts.push(`not known to the provider ${task.misses} times in a row`);
  if (task.problem !== null) parts.push(`no answer: ${shorten(task.problem, 200)}`);
  parts.push(task.dueAt === null ? 'not asked again by itself' : `next at ${tell(task.dueAt)}`);
  return parts.join(' · ');
}

/** What each phase of an exchange means, if it ended there. */
export const REACHED = {
  connecting: 'the request had not begun',
  sending: 'the request was being written when it broke',
  sent: 'the whole request was sent, and no answer began',
  answering: "the answer's head arrived, and its body broke off",
  answered: 'a whole answer arrived',
} as const satisfies Record<Exclude<Reached, 'none'>, string>;

export function formatAttempt(attempt: AttemptView, tell: TellTime = tellUtc): AttemptText {
  const { number, worker, claimedAt, finishedAt, sweptAt } = attempt;
  return {
    number,
    at: tell(finishedAt ?? sweptAt ?? claimedAt),
    end: formatEnd(attempt),
    findings: formatFindings(attempt),
    worker,
  };
}

/** The worker name of an attempt that `resolve --task-id` made begins with this. */
const BY_A_PERSON = 'resolve by ';

/** `not-sent after 0.3 s`, `in flight`: how an attempt ended, if that is known. */
function formatEnd({ worker, outcome, claimedAt, finishedAt, sweptAt }: AttemptView): string {
  if (worker.startsWith(BY_A_PERSON))
    return `no call: a person found its task, ${worker.slice(BY_A_PERSON.length)}`;
  const took =
    finishedAt === null ? '' : ` after ${((finishedAt.getTime() - claimedAt.getTime()) / 1000).toFixed(1)} s`;
  return `${outcome ?? (sweptAt === null ? 'in flight' : 'no answer recorded')}${took}`;
}

/** What is known about an attempt, the most important first. */
function formatFindings(attempt: AttemptView): string {
  return [
    attempt.httpStatus === null ? null : `HTTP ${attempt.httpStatus}`,
    attempt.errorCode,
    attempt.error,
    Object.entries(REACHED).find(([phase]) => phase === attempt.phase)?.[1],
    attempt.requestId === null ? null : `request id ${attempt.requestId}`,
    attempt.taskId === null
      ? null
      : `task ${attempt.taskId}${attempt.surplus ? ' (SURPLUS: paid twice)' : ''}${attempt.remadeAt === null ? '' : ' (failed, and made again on purpose)'}`,
  ]
    .filter((part) => part !== null && part !== undefined)
    .join(' · ');
}

/** `resolve --not-sent by anna@desk: not in their list` */
export function formatEvent({ event, who, detail }: Omit<LoggedEvent, 'at'>): string {
  return `${event}${who === null ? '' : ` by ${who}`}: ${shorten(detail, 300)}`;
}

/** `until 2026-11-25T15:00:00.000Z` */
function formatWait({ state, notBefore }: SubmissionView, tell: TellTime): string | undefined {
  if (state !== 'pending' || notBefore === null || notBefore.getTime() <= Date.now()) return undefined;
  return `until ${tell(notBefore)}`;
}

function formatNextStep(
  row: SubmissionView,
  batch: RowLife['batch'],
  gates: readonly Gate[],
  tell: TellTime,
): string {
  const isShut = (name: Gate['gate']): boolean => gates.some(({ gate }) => gate === name);
  if (isShut('budget')) return (row.price === null ? priceHint : raiseHint)(batch);
  if (gates.length > 0 && gates.every(({ opensAt }) => opensAt !== undefined))
    return 'nothing: it is sent when its gates are open, while a worker runs';
  return nextStep(row, tell);
}
