import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A POST that the server got. */
export interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** How the server answers: status and body, or `silence`: never. */
export type Answer = { status: number; body?: string; location?: string } | 'silence';

/** A real HTTP server that keeps what is posted to it. */
export interface Recorder {
  url: string;
  all: Got[];
  /** The events of the JSON format, in the order of arrival. */
  events: () => string[];
  /** What the server answers from now on; a list: one after another, and then 200. */
  answer: (next: readonly Answer[] | Answer) => void;
  close: () => Promise<void>;
}

const OK: Answer = { status: 200, body: '{"errcode":0,"code":0}' };

export async function startRecorder(): Promise<Recorder> {
  const all: Got[] = [];
  let next: Answer[] = [];
  let always: Answer = OK;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      all.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() });
      const answer = next.shift() ?? always;
      if (answer === 'silence') return;
      const { status, body = '', location } = answer;
      response.writeHead(status, location === undefined ? {} : { location });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    events: () => all.map(({ body }) => (JSON.parse(body) as { event: string }).event),
    answer(given) {
      if (Array.isArray(given)) next = [...(given as Answer[])];
      else always = given as Answer;
    },
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      await closed;
    },
  };
}
