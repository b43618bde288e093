import { storedBody, type Answer } from './answer.ts';
import { isText, parseValue, textIn, asObject, type Json } from './answer-body.ts';
import type { Dialect } from './dialect.ts';
import { kindByCode } from './judgement.ts';
import { firstOf, valuesAt } from './profile/path.ts';
import type { Refusal } from './refusal.ts';
import { expiryOf, resultUrlOf } from './result-url.ts';
import { defined } from '../core/json.ts';
import type { TaskReport } from '../core/outcome.ts';
import { oneLine } from '../core/text.ts';

interface ReadTaskOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  redact?: (text: string) => string;
  /** The origin of the base URL, for a URL that is only a path. */
  origin?: string;
  /** Where the provider gives out the video of this task, if it tells no URL. */
  contentUrl?: string | undefined;
}

/** Reads the answer to a poll, flat or wrapped. Never throws. */
export function readTask(answer: Answer, dialect: Dialect, options: ReadTaskOptions): TaskReport {
  const redact = options.redact ?? ((text) => text);
  const body = storedBody(answer, redact);
  const value = parseValue(answer.body);
  const refusal = dialect.refusals.read(value, answer.body);
  const { missing } = dialect.task;
  if (refusal.layers.some((codes) => codes.some((code) => missing.includes(code))))
    return { kind: 'missing', body };

  const { status } = answer;
  const task = status >= 200 && status <= 299 ? findTask(value, dialect) : undefined;
  if (task === undefined) {
    const trouble = troubleOf(status, refusal, dialect);
    const message = oneLine(redact(`HTTP ${status}: ${refusal.message ?? 'no readable task'}`));
    const throttled = trouble === 'throttled';
    const afterMs = dialect.waits.read({ answer, value, now: options.now, throttled });
    return defined({ kind: 'transient', trouble, message, afterMs });
  }
  return { kind: 'task', ...readFields(task, value, dialect, { ...options, redact }), body };
}

type Task = Extract<TaskReport, { kind: 'task' }>;

function readFields(
  task: Json,
  value: unknown,
  dialect: Dialect,
  { now, redact, contentUrl, origin = '' }: ReadTaskOptions & { redact: (text: string) => string },
): Omit<Task, 'kind' | 'body'> {
  const { words, task: places } = dialect;
  const rawStatus = statusWordOf(task, dialect) ?? '';
  const word =
    words.isDoubtful(rawStatus) && !namesTask(task, dialect) ? 'unknown' : words.statusOf(rawStatus);
  const written = resultUrlOf(task, places, word === 'completed');
  const told = written !== undefined && /^\/[^/\\]/.test(written) ? origin + written : written;
  const failed = word === 'completed' && told === undefined && hasFailed(task, dialect);
  const status = failed ? 'failed' : word;
  const resultUrl = told ?? (status === 'completed' ? contentUrl : undefined);
  const failReason = status === 'completed' ? undefined : firstOf(task, places.reason, textIn);
  return defined({
    status,
    rawStatus: oneLine(redact(rawStatus), 100),
    progress: firstOf(task, places.progress, readProgress),
    resultUrl: resultUrl === undefined ? undefined : oneLine(redact(resultUrl), 8192),
    urlExpiry: resultUrl === undefined ? undefined : readExpiry(task, resultUrl, places, now),
    failReason: failReason === undefined ? undefined : oneLine(redact(failReason)),
    cost: readCost(task, value, dialect),
  });
}

function readExpiry(
  task: Json,
  resultUrl: string,
  { expires, urlLife }: Dialect['task'],
  now: number,
): Task['urlExpiry'] {
  const told = expiryOf(task, resultUrl, expires);
  return told ?? (urlLife === undefined ? undefined : { at: now + urlLife, by: 'profile' });
}

function troubleOf(
  status: number,
  refusal: Refusal,
  dialect: Dialect,
): Extract<TaskReport, { kind: 'transient' }>['trouble'] {
  if (status >= 300 && status <= 399) return 'refused';
  const kind = dialect.outcomes.ofStatus(status);
  // Other codes may be about one task alone.
  if (kind === 'throttled' || kindByCode(refusal, status, dialect)?.kind === 'throttled') return 'throttled';
  return kind === 'halted' ? 'refused' : 'broken';
}

/**
 * The object with the status: that which names a task, or else the last one. In `{status: "success", data: {…}}` the outer
 * status is that of the request.
 */
function findTask(value: unknown, dialect: Dialect): Json | undefined {
  const parts = dialect.task.in
    .flatMap((path) => valuesAt(value, path))
    .map(asObject)
    .filter((part) => part !== undefined && statusWordOf(part, dialect) !== undefined);
  return parts.find((part) => part !== undefined && namesTask(part, dialect)) ?? parts.at(-1);
}

function namesTask(part: Json, { task }: Dialect): boolean {
  return firstOf(part, task.id, (id) => (id === '' ? undefined : true)) === true;
}

function statusWordOf(part: Json, { task, words }: Dialect): string | undefined {
  return firstOf(part, task.status, (value) => words.wordOf(value));
}

/** Of a finished task without a video. */
function hasFailed(part: Json, { task, refusals }: Dialect): boolean {
  return task.failedWhen.some(({ at, is }) => {
    const holds = (value: unknown): true | undefined =>
      (is === undefined ? refusals.isError(value) : value === is) ? true : undefined;
    return firstOf(part, [at], holds) === true;
  });
}

/** `50`, `"50%"` or `"50"`, held between 0 and 100. */
function readProgress(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return undefined;
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*%?\s*$/.exec(text);
  return match === null ? undefined : Math.min(100, Math.max(0, Math.round(Number(match[1]))));
}

/** Some providers tell it beside the task. */
function readCost(task: Json, value: unknown, dialect: Dialect): Task['cost'] {
  const { cost } = dialect.task;
  if (cost === undefined) return undefined;
  const amount = firstOf(task, cost.at, readAmount) ?? firstOf(value, cost.at, readAmount);
  return amount === undefined ? undefined : { amount, unit: cost.unit };
}

/** A decimal number that is not negative, with all its digits. */
function readAmount(value: unknown): string | undefined {
  if (typeof value === 'number' && Math.abs(value) < 1e-6) return trimmed(value.toFixed(20));
  if (typeof value !== 'number' && typeof value !== 'bigint' && !isText(value)) return undefined;
  const text = String(value).trim();
  return /^\d{1,30}(\.\d{1,30})?$/.test(text) ? text : undefined;
}

function trimmed(decimal: string): string | undefined {
  return decimal.startsWith('-') && Number(decimal) !== 0
    ? undefined
    : decimal.replace(/^-/, '').replace(/\.?0+$/, '');
}
