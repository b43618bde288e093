import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import type { Duplex } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import { guardedConnector, UnreachableAddress, type Reach } from './address.ts';
import { judgeHead, one, type Head, type Judgement, type Part } from './judgement.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const MOST_REDIRECTS = 5;
/** A body that brings less than this within the idle timeout has stalled. */
const LEAST_BYTES = 1024;

export interface TransferLimits {
  maxBytes: number;
  idleMs: number;
  /** The key, where a URL is the provider's own; called for each URL of a redirect. */
  headersFor?: (url: string) => Promise<Readonly<Record<string, string>>>;
}

/** A client for result URLs. It follows no redirect, and connects only to what `reach` allows. */
export function openClient(reach: Reach, idleMs: number): Agent {
  return new Agent({
    allowH2: false,
    pipelining: 1,
    connect: guardedConnector(reach, { timeoutMs: CONNECT_TIMEOUT_MS }),
    headersTimeout: idleMs,
    // `readBody` has its own timeout.
    bodyTimeout: 0,
    // Signed URLs are long, and a redirect to one is a header.
    maxHeaderSize: 65_536,
  });
}

/** The result of a GET, before its body is read. */
export type Opened =
  | {
      kind: 'answer';
      judgement: Exclude<Judgement, { kind: 'redirect' }>;
      head: Head;
      host: string;
      body: Body;
    }
  | { kind: 'again' | 'refused'; code: string; reason: string };

export type Body = Dispatcher.ResponseData['body'];

/** One GET, over at most five redirects; each target is checked like the URL itself. The caller reads or destroys the body. */
export async function openTransfer(
  client: Agent,
  url: string,
  headers: Readonly<Record<string, string>>,
  part: Part,
  { maxBytes, signal, headersFor }: TransferLimits & { signal: AbortSignal },
): Promise<Opened> {
  let target = URL.parse(url);
  for (let hop = 0; hop <= MOST_REDIRECTS; hop += 1) {
    if (target === null) return refused('BAD_URL', 'there is no valid result URL');
    if (target.protocol !== 'https:' && target.protocol !== 'http:') {
      return refused(
        'BAD_URL',
        `the result URL begins with ${target.protocol}, which is neither https: nor http:`,
      );
    }
    const { host } = target;
    let answer: Dispatcher.ResponseData;
    try {
      answer = await client.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: 'GET',
        // The bytes that travel are the bytes that are stored, so that lengths and ranges fit both.
        headers: {
          accept: 'video/*, */*;q=0.5',
          'accept-encoding': 'identity',
          ...headers,
          ...(await headersFor?.(target.href)),
        },
        signal,
      });
    } catch (error) {
      return broken(error, host);
    }
    const head: Head = { status: answer.statusCode, headers: answer.headers };
    const judgement = judgeHead(head, part, { maxBytes, now: Date.now() });
    if (judgement.kind !== 'redirect') return { kind: 'answer', judgement, head, host, body: answer.body };
    answer.body.on('error', () => undefined).destroy();
    target = URL.parse(judgement.to, target.href);
  }
  return refused('TOO_MANY_REDIRECTS', `more than ${MOST_REDIRECTS} redirects`);
}

function refused(code: string, reason: string): Opened {
  return { kind: 'refused', code, reason };
}

/**
 * A transfer that broke. The bytes that arrived are kept. It names only the host, because the rest of the URL is
 * signed.
 */
export function broken(error: unknown, host: string): Extract<Opened, { kind: 'again' | 'refused' }> {
  if (error instanceof UnreachableAddress) {
    return {
      kind: 'refused',
      code: 'PRIVATE_ADDRESS',
      reason: `${error.message}; --allow-private or --allow-host allows this connection`,
    };
  }
  const { code, message = '' } = error as { code?: string; message?: string };
  const why = BROKEN[code ?? ''] ?? (code === undefined ? message : code);
  return { kind: 'again', code: 'BROKEN', reason: `${host}: ${why}` };
}

const BROKEN: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_SOCKET: 'the connection was closed in the middle',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer has another length than its header says',
  ECONNRESET: 'the connection was reset',
  ECONNREFUSED: 'the connection was refused',
  ENOTFOUND: 'there is no such host',
  STALLED: 'no more bytes arrived',
};

/** Whether the answer says where its body ends. Otherwise only the end of the connection does. */
export function isFramed(head: Head): boolean {
  return one(head, 'content-length') !== undefined || one(head, 'transfer-encoding') !== undefined;
}

/**
 * Reads a body to its end, into `sink`. Returns the bytes that travelled.
 * @throws what the connection, the decoder or the sink throws; then the body is not whole.
 */
export async function readBody(
  body: Body,
  encoding: string | null,
  { idleMs, signal }: { idleMs: number; signal: AbortSignal },
  sink: (chunk: Buffer) => Promise<void>,
): Promise<number> {
  let bytes = 0;
  async function* travelled(): AsyncGenerator<Buffer> {
    for await (const chunk of unstalled(body, idleMs)) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  const write = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) await sink(chunk);
  };
  try {
    if (encoding === null) await write(travelled());
    else await pipeline(travelled(), decoderOf(encoding), write, { signal });
  } finally {
    body.on('error', () => undefined).destroy();
  }
  return bytes;
}

function decoderOf(encoding: string): Duplex {
  if (encoding === 'br') return createBrotliDecompress();
  return encoding === 'deflate' ? createInflate() : createGunzip();
}

/** Ends a body that stalls. The time that the disk takes does not count. */
async function* unstalled(body: Body, idleMs: number): AsyncGenerator<Buffer> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let waitedMs = 0;
  let came = 0;
  for (;;) {
    const from = performance.now();
    const next = chunks.next();
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(Object.assign(new Error('stalled'), { code: 'STALLED' })),
        Math.max(1, idleMs - waitedMs),
      );
    });
    let result: IteratorResult<Buffer>;
    try {
      result = await Promise.race([next, stalled]);
    } catch (error) {
      // The reader destroys the body; the rejection that follows is not used.
      next.catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (result.done === true) return;
    waitedMs += performance.now() - from;
    came += result.value.length;
    if (came >= LEAST_BYTES) [waitedMs, came] = [0, 0];
    yield result.value;
  }
}
