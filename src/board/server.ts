/**
 * The room `board` serves the console and Bull Board over HTTP.
 * It may import operate, schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import { STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fastify, type FastifyInstance } from 'fastify';
import { messageOf, usageError, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { HTTP_LIMITS, limitServer, serverOptions, type HttpLimits } from '../operate/monitor/http.ts';
import type { App } from '../worker/app.ts';
import type { Check } from '../operate/doctor/check.ts';
import { mountActs } from './acts/routes.ts';
import { AppContext } from './app-context.ts';
import { mountBullBoard } from './bull-board.ts';
import { formTokenOf, makeSecret, type Credentials } from './access/credentials.ts';
import type { QueuePlace } from './doctor/doctor-page.ts';
import { mountDoctor } from './doctor/doctor-routes.ts';
import { mountEvents } from './events.ts';
import { createGuard, HEADERS, isLoopback } from './access/guard.ts';
import { markLiveRequests } from './live-reads.ts';
import type { LoginThrottle } from './access/login-throttle.ts';
import { Login } from './access/login.ts';
import { Proxies } from './access/proxy.ts';
import { Sessions } from './access/sessions.ts';
import { mountSignIn } from './access/sign-in.ts';
import { parsePublicPath, withoutPublicPath } from './access/public-path.ts';
import { sendError } from './responses.ts';
import { mountErrors, mountPages } from './routes.ts';
import { mountSettling } from './settle/routes.ts';
import { mountStanding } from './standing.ts';
import { createView, languageOf, mountViews } from './view.ts';

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
  /** The path under which a proxy serves the board, such as `/vidbatch`. The proxy may keep it or take it away. */
  publicPath?: string;
  /** Addresses and networks of proxies whose forwarding headers count. */
  trustedProxies?: readonly string[];
  /** The checks of `/doctor`; undefined: the page has none. */
  check?: () => AsyncIterable<Check>;
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
  const publicPath = parsePublicPath(options.publicPath);
  const token = credentials === undefined ? makeSecret() : undefined;
  const sessions = new Sessions({ proxies, publicPath });
  const login = new Login({ log, proxies, throttle: options.throttle });
  const opener = credentials ?? { token: token ?? '' };
  const local = isLoopback(host);
  const context = new AppContext({
    log,
    origin: options.origin,
    readOnly,
    publicPath,
    who: credentials === undefined ? 'the board' : `${credentials.user} (board)`,
    formToken: formTokenOf(makeSecret()),
  });
  const server = makeServer({ limits, readOnly, publicPath });
  server.addHook(
    'onRequest',
    createGuard({
      local,
      readOnly,
      login,
      sessions,
      publicPath,
      credentials: opener,
      ...(publicName === undefined ? {} : { publicName }),
    }),
  );
  mountViews(server, {
    place: () => context.place,
    notice: (id) => context.notices.read(id),
    readOnly,
    publicPath,
  });
  mountStanding(server, {
    attention: () => context.countAttention(),
    away: () => context.queueAway(),
  });
  markLiveRequests(server);
  mountErrors(server, log);
  mountDoctor(server, { queue: queuePlace(app), check: options.check });
  mountSignIn(server, { credentials: opener, login, sessions });
  mountPages(server, context, log);
  mountSettling(server, context, log);
  mountActs(server, context);
  mountEvents(server, context.watch);
  context.setQueues = await mountBullBoard(server, context, {
    // Only Redis knows which workers are connected to a queue.
    showWorkers: app.store.kind === 'redis',
    publicPath,
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

/** A server without routes. It answers a request that breaks the rules of HTTP in the same form as other errors of the board. */
function makeServer({
  limits,
  readOnly,
  publicPath,
}: {
  limits: HttpLimits;
  readOnly: boolean;
  publicPath: string;
}): FastifyInstance {
  const server = fastify({
    logger: false,
    rewriteUrl: ({ url = '/' }) => withoutPublicPath(url, publicPath),
    forceCloseConnections: true,
    http: serverOptions(limits),
    requestTimeout: limits.requestMs,
    routerOptions: { maxParamLength: LONGEST_PARAMETER, ignoreTrailingSlash: true },
    frameworkErrors: (error, request, reply) => {
      reply.headers(HEADERS);
      // Fastify gives such a request none of the board's properties.
      const view = createView({ language: languageOf(request), readOnly, publicPath });
      sendError(request, reply, error.statusCode ?? 400, error, view);
    },
    clientErrorHandler: refuseUnreadable,
  });
  limitServer(server.server, limits);
  return server;
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

/** Only an embedded ledger can move to another process. */
function queuePlace({ store, moved }: App): QueuePlace {
  if (store.kind === 'redis') return 'redis';
  return moved === undefined ? 'postgres' : 'embedded';
}

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
