import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once as happens } from 'node:events';
import type { AddressInfo } from 'node:net';

/** One POST as it reached the gateway. */
export interface Create {
  path: string;
  prompt: string;
  /** The header `X-Once`. */
  once: string | undefined;
  authorization: string | undefined;
}

/** A provider that speaks the built-in default, and beside it a dialect of its own below `/api/`. */
export interface TwoDialects {
  url: string;
  creates: readonly Create[];
  /** Paths of questions about tasks. */
  asked: readonly string[];
  /** What a task of its own dialect says of its state. */
  word: string;
  /** How a POST is answered. After `hangs up` it is not known whether it was accepted. */
  answers: 'accepts' | 'hangs up' | 'hangs up once' | 'without an id';
  /** Whether an answer to a question of the own dialect tells a price. */
  price: number | undefined;
  close: () => Promise<void>;
}

/** As `--profile` names it: the default, but for paths and places. `more`: lines that stand behind. */
export function ownProfile(name = 'own-gateway', more = ''): string {
  return `profile: 1
extends: vidu-gateway
name: ${name}
create:
  path: /api/jobs
  taskId: [job.number]
  id: []
  queryUrl: [job.watch]
task:
  path: /api/jobs/{id}
  id: [job.number]
  in: [.]
  status: [job.phase]
  words: { completed: [ready] }
  result: [job.film]
  cost: { at: job.price, unit: coin }
${more}`;
}

export async function startTwoDialects(): Promise<TwoDialects> {
  const creates: Create[] = [];
  const asked: string[] = [];
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const say = (body: object, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const own = path.startsWith('/api/');
    if (request.method === 'GET') {
      asked.push(path);
      const id = path.split(/[/?]/).find((part) => part.startsWith('t-')) ?? '';
      const film = `https://cdn.example/${id}.mp4`;
      say(
        own
          ? { job: { number: id, phase: gateway.word, film, price: gateway.price } }
          : { task_id: id, status: 'completed', video_url: film },
      );
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { prompt } = JSON.parse(Buffer.concat(chunks).toString()) as { prompt: string };
    const once = request.headers['x-once'];
    creates.push({
      path,
      prompt,
      once: typeof once === 'string' ? once : undefined,
      authorization: request.headers.authorization,
    });
    if (gateway.answers === 'hangs up' || gateway.answers === 'hangs up once') {
      if (gateway.answers === 'hangs up once') gateway.answers = 'accepts';
      response.destroy();
      return;
    }
    if (gateway.answers === 'without an id') {
      say({ made: { work_id: 'w-7' } });
      return;
    }
    const id = `t-${creates.length}`;
    say(
      own
        ? { job: { number: id, watch: `${gateway.url}/api/watch/${id}?token=1` } }
        : { task_id: id, status: 'queued' },
    );
  }

  server.listen(0, '127.0.0.1');
  await happens(server, 'listening');
  const gateway: TwoDialects = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    creates,
    asked,
    word: 'ready',
    answers: 'accepts',
    price: undefined,
    async close() {
      server.closeAllConnections();
      server.close();
      await happens(server, 'close');
    },
  };
  return gateway;
}
