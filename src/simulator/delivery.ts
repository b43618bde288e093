import { gzipSync } from 'node:zlib';
import { usageError } from '../core/errors.ts';
import { html } from './answer.ts';
import { parseRated, quote } from './random.ts';
import { Video } from './video.ts';

/** The answer to a GET of a result: its head, its bytes, and its end. */
export interface Delivery {
  status: number;
  headers: Record<string, string>;
  body: Iterable<Buffer>;
  /** After half of the body, or after `after` bytes. */
  end?: 'close' | 'reset' | 'stall';
  after?: number;
  /** In pieces, over slowMs. */
  slow?: true;
  /** It ends with the connection. */
  unframed?: true;
}

/** A GET of a result. */
export interface Asked {
  taskId: string;
  size: number;
  modifiedAt: number;
  range: string | null;
  ifRange: string | null;
  /** Path and query. */
  target: string;
  /** The number of this GET, from 1. */
  number: number;
}

interface Fault {
  about: string;
  deliver: (asked: Asked) => Delivery;
}

/** The answer of an object store: the whole object, or the requested range if the object is unchanged. */
export function deliver(asked: Asked, video = new Video(asked.taskId, asked.size)): Delivery {
  const headers = {
    'content-type': 'video/mp4',
    'accept-ranges': 'bytes',
    etag: video.etag,
    'last-modified': new Date(asked.modifiedAt).toUTCString(),
  };
  const range = isSame(asked, video) ? readRange(asked.range, video.size) : undefined;
  if (range === undefined) return reply(200, headers, video.bytes(), video.size);
  const { from, to } = range;
  if (from >= video.size || from >= to)
    return reply(416, { 'content-range': `bytes */${video.size}` }, [], 0);
  const part = { ...headers, 'content-range': `bytes ${from}-${to - 1}/${video.size}` };
  return reply(206, part, video.bytes(from, to), to - from);
}

function reply(
  status: number,
  headers: Record<string, string>,
  body: Iterable<Buffer>,
  length: number,
): Delivery {
  return { status, headers: { ...headers, 'content-length': String(length) }, body };
}

function isSame({ ifRange, modifiedAt }: Asked, { etag }: Video): boolean {
  return ifRange === null || ifRange === etag || ifRange === new Date(modifiedAt).toUTCString();
}

/** `bytes=5-`, `bytes=5-9` or `bytes=-4`; `to` is after the last byte. */
function readRange(text: string | null, size: number): { from: number; to: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === '') return last === '' ? undefined : { from: Math.max(0, size - Number(last)), to: size };
  return { from: Number(first), to: last === '' ? size : Math.min(size, Number(last) + 1) };
}

function page(status: number, title: string, headers: Record<string, string> = {}): Delivery {
  const answer = html(status, title, headers);
  return text(status, answer.body, answer.headers);
}

function text(status: number, content: string, headers: Record<string, string>): Delivery {
  const body = Buffer.from(content);
  return reply(status, headers, [body], body.length);
}

/** In XML, as from S3, OSS and COS. */
export function storeError(status: number, code: string): Delivery {
  const content = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return text(status, content, { 'content-type': 'application/xml' });
}

function redirect(location: string): Delivery {
  return reply(302, { location }, [], 0);
}

const without = (delivery: Delivery, ...names: string[]): Delivery => ({
  ...delivery,
  headers: Object.fromEntries(Object.entries(delivery.headers).filter(([name]) => !names.includes(name))),
});
const withLength = (delivery: Delivery, more: number): Delivery => ({
  ...delivery,
  headers: {
    ...delivery.headers,
    'content-length': String(Number(delivery.headers['content-length']) + more),
  },
});

function* endless(): Generator<Buffer> {
  for (let number = 0; ; number += 1) yield* new Video(`endless-${number}`, 1_048_576).bytes();
}

const fault = (about: string, deliverIt: Fault['deliver']): Fault => ({ about, deliver: deliverIt });
const whole = (asked: Asked): Delivery => deliver({ ...asked, range: null });

