import { gzipSync } from 'node:zlib';
import { html } from './answer.ts';
import { Video } from './video.ts';

/** What comes for a result: its head, its bytes, and how it ends. */
export interface Delivery {
  status: number;
  headers: Record<string, string>;
  body: Iterable<Buffer>;
  /** `close`, `reset` and `stall` strike when half of the body has been sent, or `after` so many bytes. */
  end?: 'close' | 'reset' | 'stall';
  after?: number;
  /** In drops, over slowMs. */
  slow?: true;
  /** Its end is the end of the connection, and nothing else tells it. */
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
  /** Which GET of a result this is, of all, from 1. */
  number: number;
}

export type Fault = { about: string; deliver: (asked: Asked) => Delivery };

/** As an object store answers: whole, or the range that was asked for if it is still the same object. */
export function deliver(asked: Asked, video = new Video(asked.taskId, asked.size)): Delivery {
  const headers = {
    'content-type': 'video/mp4',
    'accept-ranges': 'bytes',
    etag: video.etag,
    'last-modified': new Date(asked.modifiedAt).toUTCString(),
  };
  const range = isSame(asked, video) ? readRange(asked.range, video.size) : undefined;
  if (range === undefined) {
    return {
      status: 200,
      headers: { ...headers, 'content-length': String(video.size) },
      body: video.bytes(),
    };
  }
  const { from, to } = range;
  if (from >= video.size || from >= to) {
    return {
      status: 416,
      headers: { 'content-range': `bytes */${video.size}`, 'content-length': '0' },
      body: [],
    };
  }
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': String(to - from),
      'content-range': `bytes ${from}-${to - 1}/${video.size}`,
    },
    body: video.bytes(from, to),
  };
}

function isSame({ ifRange, modifiedAt }: Asked, { etag }: Video): boolean {
  return ifRange === null || ifRange === etag || ifRange === new Date(modifiedAt).toUTCString();
}

/** One range, as `bytes=5-`, `bytes=5-9` or `bytes=-4`; `to` is beyond its last byte. */
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
  return { status, headers: { ...headers, 'content-length': String(body.length) }, body: [body] };
}

/** S3, OSS and COS say it in XML. */
export function storeError(status: number, code: string): Delivery {
  const content = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return text(status, content, { 'content-type': 'application/xml' });
}

