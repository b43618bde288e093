import { createServer, type Server, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { usageError, messageOf, VidbatchError } from '../../core/errors.ts';

/** Where to listen. Without a host, it is every address of this machine, IPv4 and IPv6. */
export interface Address {
  host?: string;
  /** 0: any free port. */
  port: number;
}

const ADDRESS = /^(?:\[(?<six>[\da-f:.]+(?:%\w+)?)\]|(?<host>[a-z\d.-]*)):(?<port>\d{1,5})$/i;

/**
 * `127.0.0.1:9090`, `[::1]:9090`, `localhost:0`, or `:9090` for every address, as Prometheus and its exporters write it.
 * @throws VidbatchError exit 2 for anything else. A bare number is refused, because it does not say who may connect.
 */
export function parseAddress(name: string, text: string): Address {
  const { six, host, port = '' } = ADDRESS.exec(text.trim())?.groups ?? {};
  const number = Number(port);
  if (port === '' || number > 65_535) {
    throw usageError(
      'BAD_ADDRESS',
      `${name}: "${text}" is not HOST:PORT, such as 127.0.0.1:9090, [::1]:9090, or :9090 for every address`,
      /^\d+$/.test(text.trim()) ? `:${text.trim()} listens on every address of this machine.` : undefined,
    );
  }
  const where = six ?? host;
  return { port: number, ...(where === undefined || where === '' ? {} : { host: where }) };
}

/** The host as it is written in a URL. */
export function hostOf({ host }: Address, fallback: string): string {
  const name = host ?? fallback;
  return name.includes(':') ? `[${name}]` : name;
}

/** Limits for the clients of vidbatch's HTTP servers. */
export interface HttpLimits {
  /** For the headers of a request, from its first byte or the start of the connection. */
  headersMs: number;
  /** For the whole request, its body too. */
  requestMs: number;
  /** For a connection without traffic. */
  idleMs: number;
  connections: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  connections: 500,
};

/** The limits that `createServer` takes. */
export function serverOptions({ headersMs, requestMs }: HttpLimits) {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    // The interval at which the server checks for late requests.
    connectionsCheckingInterval: Math.ceil(headersMs / 4),
  };
}

/** The limits that are set on a server afterwards. */
export function limitServer(server: Server, { idleMs, connections }: HttpLimits): void {
  server.setTimeout(idleMs);
  server.maxConnections = connections;
}

/** Reasons why not; empty: all is well. */
export type Reasons = string[];

/** Gives the answers. No method may reject, or take longer than a few seconds. */
export interface ProbeSource {
  alive(): Promise<Reasons>;
  ready(): Promise<Reasons>;
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
 * Serves `/healthz`, `/readyz` and `/metrics` to everyone who reaches the port. They contain numbers and names of states, but
 * no secret, no prompt and no batch name, and nothing can be written. Unlike the board, it does not check the Host header,
 * because a kubelet and Prometheus connect by address. A page that uses DNS rebinding learns only the number of rows.
 * @throws VidbatchError exit 1 when it cannot listen there.
 */
export async function startProbe(
  address: Address,
  source: ProbeSource,
  limits = HTTP_LIMITS,
): Promise<Probe> {
  const server = createServer(serverOptions(limits), (request, response) => {
    void answer(source, request).then(
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

async function answer(source: ProbeSource, { method, url = '/' }: IncomingMessage): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, text: jsonOf({ error: { code: 'READ_ONLY', message: 'only GET and HEAD' } }) };
  const [path = ''] = url.split('?', 1);
  switch (path) {
    case '/healthz':
      return found('alive', await source.alive());
    case '/readyz':
      return found('ready', await source.ready());
    case '/metrics': {
      const { type, text } = await source.metrics();
      return { status: 200, type, text };
    }
    default:
      return {
        status: 404,
        text: jsonOf({
          error: { code: 'NOT_FOUND', message: 'the paths are /healthz, /readyz and /metrics' },
        }),
      };
  }
}

function found(name: 'alive' | 'ready', reasons: Reasons): Answer {
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
    `--http ${where}: cannot listen there: ${taken ? 'another process listens there' : error.message}`,
    taken ? { hint: 'Give another port, or 0 for any that is free.' } : {},
  );
}