/** Everything that can go wrong with a result, by name. */
export const RESULT_FAULTS = {
  'result-dead': fault('403, as an object store answers an old signature', () =>
    storeError(403, 'AccessDenied'),
  ),
  'result-missing': fault('404 with a page', () => page(404, '404 Not Found')),
  'result-gone': fault('410', () => page(410, '410 Gone')),
  'result-throttle': fault('429 with Retry-After: 1', () =>
    page(429, '429 Too Many Requests', { 'retry-after': '1' }),
  ),
  'result-503': fault('503 SlowDown', () => storeError(503, 'SlowDown')),
  'result-html': fault('200 with a page', () => page(200, 'Sign in')),
  'result-empty': fault('200, and no bytes', () => text(200, '', { 'content-type': 'video/mp4' })),
  'result-truncated': fault('half of it, then the connection is closed in order', (asked) => ({
    ...deliver(asked),
    end: 'close',
  })),
  'result-reset': fault('half of it, then a reset', (asked) => ({ ...deliver(asked), end: 'reset' })),
  'result-stall': fault('half of it, then nothing', (asked) => ({ ...deliver(asked), end: 'stall' })),
  'result-slow': fault('in drops over slowMs', (asked) => ({ ...deliver(asked), slow: true })),
  'result-long': fault('a Content-Length of 1000 bytes more than there are', (asked) => ({
    ...withLength(deliver(asked), 1000),
    end: 'close',
    after: Infinity,
  })),
  'result-cut': fault('well-formed HTTP, and the video lacks its last 100 bytes', (asked) => {
    const video = new Video(asked.taskId, asked.size);
    return { ...withLength(whole(asked), -100), body: video.bytes(0, video.size - 100) };
  }),
  'result-endless': fault('bytes without end', (asked) => ({
    ...without(whole(asked), 'content-length'),
    body: endless(),
  })),
  'result-huge': fault('a Content-Length of ten terabytes, and bytes without end', (asked) => ({
    ...withLength(whole(asked), 1e13),
    body: endless(),
  })),
  'result-chunked': fault('chunked, without its length', (asked) => without(whole(asked), 'content-length')),
  'result-unframed': fault('without its length; it ends with the connection', (asked) => ({
    ...without(whole(asked), 'content-length'),
    unframed: true,
  })),
  'result-unframed-truncated': fault('the same, and half of it is missing', (asked) => ({
    ...without(whole(asked), 'content-length'),
    unframed: true,
    end: 'close',
    after: asked.size / 2,
  })),
  'result-gzip': fault('compressed, although the client did not ask for it', (asked) => {
    const { status, headers, body } = whole(asked);
    const zipped = gzipSync(Buffer.concat([...body]));
    return reply(status, { ...headers, 'content-encoding': 'gzip' }, [zipped], zipped.length);
  }),
  'result-ignores-range': fault('200 and the whole video for any range', (asked) => whole(asked)),
  'result-wrong-range': fault('206 with a wrong range', (asked) =>
    asked.range === null ? deliver(asked) : deliver({ ...asked, range: 'bytes=1-', ifRange: null }),
  ),
  'result-changes': fault('another video, with another ETag, each time', (asked) =>
    deliver(asked, new Video(`${asked.taskId}-${asked.number}`, asked.size)),
  ),
  'result-no-validator': fault('neither ETag nor Last-Modified', (asked) =>
    without(deliver(asked), 'etag', 'last-modified'),
  ),
  'result-octets': fault('application/octet-stream, the default type of object stores', (asked) => {
    const good = deliver(asked);
    return { ...good, headers: { ...good.headers, 'content-type': 'application/octet-stream' } };
  }),
  'result-redirect': fault('one redirect, then the video', (asked) =>
    asked.target.includes('hop=1') ? deliver(asked) : redirect(`${asked.target}&hop=1`),
  ),
  'result-redirect-loop': fault('redirects to itself', (asked) => redirect(asked.target)),
  'result-redirect-private': fault('redirects to an address of a private network', () =>
    redirect('http://10.255.255.1/video.mp4'),
  ),
  'result-redirect-metadata': fault("redirects to a cloud's metadata service", () =>
    redirect('http://169.254.169.254/latest/meta-data/'),
  ),
  'result-redirect-file': fault('redirects to file:///etc/passwd', () => redirect('file:///etc/passwd')),
} as const satisfies Record<string, Fault>;

export type ResultFaultName = keyof typeof RESULT_FAULTS;

export const RESULT_FAULT_NAMES = Object.keys(RESULT_FAULTS) as ResultFaultName[];

/** A fault of a GET of a result. Throws a usage error that lists what is known. */
export function parseResultFaultName(name: string): ResultFaultName {
  const trimmed = name.trim();
  if (!Object.hasOwn(RESULT_FAULTS, trimmed)) {
    const known = `known: ${RESULT_FAULT_NAMES.join(', ')}`;
    throw usageError('unknown-fault', `fault ${quote(trimmed)} is not one of a result`, known);
  }
  return trimmed as ResultFaultName;
}

export function parseResultFault(spec: string): { name: ResultFaultName; rate: number } {
  const { name, rate } = parseRated('fault', spec);
  return { name: parseResultFaultName(name), rate };
}