function redirect(location: string): Delivery {
  return { status: 302, headers: { location, 'content-length': '0' }, body: [] };
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

/** Everything that can go wrong with a result, by name. */
export const RESULT_FAULTS = {
  'result-dead': {
    about: '403, as an object store answers an old signature',
    deliver: () => storeError(403, 'AccessDenied'),
  },
  'result-missing': { about: '404 with a page', deliver: () => page(404, '404 Not Found') },
  'result-gone': { about: '410', deliver: () => page(410, '410 Gone') },
  'result-throttle': {
    about: '429 with Retry-After: 1',
    deliver: () => page(429, '429 Too Many Requests', { 'retry-after': '1' }),
  },
  'result-503': { about: '503 SlowDown', deliver: () => storeError(503, 'SlowDown') },
  'result-html': { about: '200 with a page', deliver: () => page(200, 'Sign in') },
  'result-empty': {
    about: '200, and no bytes',
    deliver: () => text(200, '', { 'content-type': 'video/mp4' }),
  },
  'result-truncated': {
    about: 'half of it, then the connection is closed in order',
    deliver: (asked) => ({ ...deliver(asked), end: 'close' }),
  },
  'result-reset': {
    about: 'half of it, then a reset',
    deliver: (asked) => ({ ...deliver(asked), end: 'reset' }),
  },
  'result-stall': {
    about: 'half of it, then nothing',
    deliver: (asked) => ({ ...deliver(asked), end: 'stall' }),
  },
  'result-slow': { about: 'in drops over slowMs', deliver: (asked) => ({ ...deliver(asked), slow: true }) },
  'result-long': {
    about: 'a Content-Length of 1000 bytes more than there are',
    deliver: (asked) => ({ ...withLength(deliver(asked), 1000), end: 'close', after: Infinity }),
  },
  'result-cut': {
    about: 'well-formed HTTP, and the video lacks its last 100 bytes',
    deliver: (asked) => {
      const video = new Video(asked.taskId, asked.size);
      return {
        ...withLength(deliver({ ...asked, range: null }), -100),
        body: video.bytes(0, video.size - 100),
      };
    },
  },
  'result-endless': {
    about: 'bytes without end',
    deliver: (asked) => ({
      ...without(deliver({ ...asked, range: null }), 'content-length'),
      body: endless(),
    }),
  },
  'result-huge': {
    about: 'a Content-Length of ten terabytes, and bytes without end',
    deliver: (asked) => ({ ...withLength(deliver({ ...asked, range: null }), 1e13), body: endless() }),
  },
  'result-chunked': {
    about: 'chunked, without its length',
    deliver: (asked) => without(deliver({ ...asked, range: null }), 'content-length'),
  },
  'result-unframed': {
    about: 'without its length; it ends with the connection',
    deliver: (asked) => ({
      ...without(deliver({ ...asked, range: null }), 'content-length'),
      unframed: true,
    }),
  },
  'result-unframed-truncated': {
    about: 'the same, and half of it is missing',
    deliver: (asked) => ({
      ...without(deliver({ ...asked, range: null }), 'content-length'),
      unframed: true,
      end: 'close',
      after: asked.size / 2,
    }),
  },
  'result-gzip': {
    about: 'compressed, though nobody asked for it',
    deliver: (asked) => {
      const whole = deliver({ ...asked, range: null });
      const body = gzipSync(Buffer.concat([...whole.body]));
      const headers = { ...whole.headers, 'content-encoding': 'gzip', 'content-length': String(body.length) };
      return { ...whole, headers, body: [body] };
    },
  },
  'result-ignores-range': {
    about: '200 and the whole, whatever range was asked for',
    deliver: (asked) => deliver({ ...asked, range: null }),
  },
  'result-wrong-range': {
    about: '206 with another range than was asked for',
    deliver: (asked) =>
      asked.range === null ? deliver(asked) : deliver({ ...asked, range: 'bytes=1-', ifRange: null }),
  },
  'result-changes': {
    about: 'another video, with another ETag, each time',
    deliver: (asked) => deliver(asked, new Video(`${asked.taskId}-${asked.number}`, asked.size)),
  },
  'result-no-validator': {
    about: 'neither ETag nor Last-Modified',
    deliver: (asked) => without(deliver(asked), 'etag', 'last-modified'),
  },
  'result-octets': {
    about: 'application/octet-stream, as object stores say when nobody has told them',
    deliver: (asked) => {
      const good = deliver(asked);
      return { ...good, headers: { ...good.headers, 'content-type': 'application/octet-stream' } };
    },
  },
  'result-redirect': {
    about: 'one redirect, then the video',
    deliver: (asked) => (asked.target.includes('hop=1') ? deliver(asked) : redirect(`${asked.target}&hop=1`)),
  },
  'result-redirect-loop': { about: 'redirects to itself', deliver: (asked) => redirect(asked.target) },
  'result-redirect-private': {
    about: 'redirects to an address of a private network',
    deliver: () => redirect('http://10.255.255.1/video.mp4'),
  },
  'result-redirect-metadata': {
    about: "redirects to a cloud's metadata service",
    deliver: () => redirect('http://169.254.169.254/latest/meta-data/'),
  },
  'result-redirect-file': {
    about: 'redirects to file:///etc/passwd',
    deliver: () => redirect('file:///etc/passwd'),
  },
} as const satisfies Record<string, Fault>;

export type ResultFaultName = keyof typeof RESULT_FAULTS;

export const RESULT_FAULT_NAMES = Object.keys(RESULT_FAULTS) as ResultFaultName[];
