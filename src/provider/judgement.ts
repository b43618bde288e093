import { headerOf, headersOf, requestIdOf, storedBody, type Answer, type Problem } from './answer.ts';
import { UNDECODED } from './content-coding.ts';
import type { Evidence, Outcome } from '../core/outcome.ts';
import { carriesError, asObject, parseObject, readRefusal, type Refusal } from './refusal.ts';
import {
  FORWARDED,
  kindOfCode,
  kindOfStatus,
  NO_BALANCE,
  type CodeOverrides,
  type RefusalKind,
} from './table.ts';
import { findIds } from './task-id.ts';
import { oneLine } from '../core/text.ts';
import { waitOf } from './wait.ts';

export interface JudgeOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  codes?: CodeOverrides;
  /** Takes the API key out of a text; applied before anything is cut, so that no half of a key is left. */
  redact?: (text: string) => string;
}

/** A task id in JSON, also in JSON within a text. An empty one, null and 0 name no task. */
const NAMES_TASK = /\\*"task_?id\\*"\s*:\s*(?:\\*"[^"\\\s]|[1-9[{])/i;

/**
 * What an answer to a POST means: the outcome table, applied. An answer that names a task may be an acceptance, whatever
 * its status or code says: such a row is never sent again. Never throws.
 */
export function judge(answer: Answer, options: JudgeOptions): Outcome {
  const outcome = judgeByTable(answer, options);
  const refusesTask = outcome.kind !== 'accepted' && NAMES_TASK.test(answer.body);
  return refusesTask ? { kind: 'uncertain', evidence: outcome.evidence } : outcome;
}

function judgeByTable(answer: Answer, options: JudgeOptions): Outcome {
  const { status } = answer;
  if (status >= 200 && status <= 299) return judgeSuccess(answer, options);
  if (status >= 300 && status <= 399) {
    const evidence = evidenceOf(answer, options, 'REDIRECT', redirectMessage(answer));
    return kindOfStatus(status) === 'halted' ? { kind: 'halted', evidence } : { kind: 'uncertain', evidence };
  }
  const refusal = readRefusal(answer.body);
  const { kind, code } = decide(answer, refusal, options.codes ?? {});
  return refused(kind, answer, options, code, refusal.message ?? `HTTP ${status} without a message`);
}

function refused(
  kind: RefusalKind,
  answer: Answer,
  options: JudgeOptions,
  code: string | undefined,
  message: string,
): Outcome {
  const evidence = evidenceOf(answer, options, code, message);
  if (kind !== 'throttled' && kind !== 'not-sent') return { kind, evidence };
  const afterMs = waitOf(answer, options.now);
  return { kind, retry: afterMs === undefined ? {} : { afterMs }, evidence };
}

/**
 * An id that is said to be of a task is an acceptance, whatever has become of the task since. A mere `id` beside an
 * error may be of the request. Then, and without an id, a code that is known by itself decides; else it cannot be known.
 */
function judgeSuccess(answer: Answer, options: JudgeOptions): Outcome {
  const object = parseObject(answer.body);
  const found = object === undefined ? {} : findIds(object);
  const data = asObject(object?.['data']);
  const refusal = readRefusal(answer.body);
  const known = kindByCode(refusal, CODE_STATUS, options.codes ?? {});
  const failed =
    known !== undefined || [object, data].some((part) => part !== undefined && carriesError(part));
  const taskId = found.taskId ?? (failed ? undefined : found.id);
  if (taskId === undefined) return judgeWithoutTask(answer, options, refusal, known);
  const status = object?.['status'] ?? data?.['status'];
  return {
    kind: 'accepted',
    taskId,
    ...(typeof status === 'string' ? { providerStatus: oneLine((options.redact ?? same)(status), 100) } : {}),
    evidence: evidenceOf(answer, options),
  };
}

/** Words about the balance, and codes that nobody has named, are too little to send a row again. */
function judgeWithoutTask(
  answer: Answer,
  options: JudgeOptions,
  refusal: Refusal,
  known: ReturnType<typeof kindByCode>,
): Outcome {
  const said = `HTTP ${answer.status} without a readable task id`;
  if (known !== undefined && answer.cutOff === undefined)
    return refused(known.kind, answer, options, known.code, refusal.message ?? said);
  const why = answer.cutOff === undefined ? refusal.message : brokenTold(answer.cutOff);
  const code = refusal.layers[0]?.[0] ?? 'NO_TASK_ID';
  return refused('uncertain', answer, options, code, why === undefined ? said : `${said}: ${why}`);
}

/** What a code means under a 2xx is what it means under a plain refusal. */
const CODE_STATUS = 400;

function brokenTold({ code, message }: Problem): string {
  return code === UNDECODED
    ? `the answer cannot be decoded (${message})`
    : `the answer was cut off (${message})`;
}

/** The innermost code that is known, by the configuration or at this status. */
function kindByCode(
  refusal: Refusal,
  status: number,
  codes: CodeOverrides,
): { kind: RefusalKind; code: string } | undefined {
  for (const [depth, layer] of [...refusal.layers.entries()].toReversed()) {
    for (const word of layer) {
      const code = pathOf(depth, word);
      const kind = overrideOf(codes, code) ?? overrideOf(codes, word) ?? kindOfCode(word, status, depth > 0);
      if (kind !== undefined) return { kind, code };
    }
  }
  return undefined;
}

/** The innermost known code decides; then words about the balance; then the status. */
function decide(
  answer: Answer,
  refusal: Refusal,
  codes: CodeOverrides,
): { kind: RefusalKind; code?: string } {
  const { status } = answer;
  const known = kindByCode(refusal, status, codes);
  if (known !== undefined) return known;
  const last = refusal.layers.at(-1)?.[0];
  const code = last === undefined ? {} : { code: pathOf(refusal.layers.length - 1, last) };
  const kind = kindOfStatus(status);
  // A body that came and cannot be read may say that the request was passed on.
  if (kind === 'uncertain' || (answer.cutOff?.code === UNDECODED && !refusal.readable))
    return { kind: 'uncertain', ...code };
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
    ...(answer.body === '' && answer.raw === undefined ? {} : { body: storedBody(answer, redact) }),
    ...(requestId === undefined ? {} : { requestId: oneLine(redact(requestId)) }),
    ...(headers === undefined ? {} : { headers }),
    phase: answer.cutOff === undefined ? 'answered' : 'answering',
  };
}

function same(text: string): string {
  return text;
}
