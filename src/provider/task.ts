import { retryAfterMs, type Answer } from './answer.ts';
import type { TaskReport } from './outcome.ts';
import { asObject, parseObject, readRefusal } from './refusal.ts';
import { oneLine, storable } from './text.ts';
import { expiryOfUrl, readMoment } from './url-expiry.ts';

type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'];

/** What providers write, in lower case → what it means. Anything else is unknown, and asked again. */
const STATUSES: ReadonlyMap<string, TaskStatus> = new Map([
  ...words('queued', ['queued', 'submitted', 'not_start', 'created', 'queueing']),
  ...words('in_progress', ['in_progress', 'processing', 'running']),
  ...words('completed', ['completed', 'succeeded', 'success']),
  ...words('failed', ['failed', 'failure', 'cancelled', 'timeout', 'expired']),
]);

function words(status: TaskStatus, written: string[]): [string, TaskStatus][] {
  return written.map((word) => [word, status]);
}

/** What a provider's word for a status means. */
export function taskStatusOf(written: string): TaskStatus {
  return STATUSES.get(written.trim().toLowerCase()) ?? 'unknown';
}

/** Not found by name. A bare 404 can also be a wrong base URL, and would condemn every task. */
const MISSING_CODE = 'task_not_exist';

const BODY_LIMIT = 65_536;

export interface ReadTaskOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  redact?: (text: string) => string;
}

/** What an answer to "how is this task" says. Flat and wrapped shapes; never throws. */
export function readTask(answer: Answer, options: ReadTaskOptions): TaskReport {
  const redact = options.redact ?? ((text) => text);
  const body = storable(redact(answer.body), BODY_LIMIT);
  const refusal = readRefusal(answer.body);
  if (refusal.layers.some((codes) => codes.includes(MISSING_CODE))) return { kind: 'missing', body };

  const task = answer.status >= 200 && answer.status <= 299 ? findTask(answer.body) : undefined;
  if (task === undefined) {
    const message = oneLine(redact(`HTTP ${answer.status}: ${refusal.message ?? 'no readable task'}`));
    const afterMs = retryAfterMs(answer, options.now);
    const trouble = troubleOf(answer.status);
    return { kind: 'transient', trouble, message, ...(afterMs === undefined ? {} : { afterMs }) };
  }

  const rawStatus = typeof task['status'] === 'string' ? task['status'] : '';
  const status = taskStatusOf(rawStatus);
  const progress = readProgress(task['progress']);
  const resultUrl = readResultUrl(task, status);
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

/** The object that carries the status: the answer itself, or its `data`. An error has neither. */
function findTask(body: string): Json | undefined {
  const object = parseObject(body);
  return [object, asObject(object?.['data'])].find((part) => typeof part?.['status'] === 'string');
}

/** `50`, `"50%"` or `"50"`, held between 0 and 100. */
function readProgress(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return undefined;
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*%?\s*$/.exec(text);
  return match === null ? undefined : Math.min(100, Math.max(0, Math.round(Number(match[1]))));
}

function readResultUrl(task: Json, status: TaskStatus): string | undefined {
  const candidates = [
    task['video_url'],
    task['result_url'],
    task['url'],
    asObject(task['result'])?.['video_url'],
    // Older gateways keep the URL of a finished task in the column of its failure.
    ...(status === 'completed' && isHttpUrl(task['fail_reason']) ? [task['fail_reason']] : []),
  ];
  return candidates.find(isText);
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
  const candidates = [task['fail_reason'], asObject(error)?.['message'], error, asObject(error)?.['code']];
  return candidates.find(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function isHttpUrl(value: unknown): boolean {
  return typeof value === 'string' && /^https?:\/\//i.test(value);
}
