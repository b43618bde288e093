import { headerOf, headersOf, requestIdOf, storedBody, waitOf, type Answer, type Problem } from './answer.ts';
import { UNDECODED } from './content-coding.ts';
import type { Evidence, Outcome, NotSent, Uncertain } from '../core/outcome.ts';
import {
  carriesError,
  asObject,
  parseObject,
  readRefusal,
  findIds,
  findIdsInAll,
  namesTask,
  readEvents,
  type Refusal,
} from './answer-body.ts';
import {
  FORWARDED,
  kindOfCode,
  kindOfStatus,
  NO_BALANCE,
  type CodeOverrides,
  type RefusalKind,
} from './outcome-table.ts';
import { defined } from '../core/json.ts';
import { oneLine } from '../core/text.ts';

interface JudgeOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  codes?: CodeOverrides;
  /** Removes the API key from a text, before the text is cut. */
  redact?: (text: string) => string;
}

/**
 * The outcome of an answer to a POST, by the outcome table. Never throws. An answer with a task id may be an acceptance,
 * also with a refusing status or code: such a row is never sent again.
 */
export function judge(answer: Answer, options: JudgeOptions): Outcome {
  const outcome = judgeByTable(answer, options);
  const refusesTask = outcome.kind !== 'accepted' && namesTask(answer.body);
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
  return { kind, retry: defined({ afterMs: waitOf(answer, options.now) }), evidence };
}

/**
 * A task id is an acceptance, also of a failed task. A plain `id` beside an error may be the id of the request: then, and
 * without an id, a known code decides, or else the outcome is uncertain.
 */
function judgeSuccess(answer: Answer, options: JudgeOptions): Outcome {
  const object = parseObject(answer.body);
  const objects = object === undefined ? readEvents(answer.body) : [object];
  const found = object === undefined ? findIdsInAll(objects) : findIds(object);
  const parts = objects.flatMap((one) => {
    const data = asObject(one['data']);
    return data === undefined ? [one] : [one, data];
  });
  let { taskId } = found;
  if (taskId === undefined) {
    const refusal = readRefusal(answer.body);
    const known = kindByCode(refusal, CODE_STATUS, options.codes ?? {});
    const failed = known !== undefined || parts.some(carriesError);
    taskId = failed ? undefined : found.id;
    if (taskId === undefined) return judgeWithoutTask(answer, options, refusal, known);
  }
  const status = parts.map((part) => part['status']).find((one) => typeof one === 'string');
  return {
    kind: 'accepted',
    taskId,
    ...(status === undefined ? {} : { providerStatus: oneLine((options.redact ?? same)(status), 100) }),
    evidence: evidenceOf(answer, options),
  };
}

/** Unknown codes, and words about the balance, are no proof that the row was not accepted. */
function judgeWithoutTask(
  answer: Answer,
  options: JudgeOptions,
  refusal: Refusal,
  known: ReturnType<typeof kindByCode>,
): Outcome {
  const said = `HTTP ${answer.status} without a readable task id`;
  if (known !== undefined && answer.cutOff === undefined)
    return refused(known.kind, answer, options, known.code, refusal.message ?? said);
  const why = answer.cutOff === undefined ? refusal.message : formatCutOff(answer.cutOff);
  const code = refusal.layers[0]?.[0] ?? 'NO_TASK_ID';
  return refused('uncertain', answer, options, code, why === undefined ? said : `${said}: ${why}`);
}

/** An error code in a 2xx answer means the same as in an answer with status 400. */
const CODE_STATUS = 400;

function formatCutOff({ code, message }: Problem): string {
  return code === UNDECODED
    ? `the answer cannot be decoded (${message})`
    : `the answer was cut off (${message})`;
}

/** The innermost code that the configuration or the table knows at this status. */
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
  // An unreadable body may say that the request was passed on.
  if (kind === 'uncertain' || (answer.cutOff?.code === UNDECODED && !refusal.readable))
    return { kind: 'uncertain', ...code };
  if (NO_BALANCE.test(refusal.message ?? '')) return { kind: 'halted', ...code };
  return { kind: kind === 'rejected' && !hasVerdict(answer, refusal) ? 'uncertain' : kind, ...code };
}

/**
 * `rejected` invites a person to send the row again, so it needs a readable verdict, such as the vendor's JSON at HTTP 400.
 * A cut-off body, or a wrapper around text that is not JSON, may come from a proxy that passed the request on. A wrong
 * `uncertain` costs a look; a wrong `rejected` costs a second payment.
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
  const line = (text: string | undefined, limit?: number): string | undefined =>
    text === undefined ? undefined : oneLine(redact(text), limit);
  const isEmpty = answer.body === '' && answer.raw === undefined;
  return defined({
    httpStatus: answer.status,
    code: line(code, 200),
    message: line(message),
    body: isEmpty ? undefined : storedBody(answer, redact),
    requestId: line(requestIdOf(answer)),
    headers: headersOf(answer, redact),
    phase: answer.cutOff === undefined ? 'answered' : 'answering',
  });
}

function same(text: string): string {
  return text;
}

interface Failure {
  phase: Evidence['phase'];
  problem: Problem;
}

/** A call without an answer: not sent if the request had not begun, or else uncertain. */
export function judgeFailure(
  failure: Failure,
  { host, redact, proxies }: { host: string; redact: (text: string) => string; proxies?: readonly string[] },
): NotSent | Uncertain {
  const { phase, problem } = failure;
  const message = oneLine(redact(formatFailure(failure, host, proxies)));
  const evidence: Evidence = { code: problem.code, message, phase };
  return phase === 'connecting' ? { kind: 'not-sent', retry: {}, evidence } : { kind: 'uncertain', evidence };
}

const CONNECTING: Readonly<Record<string, (host: string) => string>> = {
  ENOTFOUND: (host) => `the host name of ${host} cannot be resolved`,
  EAI_AGAIN: (host) => `the host name of ${host} cannot be resolved now`,
  ECONNREFUSED: (host) => `${host} refuses connections`,
  ECONNRESET: (host) => `${host} closed the connection before the request began`,
  UND_ERR_CONNECT_TIMEOUT: (host) => `${host} does not answer to a connection`,
  STALE_CLAIM: (host) => `more than 5 s passed between the claim and the request to ${host}: not sent`,
  TIMEOUT: (host) => `no connection to ${host} in time`,
  UND_ERR_CLOSED: () => 'the client is closed',
  UND_ERR_DESTROYED: () => 'the client is closed',
};

/** Failures that a missing proxy may cause. */
const NETWORK = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'TIMEOUT',
]);

/** One line that says how far the call got. */
export function formatFailure(
  { phase, problem }: Failure,
  host: string,
  proxies: readonly string[] = [],
): string {
  if (phase !== 'connecting') return `${problem.message}, after the request to ${host} had begun`;
  const known = Object.hasOwn(CONNECTING, problem.code) ? CONNECTING[problem.code] : undefined;
  const what = known === undefined ? `cannot connect to ${host}: ${problem.message}` : known(host);
  if (proxies.length === 0 || !NETWORK.has(problem.code)) return what;
  return `${what}; vidbatch uses no proxy, although ${proxies.join(' and ')} ${proxies.length === 1 ? 'is' : 'are'} set`;
}
