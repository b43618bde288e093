import { headerOf, headersOf, requestIdOf, storedBody, type Answer, type Problem } from './answer.ts';
import { parseValue, readEvents } from './answer-body.ts';
import { UNDECODED } from './content-coding.ts';
import type { Dialect } from './dialect.ts';
import { firstOf } from './profile/path.ts';
import type { RefusalKind } from './profile/outcome-schema.ts';
import type { Refusal } from './refusal.ts';
import { defined } from '../core/json.ts';
import type { Evidence, Outcome } from '../core/outcome.ts';
import { oneLine } from '../core/text.ts';

interface JudgeOptions {
  /** Milliseconds since the epoch, for a `Retry-After` date in an answer without `Date`. */
  now: number;
  /** Removes the API key from a text, before the text is cut. */
  redact?: (text: string) => string;
  /** `Accepted.queryUrl` of a URL in the answer; undefined: it is not at the provider's own origin. */
  queryUrlOf?: (url: string) => string | undefined;
}

/**
 * The outcome of an answer to a POST, by the provider's dialect. Never throws. An answer with a task id may be an acceptance,
 * also with a refusing status or code: such a row is never sent again, and no profile changes that.
 */
export function judge(answer: Answer, dialect: Dialect, options: JudgeOptions): Outcome {
  return new Judge(answer, dialect, options).judge();
}

class Judge {
  readonly #answer: Answer;
  readonly #dialect: Dialect;
  readonly #options: JudgeOptions;
  /** The JSON of the body; undefined: it is not JSON. */
  readonly #value: unknown;
  /** The body, or the events in it. */
  readonly #values: readonly unknown[];

  constructor(answer: Answer, dialect: Dialect, options: JudgeOptions) {
    this.#answer = answer;
    this.#dialect = dialect;
    this.#options = options;
    this.#value = parseValue(answer.body);
    this.#values = this.#value === undefined ? readEvents(answer.body) : [this.#value];
  }

  judge(): Outcome {
    const outcome = this.#byTable();
    const refusesTask =
      outcome.kind !== 'accepted' && this.#dialect.taskIds.areIn(this.#answer.body, this.#values);
    return refusesTask ? { kind: 'uncertain', evidence: outcome.evidence } : outcome;
  }

