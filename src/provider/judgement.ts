import { headerOf, headersOf, requestIdOf, retryAfterMs, type Answer } from './answer.ts';
import type { Evidence, Outcome } from './outcome.ts';
import { parseObject, readRefusal, type Refusal } from './refusal.ts';
import {
  FORWARDED,
  kindOfCode,
  kindOfStatus,
  NO_BALANCE,
  type CodeOverrides,
  type RefusalKind,
} from './table.ts';
import { oneLine, storable } from './text.ts';

export interface JudgeOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  codes?: CodeOverrides;
  /** Takes the API key out of a text; applied before anything is cut, so that no half of a key is left. */
  redact?: (text: string) => string;
}

const BODY_LIMIT = 65_536;

/** What an answer to a POST means: the outcome table, applied. Never throws. */
export function judge(answer: Answer, options: JudgeOptions): Outcome {
  const { status } = answer;
  if (status >= 200 && status <= 299) return judgeSuccess(answer, options);
  if (status >= 300 && status <= 399) {
    const evidence = evidenceOf(answer, options, 'REDIRECT', redirectMessage(answer));
    return kindOfStatus(status) === 'halted' ? { kind: 'halted', evidence } : { kind: 'uncertain', evidence };
  }
  const refusal = readRefusal(answer.body);
  const { kind, code } = decide(answer, refusal, options.codes ?? {});
  const evidence = evidenceOf(answer, options, code, refusal.message ?? `HTTP ${status} without a message`);
  if (kind !== 'throttled' && kind !== 'not-sent') return { kind, evidence };
  const afterMs = retryAfterMs(answer, options.now);
  return { kind, retry: afterMs === undefined ? {} : { afterMs }, evidence };
}

/** Whatever else a 2xx says, and even under a known refusal's code: without a task id nobody can know. */
function judgeSuccess(answer: Answer, options: JudgeOptions): Outcome {
  const object = parseObject(answer.body);
  const taskId = readTaskId(object?.['task_id']) ?? readTaskId(object?.['id']);
  if (taskId === undefined) {
    const refusal = readRefusal(answer.body);
    const why =
      answer.cutOff === undefined ? refusal.message : `the answer was cut off (${answer.cutOff.message})`;
    const message = `HTTP ${answer.status} without a readable task id${why === undefined ? '' : `: ${why}`}`;
    return {
      kind: 'uncertain',
      evidence: evidenceOf(answer, options, refusal.layers[0]?.[0] ?? 'NO_TASK_ID', message),
    };
  }
  const status = object?.['status'];
  return {
    kind: 'accepted',
    taskId,
    ...(typeof status === 'string' ? { providerStatus: oneLine((options.redact ?? same)(status), 100) } : {}),
    evidence: evidenceOf(answer, options),
  };
}

/**
 * A task id as text: a string of 1-512 printable characters (more, or a NUL, could not be stored and found again), or
 * a positive whole number that JSON.parse did not round.
 */
function readTaskId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return /^[^\p{Cc}\p{Cs}]{1,512}$/u.test(value) ? value : undefined;
}

/** The innermost known code decides; then words about the balance; then the status. */
function decide(
  answer: Answer,
  refusal: Refusal,
  codes: CodeOverrides,
): { kind: RefusalKind; code?: string } {
  const { status } = answer;
  for (const [depth, layer] of [...refusal.layers.entries()].toReversed()) {
    for (const word of layer) {
      const code = pathOf(depth, word);
      const kind = overrideOf(codes, code) ?? overrideOf(codes, word) ?? kindOfCode(word, status, depth > 0);
      if (kind !== undefined) return { kind, code };
    }
  }
  const last = refusal.layers.at(-1)?.[0];
  const code = last === undefined ? {} : { code: pathOf(refusal.layers.length - 1, last) };
  const kind = kindOfStatus(status);
  if (kind === 'uncertain') return { kind, ...code };
  if (NO_BALANCE.test(refusal.message ?? '')) return { kind: 'halted', ...code };
  return { kind: kind === 'rejected' && !hasVerdict(answer, refusal) ? 'uncertain' : kind, ...code };
}

/**
 * `rejected` invites a person to correct the row and send it again, so it needs a verdict that can be read. An unknown
 * code of the vendor at HTTP 400 is one: the vendor's own JSON came with the vendor's own refusing status. There is
 * none when the body was cut off, or when the gateway wraps something that is not JSON: then a proxy or a broken
 * connection between gateway and vendor spoke, after the request had been passed on. A wrong `uncertain` costs a look;
 * a wrong `rejected` costs a second payment.
 */
function hasVerdict(answer: Answer, refusal: Refusal): boolean {
  return refusal.readable || (answer.cutOff === undefined && refusal.layers.length === 0);
}

function pathOf(depth: number, code: string): string {
  return `${`${FORWARDED}/`.repeat(depth)}${code}`;
}

function overrideOf(codes: CodeOverrides, code: string): RefusalKind | undefined {
  return Object.hasOwn(codes, code) ? codes[code] : undefined;
}

function redirectMessage(answer: Answer): string {
  const location = headerOf(answer, 'location') ?? '';
  const target = URL.parse(location, 'http://same.invalid');
  let where = 'an unreadable address';
  if (location !== '' && target !== null) {
    where = target.host === 'same.invalid' ? 'another path of the same host' : target.host;
  }
  return `HTTP ${answer.status} redirects to ${where}; redirects are not followed, correct the base URL`;
}

function evidenceOf(answer: Answer, options: JudgeOptions, code?: string, message?: string): Evidence {
  const redact = options.redact ?? same;
  const requestId = requestIdOf(answer);
  const headers = headersOf(answer, redact);
  return {
    httpStatus: answer.status,
    ...(code === undefined ? {} : { code: oneLine(redact(code), 200) }),
    ...(message === undefined ? {} : { message: oneLine(redact(message)) }),
    ...(answer.body === '' ? {} : { body: storable(redact(answer.body), BODY_LIMIT) }),
    ...(requestId === undefined ? {} : { requestId: oneLine(redact(requestId)) }),
    ...(headers === undefined ? {} : { headers }),
    phase: answer.cutOff === undefined ? 'answered' : 'answering',
  };
}

function same(text: string): string {
  return text;
}
