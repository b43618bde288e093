import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';

/** One POST as it reached the gateway. */
export interface Create {
  /** The body as text: every digit as it was sent. */
  text: string;
  prompt: string;
  authorization: string | undefined;
  /** When the whole request had arrived, in milliseconds. */
  at: number;
  /** How many POSTs with this prompt came before. */
  earlier: number;
}

/** A provider that answers each row in the way that its prompt names, as real gateways do. */
export interface OddGateway {
  url: string;
  creates: readonly Create[];
  /** POSTs whose prompt begins so. */
  of: (prompt: string) => Create[];
  /** Resolves when so many calls are open that wait for `release`. */
  held: (calls: number) => Promise<void>;
  release: () => void;
  close: () => Promise<void>;
}

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body: string | Buffer;
}

const created = (id: string): string => JSON.stringify({ id, task_id: id, status: 'queued' });
const encoded = (encoding: string, pack: (body: string) => Buffer) => (id: string) => ({
  headers: { 'content-encoding': encoding },
  body: pack(created(id)),
});
const once429 =
  (headers: () => Record<string, string>, body = '{}') =>
  (id: string, { earlier }: Create): Answer =>
    earlier === 0 ? { status: 429, headers: headers(), body } : { body: created(id) };

/** By the first word of the prompt; anything else is accepted plainly. */
const ANSWERS: Record<string, (id: string, create: Create) => Answer> = {
  gzip: encoded('gzip', gzipSync),
  br: encoded('br', brotliCompressSync),
  deflate: encoded('deflate', deflateSync),
  'half-gzip': (id) => ({
    headers: { 'content-encoding': 'gzip' },
    body: gzipSync(created(id)).subarray(0, 15),
  }),
  code1302: () => ({ body: JSON.stringify({ code: 1302, message: 'too many requests' }) }),
  'code1302-once': (id, { earlier }) => ({
    body: earlier === 0 ? JSON.stringify({ code: 1302, message: 'too many requests' }) : created(id),
  }),
  'request-id': () => ({
    body: JSON.stringify({ id: 'req-77', code: 'insufficient_user_quota', message: 'no balance' }),
  }),
  'in-data': (id) => ({ body: JSON.stringify({ code: 'success', data: { task_id: id } }) }),
  'data-text': (id) => ({ body: JSON.stringify({ code: 'success', data: id }) }),
  camel: (id) => ({ body: JSON.stringify({ taskId: id }) }),
  events: (id) => ({
    headers: { 'content-type': 'text/event-stream' },
    body: `data: {"progress":0}\n\ndata: ${created(id)}\n\ndata: [DONE]\n\n`,
  }),
  'two-events': (id) => ({
    headers: { 'content-type': 'text/event-stream' },
    body: `data: ${created(id)}\n\ndata: ${created(`${id}-b`)}\n\n`,
  }),
  'echo-key': (id, { authorization }) => ({
    body: created(`${id}-${authorization?.replace('Bearer ', '')}`),
  }),
  'same-task': () => ({ body: created('task_of_all') }),
  'number-id': () => ({ body: '{"task_id":738529527931269425}' }),
  'http-202': (id) => ({ status: 202, body: created(id) }),
  'bom-answer': (id) => ({ body: `\u{FEFF}${created(id)}` }),
  'wait-date': once429(() => ({ 'retry-after': new Date(Date.now() + 2_000).toUTCString() })),
  'wait-broken': once429(() => ({ 'retry-after': 'Tomorrow, 99 Foo' })),
  'wait-ms': once429(() => ({ 'retry-after-ms': '1500' })),
  'wait-reset': once429(() => ({ 'x-ratelimit-reset-requests': '1500ms' })),
  'wait-body': once429(() => ({}), JSON.stringify({ error: { message: 'slow down', retry_after: 1.5 } })),
};

const URL_OF_VIDEO = 'https://cdn.example.com/v/1.mp4';

/** By the second word of the prompt: what a question about the task is answered. */
const TASKS: Record<string, object> = {
  succeed: { status: 'succeed', video_url: URL_OF_VIDEO },
  done: { status: 'done', video_url: URL_OF_VIDEO },
  FINISHED: { status: 'FINISHED', video_url: URL_OF_VIDEO },
  canceled: { status: 'canceled' },
  error: { status: 'error', error: { message: 'no luck' } },
  rejected: { status: 'rejected' },
  PENDING: { status: 'PENDING' },
  preparing: { state: 'Preparing' },
  task_status: { task_status: 'processing' },
  metadata: { status: 'completed', metadata: { url: URL_OF_VIDEO } },
  video_urls: { status: 'completed', video_urls: [URL_OF_VIDEO] },
  results: { status: 'completed', results: [{ url: URL_OF_VIDEO }] },
  output: { status: 'completed', output: URL_OF_VIDEO },
  outputs: { status: 'completed', output: [URL_OF_VIDEO] },
  content: { status: 'completed', content: { video_url: URL_OF_VIDEO } },
  creations: { status: 'completed', data: { data: { creations: [{ url: URL_OF_VIDEO }] } } },
  'url-object': { status: 'completed', url: { url: URL_OF_VIDEO } },
};

export async function startOddGateway(): Promise<OddGateway> {
  const creates: Create[] = [];
  const tasks = new Map<string, string>();
  const waiting: (() => void)[] = [];
  let open = false;
  let wake = (): void => undefined;

  const post = async (request: IncomingMessage): Promise<Answer> => {
    const text = await textOf(request);
    const { prompt } = JSON.parse(text) as { prompt: string };
    const create: Create = {
      text,
      prompt,
      authorization: request.headers.authorization,
      at: Date.now(),
      earlier: creates.filter((other) => other.prompt === prompt).length,
    };
    creates.push(create);
    const [manner = '', task = ''] = prompt.split(' ');
    const id = `task_${creates.length}`;
    tasks.set(id, task);
    if (manner === 'held' && !open) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        wake();
      });
    }
    return ANSWERS[manner]?.(id, create) ?? { body: created(id) };
  };
  const get = (path: string): Answer => {
    const id = path.split('/').at(-1) ?? '';
    const task = tasks.get(id);
    if (task === undefined) {
      return { status: 404, body: JSON.stringify({ code: 'task_not_exist', message: 'no such task' }) };
    }
    const shape = TASKS[task] ?? { status: 'in_progress' };
    return { body: JSON.stringify({ task_id: id, ...shape }) };
  };
  const server = createServer((request, response) => {
    const answered = request.method === 'POST' ? post(request) : Promise.resolve(get(request.url ?? '/'));
    void answered.then((answer) => {
      send(response, answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const release = (): void => {
    open = true;
    for (const resolve of waiting.splice(0)) resolve();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    creates,
    of: (prompt) => creates.filter((create) => create.prompt.startsWith(prompt)),
    async held(calls) {
      open = false;
      while (waiting.length < calls) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    release,
    async close() {
      release();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body);
}
