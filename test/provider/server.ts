import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** One request as it stood on the wire. */
export interface WireRequest {
  method: string;
  path: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
  socket: Socket;
  /** How many requests this socket has carried, from 1. */
  nth: number;
}

export interface WireServer {
  url: string;
  /** Every request that was read whole. */
  requests: WireRequest[];
  posts(): number;
  close(): Promise<void>;
}

/** A server that does to each request whatever `answer` does to its socket. */
export async function wireServer(answer: (request: WireRequest) => void): Promise<WireServer> {
  const requests: WireRequest[] = [];
  const server = createServer((socket) => {
    let text = '';
    let nth = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let taken = take(text); taken !== undefined; taken = take(text)) {
        text = taken.rest;
        const request = { ...taken.request, socket, nth: ++nth };
        requests.push(request);
        answer(request);
      }
    });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    posts: () => requests.filter(({ method }) => method === 'POST').length,
    close: () => closed(server),
  };
}

function take(text: string) {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  );
  const from = end + 4;
  const to = from + Number(headers['content-length'] ?? 0);
  if (text.length < to) return undefined;
  const body = Buffer.from(text.slice(from, to), 'latin1').toString();
  return { request: { method, path, headers, body }, rest: text.slice(to) };
}

const sockets = new WeakMap<Server, Set<Socket>>();

/** Listens on a free port of this machine, and returns it. */
export async function listen(server: Server): Promise<number> {
  const open = new Set<Socket>();
  sockets.set(server, open);
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Closes a server that `listen` opened, with every connection to it. */
export async function closed(server: Server): Promise<void> {
  const done = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const socket of sockets.get(server) ?? []) socket.destroy();
  await done;
}

/** A whole HTTP/1.1 answer with its length. */
export function http(status: number, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  return `HTTP/1.1 ${status} Any\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

export const ACCEPTANCE =
  '{"id":"task_1","task_id":"task_1","object":"video.generation.job","status":"queued"}';