  #byTable(): Outcome {
    const { status } = this.#answer;
    if (status >= 200 && status <= 299) return this.#success();
    if (status >= 300 && status <= 399) {
      const evidence = this.#evidence('REDIRECT', redirectMessage(this.#answer));
      const halts = this.#dialect.outcomes.ofStatus(status) === 'halted';
      return halts ? { kind: 'halted', evidence } : { kind: 'uncertain', evidence };
    }
    const refusal = this.#refusal();
    const { kind, code } = this.#decide(refusal);
    return this.#refused(kind, code, refusal.said ?? `HTTP ${status} without a message`);
  }

  #refusal(): Refusal {
    return this.#dialect.refusals.read(this.#value, this.#answer.body);
  }

  #refused(kind: RefusalKind, code: string | undefined, message: string): Outcome {
    const evidence = this.#evidence(code, message);
    if (kind !== 'throttled' && kind !== 'not-sent') return { kind, evidence };
    const afterMs = this.#dialect.waits.read({
      answer: this.#answer,
      value: this.#value,
      now: this.#options.now,
      throttled: kind === 'throttled',
    });
    return { kind, retry: defined({ afterMs }), evidence };
  }

  /**
   * A task id is an acceptance, also of a failed task. A plain id beside an error may be the id of the request: then, and
   * without an id, a known code decides, or else the outcome is uncertain.
   */
  #success(): Outcome {
    const { taskIds, refusals } = this.#dialect;
    const values = this.#values;
    const found = this.#value === undefined ? taskIds.findInAll(values) : taskIds.find(this.#value);
    let { taskId } = found;
    if (taskId === undefined) {
      const refusal = this.#refusal();
      const known = kindByCode(refusal, this.#answer.status, this.#dialect);
      const failed = known !== undefined || values.some((one) => refusals.tellsError(one));
      taskId = failed ? undefined : found.id;
      if (taskId === undefined) return this.#withoutTask(refusal, known);
    }
    return { kind: 'accepted', taskId, ...this.#accepted(), evidence: this.#evidence() };
  }

  /** What an acceptance tells besides the task id. */
  #accepted(): { providerStatus?: string; queryUrl?: string; replayed?: true } {
    const { create, replayed } = this.#dialect;
    const { redact = same, queryUrlOf } = this.#options;
    const extras: { providerStatus?: string; queryUrl?: string; replayed?: true } = {};
    for (const value of this.#values) {
      const status = extras.providerStatus ?? firstOf(value, create.status, text);
      if (status !== undefined) extras.providerStatus = oneLine(redact(status), 100);
      const url = extras.queryUrl ?? firstOf(value, create.queryUrl, (one) => queryUrlOf?.(text(one) ?? ''));
      if (url !== undefined) extras.queryUrl = url;
    }
    if (replayed !== undefined && !/^(|0|false|no)$/i.test(headerOf(this.#answer, replayed) ?? ''))
      extras.replayed = true;
    return extras;
  }

  /** Unknown codes and texts are no proof that the row was not accepted, and neither is a part of an answer. */
  #withoutTask(refusal: Refusal, byCode: Known | undefined): Outcome {
    const { status, cutOff } = this.#answer;
    const said = `HTTP ${status} without a readable task id`;
    const code = refusal.layers[0]?.find((one) => this.#dialect.refusals.isError(one)) ?? 'NO_TASK_ID';
    if (cutOff === undefined) {
      const kind = this.#dialect.outcomes.ofText(refusal.message, status);
      const known = byCode ?? (kind === undefined ? undefined : { kind, code });
      if (known !== undefined) return this.#refused(known.kind, known.code, refusal.said ?? said);
    }
    const why = cutOff === undefined ? refusal.said : formatCutOff(cutOff);
    return this.#refused('uncertain', code, why === undefined ? said : `${said}: ${why}`);
  }

  /** The innermost known code decides; then words in the message; then the status. */
  #decide(refusal: Refusal): { kind: RefusalKind; code?: string } {
    const { status, cutOff } = this.#answer;
    const known = kindByCode(refusal, this.#answer.status, this.#dialect);
    if (known !== undefined) return known;
    const last = refusal.layers.at(-1)?.[0];
    const code = last === undefined ? {} : { code: pathOf(this.#dialect, refusal.layers.length - 1, last) };
    const byStatus = this.#dialect.outcomes.ofStatus(status);
    // An unreadable body, or the lost part of one, may say that the request was passed on.
    if (
      cutOff !== undefined &&
      (byStatus === 'uncertain' || (cutOff.code === UNDECODED && !refusal.readable))
    )
      return { kind: 'uncertain', ...code };
    const kind = this.#dialect.outcomes.ofText(refusal.message, status) ?? byStatus;
    return { kind: kind === 'rejected' && !this.#hasVerdict(refusal) ? 'uncertain' : kind, ...code };
  }

  /**
   * `rejected` invites a person to send the row again, so it needs a readable verdict, such as the vendor's JSON at HTTP 400.
   * A cut-off body, or a wrapper around text that is not JSON, may come from a proxy that passed the request on. A wrong
   * `uncertain` costs a look; a wrong `rejected` costs a second payment.
   */
  #hasVerdict(refusal: Refusal): boolean {
    return refusal.readable || (this.#answer.cutOff === undefined && refusal.layers.length === 0);
  }

  #evidence(code?: string, message?: string): Evidence {
    const answer = this.#answer;
    const redact = this.#options.redact ?? same;
    const line = (one: string | undefined, limit?: number): string | undefined =>
      one === undefined ? undefined : oneLine(redact(one), limit);
    const isEmpty = answer.body === '' && answer.raw === undefined;
    return defined({
      httpStatus: answer.status,
      code: line(code, 200),
      message: line(message),
      body: isEmpty ? undefined : storedBody(answer, redact),
      requestId: line(requestIdOf(answer, this.#dialect.requestIds)),
      headers: headersOf(answer, redact),
      phase: answer.cutOff === undefined ? 'answered' : 'answering',
    });
  }
}

interface Known {
  kind: RefusalKind;
  code: string;
}

/** The innermost code that the configuration or the profile knows at this status. */
export function kindByCode(refusal: Refusal, status: number, dialect: Dialect): Known | undefined {
  for (const [depth, layer] of [...refusal.layers.entries()].toReversed()) {
    for (const word of layer) {
      const code = pathOf(dialect, depth, word);
      const kind = dialect.outcomes.ofCode(word, code, depth > 0, status);
      if (kind !== undefined) return { kind, code };
    }
  }
  return undefined;
}

/** A code with the wrappers around it, such as `outer/inner`. */
function pathOf({ refusals }: Dialect, depth: number, code: string): string {
  return `${`${refusals.wrapper}/`.repeat(depth)}${code}`;
}

function formatCutOff({ code, message }: Problem): string {
  return code === UNDECODED
    ? `the answer cannot be decoded (${message})`
    : `the answer was cut off (${message})`;
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

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function same(one: string): string {
  return one;
}
