import type { Dispatcher } from 'undici';
import { messageOf } from '../core/errors.ts';
import { reached } from '../core/point.ts';
import type { Answer, Problem } from './answer.ts';
import { decodeBody } from './content-coding.ts';
import type { Evidence } from '../core/outcome.ts';

/** What one HTTP call came to: an answer whose head arrived, or the point at which it broke before that. */
export type Exchange =
  { kind: 'answer'; answer: Answer } | { kind: 'failure'; phase: Evidence['phase']; problem: Problem };

export interface ExchangeRequest {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** Asked when nothing but the write to the socket is left to do; false: it is not sent. */
  mayLeave?: () => boolean;
  /** Of whoever no longer wants the answer. Not for what is paid for. */
  signal?: AbortSignal;
}

/** More than this, also when inflated, is not an answer of this endpoint, whose answers are under a kilobyte. */
export const ANSWER_LIMIT = 1_048_576;

/**
 * One request over `dispatcher`, sent at most once. `timeoutMs` covers everything from this call to the last byte
 * of the answer. Never rejects.
 */
export function exchange(
  dispatcher: Dispatcher,
  { mayLeave = () => true, signal, ...request }: ExchangeRequest,
  timeoutMs: number,
): Promise<Exchange> {
  const call = new Call(request.method === 'POST', mayLeave, timeoutMs);
  const abandon = (): void => call.abandon();
  signal?.addEventListener('abort', abandon);
  void call.result.then(() => signal?.removeEventListener('abort', abandon));
  // undici's own two timers are off: one clock judges, and it covers the connection and the body as well.
  dispatcher.dispatch({ ...request, body: request.body ?? null, headersTimeout: 0, bodyTimeout: 0 }, call);
  return call.result;
}

/**
 * undici's view of one request. `onRequestStart` is the last thing that undici does for this handler before it
 * publishes `undici:client:sendHeaders` and writes to the socket, all in one synchronous stretch: until it is called,
 * nothing has left this process. Unlike the channel, it belongs to one request by construction.
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
    // Settled: its time ran out while it waited for a connection, and it has been reported as not sent.
    // Begun before: undici is about to send it a second time. Either way it must not reach the socket.
    if (this.#settled || this.#phase !== 'connecting') {
      controller.abort(new Error('a request is sent at most once'));
      return;
    }
    if (this.#isPost) reached('connected');
    if (!this.#mayLeave()) {
      this.#finish({ code: 'STALE_CLAIM', message: 'its claim grew old before the request could leave' });
      controller.abort(new Error('a stale request is not sent'));
      return;
    }
    this.#controller = controller;
    this.#phase = 'sending';
    if (this.#isPost) reached('sending');
  }

  onRequestSent(): void {
    if (this.#phase !== 'sending') return;
    this.#phase = 'sent';
    if (this.#isPost) reached('sent');
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx is a note on the way to the answer.
    if (status < 200) return;
    this.#phase = 'answering';
    this.#head = { status, headers };
    if (this.#isPost) reached('answering');
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
    const problem = { code: 'ABANDONED', message: 'nobody waits for the answer any more' };
    this.#controller?.abort(problemError(problem.code, problem.message));
    this.#finish(problem);
  }

  #expire(): void {
    const problem = { code: 'TIMEOUT', message: `no complete answer within ${this.#timeoutMs / 1000} s` };
    if (this.#phase === 'connecting') {
      this.#finish(problem);
      return;
    }
    // A process that was stopped or busy finds its timers due before it looks at its sockets, in which the answer may
    // be lying. One turn of the event loop reads them.
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
    const answer: Answer = {
      ...this.#head,
      body: text,
      ...(raw === undefined ? {} : { raw }),
      ...(cutOff === undefined ? {} : { cutOff }),
    };
    this.#settle({ kind: 'answer', answer });
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
