/**
 * The room `board` serves the console and Bull Board over HTTP.
 * It may import operate, schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import { STATUS_CODES } from 'node:http';
import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { AddressInfo, Socket } from 'node:net';
import type { App } from '../worker/app.ts';
import { messageOf, usageError, VidbatchError } from '../core/errors.ts';
import { HTTP_LIMITS, limitServer, serverOptions } from '../operate/monitor/listen.ts';
import type { HttpLimits } from '../operate/monitor/listen.ts';
import type { Logger } from '../core/log.ts';
import { mountBullBoard } from './bull-board.ts';
import type { Credentials } from './credentials.ts';
import { createGuard, HEADERS, isLoopback } from './guard.ts';
import { Proxies } from './proxy.ts';
import { complain, mountErrors, mountPages } from './routes.ts';
import { makeSecret } from './session.ts';
import { Stage } from './stage.ts';
import type { Tries } from './tries.ts';

export interface BoardOptions {
  app: App;
  /** A loopback address or `localhost`; with credentials, any. */
  host: string;
  /** 0: any free one. */
  port: number;
  log: Logger;
  /** The provider of this configuration: a batch of another one is shown as waiting for it. */
  origin?: string;
  /** Whoever asks has to know them, wherever he asks from. Without them, it is a token that is made up at each start. */
  credentials?: Credentials;
  /** Every write is refused. */
  readOnly?: boolean;
  /** The name under which a proxy on this machine is asked for the board, in Host headers. */
  publicName?: string;
  /** Addresses and networks of proxies whose word counts on who asks. */
  trustedProxies?: readonly string[];
  /** How long and how many: for tests. */
  limits?: HttpLimits;
  /** How wrong passwords are counted. */
  tries?: Tries;
}

export interface Board {
  /** Without a slash at its end. */
  readonly url: string;
  /** Opens the board for its user; absent: name and password do. */
  readonly token: string | undefined;
  /** What to open in a browser: the URL, with the token. */
  readonly entry: string;
  /** Shows another app from now on; with `undefined`, says that the ledger is away. The old one is not closed. */
  show(app: App | undefined): Promise<void>;
  /** Stops listening and cuts every connection. Leaves the app open. Idempotent. */
  close(): Promise<void>;
}

/** Longest name of a batch in a URL; a file's name has at most 255 bytes, a character up to nine when encoded. */
const LONGEST_PARAMETER = 3000;

/** Shorter ones are found by trying. */
const SHORTEST_PASSWORD = 8;

/**
 * Bull Board and our own pages over HTTP.
 * @throws VidbatchError exit 2 for an address that others can reach without (good) credentials; exit 1 when it cannot
 * listen there.
 */
export async function startBoard(options: BoardOptions): Promise<Board> {
  const { app, host, port, log, credentials, publicName, readOnly = false, limits = HTTP_LIMITS } = options;
  const proxies = checkReach(options);
  const token = credentials === undefined ? makeSecret() : undefined;
  const local = isLoopback(host);
  const stage = new Stage({
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
      complain(request, reply, error.statusCode ?? 400, error);
    },
    clientErrorHandler: refuseUnread,
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
      opens: credentials ?? { token: token ?? '' },
      ...(publicName === undefined ? {} : { publicName }),
      ...(options.tries === undefined ? {} : { tries: options.tries }),
    }),
  );
  mountErrors(server, log);
  mountPages(server, stage, log);
  stage.place = await mountBullBoard(server, stage, {
    // Only Redis can say which workers are connected to a queue.
    showWorkers: app.store.kind === 'redis',
  });
  await stage.show(app);
  try {
    await server.listen({ host: host.replace(/^\[|\]$/g, ''), port });
  } catch (error) {
    await stage.show(undefined);
    throw cannotListen(host, port, error);
  }
  let closing: Promise<void> | undefined;
  const url = urlOf(server, host);
  return {
    url,
    token,
    entry: token === undefined ? url : `${url}/?token=${token}`,
    show: (next) => stage.show(next),
    close: () => (closing ??= server.close().then(() => stage.show(undefined))),
  };
}

/**
 * Whom it can be reached by, before anything is opened. Returns the proxies that are trusted.
 * @throws VidbatchError exit 2 when others can reach it, and credentials are missing or would be guessed; and for a proxy
 * that is no address.
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
    `VIDBATCH_BOARD_PASSWORD: is too easy to guess for an address that others can reach: at least ${SHORTEST_PASSWORD} characters, and not the user's name`,
    '`openssl rand -base64 18` makes one.',
  );
}

/** What cannot be read as HTTP at all is answered like everything else, as far as anybody still listens. */
function refuseUnread(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = UNREAD[error.code ?? ''] ?? 400;
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

const UNREAD: Readonly<Record<string, number>> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 };

function urlOf(server: FastifyInstance, host: string): string {
  const { port } = server.server.address() as AddressInfo;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function cannotListen(host: string, port: number, error: unknown): VidbatchError {
  const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  return new VidbatchError(
    'CANNOT_LISTEN',
    `cannot listen on ${host}:${port}: ${taken ? 'something listens there already' : messageOf(error)}`,
    taken ? { hint: 'Give another one with --port, or 0 for any that is free.' } : {},
  );
}
