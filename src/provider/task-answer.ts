import { storedBody, waitOf, type Answer } from './answer.ts';
import type { TaskReport } from '../core/outcome.ts';
import { asObject, carriesError, parseObject, readRefusal } from './answer-body.ts';
import { defined } from '../core/json.ts';
import { oneLine } from '../core/text.ts';

type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'];

/** The words of providers, in lower case. A task with another word is polled again. */
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

export function taskStatusOf(written: string): TaskStatus {
  return STATUSES.get(written.trim().toLowerCase()) ?? 'unknown';
}

/** Words that may also mean a failed request: they count only if the answer names a task. */
const OF_QUESTION = /^\s*(error|fail)\s*$/i;

/** A bare 404 can also be a wrong base URL, and would make every task missing. */
const MISSING_CODE = 'task_not_exist';

interface ReadTaskOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  redact?: (text: string) => string;
}

/** Reads the answer to a poll, flat or wrapped. Never throws. */
export function readTask(answer: Answer, options: ReadTaskOptions): TaskReport {
  const redact = options.redact ?? ((text) => text);
  const body = storedBody(answer, redact);
  const refusal = readRefusal(answer.body);
  if (refusal.layers.some((codes) => codes.includes(MISSING_CODE))) return { kind: 'missing', body };

  const task = answer.status >= 200 && answer.status <= 299 ? findTask(answer.body) : undefined;
  if (task === undefined) {
    const message = oneLine(redact(`HTTP ${answer.status}: ${refusal.message ?? 'no readable task'}`));
    const afterMs = waitOf(answer, options.now);
    return defined({ kind: 'transient', trouble: troubleOf(answer.status), message, afterMs });
  }

  const rawStatus = statusWordOf(task) ?? '';
  const word = OF_QUESTION.test(rawStatus) && !namesTask(task) ? 'unknown' : taskStatusOf(rawStatus);
  // Older gateways keep the URL of a finished task in the column of its failure.
  const misplaced = word === 'completed' && isHttpUrl(task['fail_reason']) ? task['fail_reason'] : undefined;
  const resultUrl = readResultUrl(task) ?? misplaced;
  const failed = word === 'completed' && resultUrl === undefined && hasFailed(task);
  const status = failed ? 'failed' : word;
  const failReason = status === 'completed' ? undefined : readFailReason(task);
  return defined({
    kind: 'task',
    status,
    rawStatus: oneLine(redact(rawStatus), 100),
    progress: readProgress(task['progress']),
    resultUrl: resultUrl === undefined ? undefined : oneLine(redact(resultUrl), 8192),
    urlExpiry: resultUrl === undefined ? undefined : readExpiry(task, resultUrl),
    failReason: failReason === undefined ? undefined : oneLine(redact(failReason)),
    body,
  });
}

type Json = Record<string, unknown>;

function troubleOf(status: number): Extract<TaskReport, { kind: 'transient' }>['trouble'] {
  if (status === 429) return 'throttled';
  const refused = (status >= 300 && status <= 399) || [401, 402, 403, 404, 405].includes(status);
  return refused ? 'refused' : 'broken';
}

/**
 * The object with the status: the answer, or its `data`, whichever names a task. In `{status: "success", data: {…}}` the
 * outer status is that of the request.
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

/** A finished task without a video that has a reason. */
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

/** The places of a task's URL by contract, where any text counts. */
const CONTRACT_PATHS: readonly (readonly string[])[] = [
  ['video_url'],
  ['result_url'],
  ['url'],
  ['result', 'video_url'],
];

/** The places at other providers, as text, in an object or in a list. Only URLs count. */
const OTHER_PATHS: readonly (readonly string[])[] = [
  ['url'],
  ['result'],
  ['metadata', 'url'],
  ['video_urls'],
  ['videos'],
  ['video'],
  ['results'],
  ['output'],
  ['content'],
  ['creations'],
  ['data', 'creations'],
  ['data', 'data', 'creations'],
  ['task_result', 'videos'],
];

function readResultUrl(task: Json): string | undefined {
  const own = CONTRACT_PATHS.map((path) => at(task, path)).filter(isText);
  const other = OTHER_PATHS.map((path) => urlIn(at(task, path), DEEPEST)).filter(isText);
  return own.find(isHttpUrl) ?? other[0] ?? own[0];
}

const DEEPEST = 3;
const KEYS = ['video_url', 'url', 'video'];

/** The first URL in a text, a list, or an object. */
function urlIn(value: unknown, depth: number): string | undefined {
  if (isHttpUrl(value)) return value.trim();
  if (depth === 0) return undefined;
  const object = asObject(value);
  const parts: unknown[] = Array.isArray(value) ? value : KEYS.map((key) => object?.[key]);
  for (const part of parts) {
    const url = urlIn(part, depth - 1);
    if (url !== undefined) return url;
  }
  return undefined;
}

function at(task: Json, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => asObject(value)?.[key], task);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function isHttpUrl(value: unknown): value is string {
  return typeof value === 'string' && /^\s*https?:\/\/\S+\s*$/i.test(value);
}

/** The year 2017. Smaller numbers are durations. */
const FROM_SECONDS = 1_500_000_000;
const FROM_MS = FROM_SECONDS * 1000;
/** The year 2100. */
const UNTIL_MS = 4_102_444_800_000;

/** A time in seconds or milliseconds since the epoch, or in RFC 3339 with a zone → milliseconds since the epoch. */
function readMoment(value: unknown): number | undefined {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{9,14}$/.test(value))) {
    const number = Number(value);
    if (number >= FROM_MS) return inTime(number);
    return number >= FROM_SECONDS ? inTime(number * 1000) : undefined;
  }
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/.test(value))
    return undefined;
  return inTime(Date.parse(value));
}

function inTime(ms: number): number | undefined {
  return ms >= FROM_MS && ms < UNTIL_MS ? ms : undefined;
}

/** Beside one of these, `Expires` is the end of a signature. */
const SIGNATURES = ['signature', 'sig', 'x-oss-signature'];

/**
 * The end of a signed URL, in milliseconds since the epoch, by its parameters: a date and seconds (S3, GCS, OSS, TOS), a
 * time beside a signature (older S3, OSS, OBS, CloudFront), Azure's `se` beside `sig`, COS's `q-sign-time`.
 */
function expiryOfUrl(url: string): number | undefined {
  const parsed = URL.parse(url);
  if (parsed === null) return undefined;
  const values = new Map([...parsed.searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  for (const [name, value] of values) {
    const vendor = /^(x-[a-z0-9]+)-expires$/.exec(name)?.[1];
    if (vendor === undefined || !/^\d{1,9}$/.test(value)) continue;
    const signed = readCompact(values.get(`${vendor}-date`) ?? '');
    if (signed !== undefined) return inTime(signed + Number(value) * 1000);
  }
  if (SIGNATURES.some((name) => values.has(name))) {
    return readMoment(values.get('expires')) ?? readMoment(values.get('se'));
  }
  const span = /^\d+;(\d+)$/.exec(values.get('q-sign-time') ?? '');
  return span === null ? undefined : readMoment(span[1]);
}

/** `20261125T191500Z` */
function readCompact(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1);
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
