import type { Dispatcher } from 'undici';
import { messageOf } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Answer, Problem } from './answer.ts';
import { decodeBody } from './content-coding.ts';
import type { Evidence } from '../core/outcome.ts';

/** The result of one HTTP call: an answer, or the phase in which the call failed before an answer. */
export type Exchange =
  { kind: 'answer'; answer: Answer } | { kind: 'failure'; phase: Evidence['phase']; problem: Problem };

export interface ExchangeRequest {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** Called directly before the write to the socket; false: do not send. */
  mayLeave?: (() => boolean) | undefined;
  /** Gives up the answer. Never used for a paid request. */
  signal?: AbortSignal | undefined;
}

/** The largest answer, also when inflated. Answers of this endpoint are under a kilobyte. */
export const ANSWER_LIMIT = 1_048_576;

/** One request, sent at most once. `timeoutMs` covers everything up to the last byte of the answer. Never rejects. */
export function exchange(
  dispatcher: Dispatcher,
  { mayLeave = () => true, signal, ...request }: ExchangeRequest,
  timeoutMs: number,
): Promise<Exchange> {
  const call = new Call(request.method === 'POST', mayLeave, timeoutMs);
  const abandon = (): void => call.abandon();
  signal?.addEventListener('abort', abandon);
  void call.result.then(() => signal?.removeEventListener('abort', abandon));
  // undici's own timers are off: one timer covers connection, head and body.
  dispatcher.dispatch({ ...request, body: request.body ?? null, headersTimeout: 0, bodyTimeout: 0 }, call);
  return call.result;
}

/**
 * The handler of one request. undici calls `onRequestStart` synchronously before the write to the socket: until then,
 * nothing has left this process.
 */
class Call implements Dispatcher.DispatchHandler {
  readonly result: Promise<Exchange>;
  readonly #settle: (exchange: Exchange) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #isPost: boolean;
  readonly #mayLeave: () => boolean;
  readonly #timeoutMs: number;
  #phase: Evidence['phase'] = 'connecting';
  #settled = false;
  #controller: Dispatcher.DispatchController | undefined;
  #head: Pick<Answer, 'status' | 'headers'> | undefined;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(isPost: boolean, mayLeave: () => boolean, timeoutMs: number) {
    const { promise, resolve } = Promise.withResolvers<Exchange>();
    this.result = promise;
    this.#settle = resolve;
    this.#isPost = isPost;
    this.#mayLeave = mayLeave;
    this.#timeoutMs = timeoutMs;
    this.#timer = setTimeout(() => this.#expire(), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // It was already reported as not sent, or undici is about to send it a second time. It must not reach the socket.
    if (this.#settled || this.#phase !== 'connecting') {
      controller.abort(new Error('a request is sent at most once'));
      return;
    }
    if (this.#isPost) crashPoint('connected');
    if (!this.#mayLeave()) {
      this.#finish({ code: 'STALE_CLAIM', message: 'its claim grew old before the request could leave' });
      controller.abort(new Error('a stale request is not sent'));
      return;
    }
    this.#controller = controller;
    this.#phase = 'sending';
    if (this.#isPost) crashPoint('sending');
  }

  onRequestSent(): void {
    if (this.#phase !== 'sending') return;
    this.#phase = 'sent';
    if (this.#isPost) crashPoint('sent');
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx comes before the answer.
    if (status < 200) return;
    this.#phase = 'answering';
    this.#head = { status, headers };
    if (this.#isPost) crashPoint('answering');
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk.subarray(0, ANSWER_LIMIT - this.#size));
    this.#size += chunk.length;
    if (this.#size > ANSWER_LIMIT) {
      controller.abort(problemError('ANSWER_TOO_LARGE', `it is larger than ${ANSWER_LIMIT} bytes`));
    }
  }

  onResponseEnd(): void {
    this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#finish(problemOf(error));
  }

  abandon(): void {
    if (this.#settled) return;
    const problem = { code: 'ABANDONED', message: 'vidbatch no longer waits for the answer' };
    this.#controller?.abort(problemError(problem.code, problem.message));
    this.#finish(problem);
  }

  #expire(): void {
    const problem = { code: 'TIMEOUT', message: `no complete answer within ${this.#timeoutMs / 1000} s` };
    if (this.#phase === 'connecting') {
      this.#finish(problem);
      return;
    }
    // After a pause of the process, timers run before sockets are read. One turn of the event loop reads an answer that is
    // already there.
    setImmediate(() => {
      if (this.#settled) return;
      this.#controller?.abort(problemError(problem.code, problem.message));
      this.#finish(problem);
    });
  }

  #finish(problem?: Problem): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    if (this.#head === undefined) {
      const unknown = { code: 'NO_ANSWER', message: 'the exchange ended without an answer' };
      this.#settle({ kind: 'failure', phase: this.#phase, problem: problem ?? unknown });
      return;
    }
    const encoding = this.#head.headers['content-encoding'];
    const { text, raw, problem: undecoded } = decodeBody(Buffer.concat(this.#chunks), encoding, ANSWER_LIMIT);
    const cutOff = problem ?? undecoded;
    this.#settle({ kind: 'answer', answer: defined({ ...this.#head, body: text, raw, cutOff }) });
  }
}

function problemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Node's connect errors to several addresses come as one AggregateError without a message. */
function problemOf(error: unknown): Problem {
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const inner: unknown[] = error instanceof AggregateError ? error.errors : [];
  const message = messageOf(error) || inner.map(messageOf).join('; ');
  return {
    code: code ?? (error instanceof Error ? error.name : 'UNKNOWN'),
    message: message || 'unknown error',
  };
}
