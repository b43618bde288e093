import { storedBody, type Answer } from './answer.ts';
import type { TaskReport } from '../core/outcome.ts';
import { asObject, carriesError, parseObject, readRefusal } from './refusal.ts';
import { isHttpUrl, isText, readResultUrl } from './result-url.ts';
import { oneLine } from '../core/text.ts';
import { expiryOfUrl, readMoment } from './url-expiry.ts';
import { waitOf } from './wait.ts';

type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'];

/** What providers write, in lower case → what it means. Anything else is unknown, and asked again. */
const STATUSES: ReadonlyMap<string, TaskStatus> = new Map([
  ...words('queued', ['queued', 'submitted', 'not_start', 'created', 'queueing', 'pending', 'preparing']),
  ...words('in_progress', ['in_progress', 'processing', 'running', 'generating']),
  ...words('completed', ['completed', 'complete', 'succeeded', 'succeed', 'success', 'done', 'finished']),
  ...words('failed', ['failed', 'fail', 'failure', 'error', 'rejected', 'cancelled', 'canceled']),
  ...words('failed', ['timeout', 'expired']),
]);

function words(status: TaskStatus, written: string[]): [string, TaskStatus][] {
  return written.map((word) => [word, status]);
}

/** What a provider's word for a status means. */
export function taskStatusOf(written: string): TaskStatus {
  return STATUSES.get(written.trim().toLowerCase()) ?? 'unknown';
}

/** Also said of a question that could not be answered: of a task only where the answer names one. */
const OF_QUESTION = /^\s*(error|fail)\s*$/i;

/** Not found by name. A bare 404 can also be a wrong base URL, and would condemn every task. */
const MISSING_CODE = 'task_not_exist';

export interface ReadTaskOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  redact?: (text: string) => string;
}

/** What an answer to "how is this task" says. Flat and wrapped shapes; never throws. */
export function readTask(answer: Answer, options: ReadTaskOptions): TaskReport {
  const redact = options.redact ?? ((text) => text);
  const body = storedBody(answer, redact);
  const refusal = readRefusal(answer.body);
  if (refusal.layers.some((codes) => codes.includes(MISSING_CODE))) return { kind: 'missing', body };

  const task = answer.status >= 200 && answer.status <= 299 ? findTask(answer.body) : undefined;
  if (task === undefined) {
    const message = oneLine(redact(`HTTP ${answer.status}: ${refusal.message ?? 'no readable task'}`));
    const afterMs = waitOf(answer, options.now);
    const trouble = troubleOf(answer.status);
    return { kind: 'transient', trouble, message, ...(afterMs === undefined ? {} : { afterMs }) };
  }

  const rawStatus = statusWordOf(task) ?? '';
  const word = OF_QUESTION.test(rawStatus) && !namesTask(task) ? 'unknown' : taskStatusOf(rawStatus);
  const progress = readProgress(task['progress']);
  // Older gateways keep the URL of a finished task in the column of its failure.
  const misplaced = word === 'completed' && isHttpUrl(task['fail_reason']) ? task['fail_reason'] : undefined;
  const resultUrl = readResultUrl(task) ?? misplaced;
  const failed = word === 'completed' && resultUrl === undefined && hasFailed(task);
  const status = failed ? 'failed' : word;
  const urlExpiry = resultUrl === undefined ? undefined : readExpiry(task, resultUrl);
  const failReason = status === 'completed' ? undefined : readFailReason(task);
  return {
    kind: 'task',
    status,
    rawStatus: oneLine(redact(rawStatus), 100),
    ...(progress === undefined ? {} : { progress }),
    ...(resultUrl === undefined ? {} : { resultUrl: oneLine(redact(resultUrl), 8192) }),
    ...(urlExpiry === undefined ? {} : { urlExpiry }),
    ...(failReason === undefined ? {} : { failReason: oneLine(redact(failReason)) }),
    body,
  };
}

type Json = Record<string, unknown>;

function troubleOf(status: number): Extract<TaskReport, { kind: 'transient' }>['trouble'] {
  if (status === 429) return 'throttled';
  const refused = (status >= 300 && status <= 399) || [401, 402, 403, 404, 405].includes(status);
  return refused ? 'refused' : 'broken';
}

/**
 * The object that carries the status: the answer itself, or its `data`. An error has neither. What names a task comes
 * first: `{status: "success", data: {…}}` speaks of the question.
 */
function findTask(body: string): Json | undefined {
  const object = parseObject(body);
  const parts = [object, asObject(object?.['data'])].flatMap((part) =>
    part === undefined || statusWordOf(part) === undefined ? [] : [part],
  );
  return parts.find(namesTask) ?? parts.at(-1);
}

function namesTask(part: Json): boolean {
  return ['task_id', 'id'].some((key) => part[key] !== undefined && part[key] !== null && part[key] !== '');
}

function statusWordOf(task: Json): string | undefined {
  const words = [task['status'], task['state'], task['task_status']];
  return words.find((word) => typeof word === 'string');
}

/** A finished task without a video that says why. */
function hasFailed(task: Json): boolean {
  return carriesError(task) || isText(task['fail_reason']);
}

/** `50`, `"50%"` or `"50"`, held between 0 and 100. */
function readProgress(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return undefined;
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*%?\s*$/.exec(text);
  return match === null ? undefined : Math.min(100, Math.max(0, Math.round(Number(match[1]))));
}

function readExpiry(task: Json, resultUrl: string): Extract<TaskReport, { kind: 'task' }>['urlExpiry'] {
  const said = [task['expires_at'], task['url_expires_at'], asObject(task['result'])?.['expires_at']];
  const stated = said.map(readMoment).find((at) => at !== undefined);
  if (stated !== undefined) return { at: stated, by: 'answer' };
  const signed = expiryOfUrl(resultUrl);
  return signed === undefined ? undefined : { at: signed, by: 'url' };
}

function readFailReason(task: Json): string | undefined {
  const error = task['error'];
  const candidates = [
    task['fail_reason'],
    asObject(error)?.['message'],
    error,
    asObject(error)?.['code'],
    task['err_code'],
  ];
  return candidates.find(isText);
}
