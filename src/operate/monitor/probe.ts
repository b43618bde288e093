import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import { HTTP_LIMITS, limitServer, serverOptions, hostOf } from './listen.ts';
import type { Address } from './listen.ts';

/** Reasons why not; empty: all is well. */
export type Finding = string[];

/** The answers. None may reject, or take longer than a few seconds. */
export interface Subject {
  alive(): Promise<Finding>;
  ready(): Promise<Finding>;
  metrics(): Promise<{ type: string; text: string }>;
}

interface Probe {
  /** Without a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  type?: string;
  text: string;
}

/**
 * `/healthz`, `/readyz` and `/metrics`. Everyone who reaches the port may read them: they hold numbers and names of states, no
 * secret, no prompt and no batch, and nothing can be written. The Host header is not checked, as the board checks it, because
 * a kubelet and a Prometheus ask by address. A web page that gets here by DNS rebinding learns how many rows there are.
 * @throws VidbatchError exit 1 when it cannot listen there.
 */
export async function startProbe(address: Address, subject: Subject, limits = HTTP_LIMITS): Promise<Probe> {
  const server = createServer(serverOptions(limits), (request, response) => {
    void answer(subject, request).then(
      (found) => send(response, request, found),
      (error: unknown) => send(response, request, failed(messageOf(error))),
    );
  });
  limitServer(server, limits);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(address, error)));
    server.listen(address, resolve);
  });
  // From now on an error concerns one connection only.
  server.on('error', () => undefined);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${hostOf(address, 'localhost')}:${port}`,
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(subject: Subject, { method, url = '/' }: IncomingMessage): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, text: jsonOf({ error: { code: 'READ_ONLY', message: 'only GET and HEAD' } }) };
  const [path = ''] = url.split('?', 1);
  switch (path) {
    case '/healthz':
      return found('alive', await subject.alive());
    case '/readyz':
      return found('ready', await subject.ready());
    case '/metrics': {
      const { type, text } = await subject.metrics();
      return { status: 200, type, text };
    }
    default:
      return {
        status: 404,
        text: jsonOf({ error: { code: 'NOT_FOUND', message: 'there are /healthz, /readyz and /metrics' } }),
      };
  }
}

function found(name: 'alive' | 'ready', reasons: Finding): Answer {
  const well = reasons.length === 0;
  return { status: well ? 200 : 503, text: jsonOf({ [name]: well, ...(well ? {} : { reasons }) }) };
}

function failed(message: string): Answer {
  return { status: 500, text: jsonOf({ error: { code: 'UNEXPECTED', message } }) };
}

function jsonOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function send(response: ServerResponse, { method }: IncomingMessage, { status, type, text }: Answer): void {
  response.writeHead(status, {
    'content-type': type ?? 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(method === 'HEAD' ? undefined : text);
}

function cannotListen(address: Address, error: NodeJS.ErrnoException): VidbatchError {
  const where = `${hostOf(address, '')}:${address.port}`;
  const taken = error.code === 'EADDRINUSE';
  return new VidbatchError(
    'CANNOT_LISTEN',
    `--http ${where}: cannot listen there: ${taken ? 'something listens there already' : error.message}`,
    taken ? { hint: 'Give another port, or 0 for any that is free.' } : {},
  );
}
