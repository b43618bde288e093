/**
 * The room `board` serves the console and Bull Board over HTTP.
 * It may import operate, schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import { STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import { messageOf, usageError, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { HTTP_LIMITS, limitServer, serverOptions } from '../operate/monitor/http.ts';
import type { HttpLimits } from '../operate/monitor/http.ts';
import type { App } from '../worker/app.ts';
import { AppContext } from './app-context.ts';
import { mountBullBoard } from './bull-board.ts';
import { makeSecret } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { createGuard, HEADERS, isLoopback } from './guard.ts';
import type { LoginThrottle } from './login-throttle.ts';
import { Proxies } from './proxy.ts';
import { sendError } from './responses.ts';
import { mountErrors, mountPages } from './routes.ts';

export interface BoardOptions {
  app: App;
  /** A loopback address or `localhost`; with credentials, any address. */
  host: string;
  /** 0: any free port. */
  port: number;
  log: Logger;
  /** The provider of this configuration. A batch for another provider is shown as waiting for that one. */
  origin?: string;
  /** Every client needs them, also on this machine. Without them, the board makes a new token at each start. */
  credentials?: Credentials;
  /** Every write is refused. */
  readOnly?: boolean;
  /** The public name of a proxy on this machine, as browsers send it in the Host header. */
  publicName?: string;
  /** Addresses and networks of proxies whose forwarding headers count. */
  trustedProxies?: readonly string[];
  /** Tests set other limits. */
  limits?: HttpLimits;
  throttle?: LoginThrottle;
}

export interface Board {
  /** Without a slash at its end. */
  readonly url: string;
  /** The token that opens the board; undefined: name and password open it. */
  readonly token: string | undefined;
  /** The address to open in a browser: the URL with its token. */
  readonly entry: string;
  /** Shows another app from now on; `undefined`: says that the ledger is away. It does not close the old app. */
  show(app: App | undefined): Promise<void>;
  /** Stops listening and closes every connection. Leaves the app open. Idempotent. */
  close(): Promise<void>;
}

/** The longest batch name in a URL: a file name has at most 255 bytes, and encoding triples them. */
const LONGEST_PARAMETER = 3000;

/** Shorter passwords can be guessed. */
const SHORTEST_PASSWORD = 8;

/**
 * Serves Bull Board and the board's own pages over HTTP.
 * @throws VidbatchError exit 2 if other machines can reach the address and good credentials are missing; exit 1 if it
 * cannot listen there.
 */
export async function startBoard(options: BoardOptions): Promise<Board> {
  const { app, host, port, log, credentials, publicName, readOnly = false, limits = HTTP_LIMITS } = options;
  const proxies = checkReach(options);
  const token = credentials === undefined ? makeSecret() : undefined;
  const local = isLoopback(host);
  const context = new AppContext({
    log,
    origin: options.origin,
    readOnly,
    who: credentials === undefined ? 'the board' : `${credentials.user} (board)`,
  });
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    http: serverOptions(limits),
    requestTimeout: limits.requestMs,
    routerOptions: { maxParamLength: LONGEST_PARAMETER, ignoreTrailingSlash: true },
    frameworkErrors: (error, request, reply) => {
      reply.headers(HEADERS);
      sendError(request, reply, error.statusCode ?? 400, error);
    },
    clientErrorHandler: refuseUnreadable,
  });
  limitServer(server.server, limits);
  server.addHook(
    'onRequest',
    createGuard({
      local,
      readOnly,
      log,
      proxies,
      publicPath: '',
      credentials: credentials ?? { token: token ?? '' },
      ...(publicName === undefined ? {} : { publicName }),
      ...(options.throttle === undefined ? {} : { throttle: options.throttle }),
    }),
  );
  mountErrors(server, log);
  mountPages(server, context, log);
  context.setQueues = await mountBullBoard(server, context, {
    // Only Redis knows which workers are connected to a queue.
    showWorkers: app.store.kind === 'redis',
  });
  await context.show(app);
  try {
    await server.listen({ host: host.replace(/^\[|\]$/g, ''), port });
  } catch (error) {
    await context.show(undefined);
    throw cannotListen(host, port, error);
  }
  let closing: Promise<void> | undefined;
  const url = urlOf(server, host);
  return {
    url,
    token,
    entry: token === undefined ? url : `${url}/?token=${token}`,
    show: (next) => context.show(next),
    close: () => (closing ??= server.close().then(() => context.show(undefined))),
  };
}

/**
 * Checks who can reach the board, before anything is opened. Returns the trusted proxies.
 * @throws VidbatchError exit 2 if other machines can reach it and credentials are missing or weak, and for an invalid
 * proxy address.
 */
export function checkReach({
  host,
  publicName,
  credentials,
  trustedProxies = [],
}: Pick<BoardOptions, 'host' | 'publicName' | 'credentials' | 'trustedProxies'>): Proxies {
  const proxies = new Proxies(trustedProxies);
  if (isLoopback(host) && publicName === undefined) return proxies;
  if (credentials === undefined) {
    throw usageError(
      'BOARD_NOT_LOCAL',
      `${isLoopback(host) ? `--public-name ${publicName}` : `--host ${host}`}: the board listens on this machine only (127.0.0.1, ::1, localhost) while it has no credentials`,
      'Set VIDBATCH_BOARD_USER and VIDBATCH_BOARD_PASSWORD (or VIDBATCH_BOARD_PASSWORD_FILE), or reach it with ssh -L 3000:127.0.0.1:3000 <this machine>.',
    );
  }
  const { user, password } = credentials;
  if (password.length >= SHORTEST_PASSWORD && password !== user) return proxies;
  throw usageError(
    'BOARD_PASSWORD_WEAK',
    `VIDBATCH_BOARD_PASSWORD is too easy to guess, and other machines can reach this address: it needs at least ${SHORTEST_PASSWORD} characters, and is not the user's name`,
    '`openssl rand -base64 18` makes a good one.',
  );
}

/** Answers a request that is not valid HTTP, if its connection is still open. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = UNREADABLE[error.code ?? ''] ?? 400;
  const body = `${JSON.stringify({ error: { code: 'BAD_REQUEST', message: STATUS_CODES[status] } })}\n`;
  const headers = {
    ...HEADERS,
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}

const UNREADABLE: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

function urlOf(server: FastifyInstance, host: string): string {
  const { port } = server.server.address() as AddressInfo;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function cannotListen(host: string, port: number, error: unknown): VidbatchError {
  const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  return new VidbatchError(
    'CANNOT_LISTEN',
    `cannot listen on ${host}:${port}: ${taken ? 'another process listens there' : messageOf(error)}`,
    taken ? { hint: 'Give another port with --port, or 0 for any free port.' } : {},
  );
}
