import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import type { App } from '../app.ts';
import { messageOf, usageError, VidbatchError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { mountBullBoard } from './bull-board.ts';
import type { Credentials } from './credentials.ts';
import { createGuard, isLoopback } from './guard.ts';
import { mountErrors, mountPages } from './routes.ts';
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
  /** Whoever asks has to know them, wherever he asks from. */
  credentials?: Credentials;
  /** Every write is refused. */
  readOnly?: boolean;
  /** The name under which a proxy on this machine is asked for the board, in Host headers. */
  publicName?: string;
  /** How wrong passwords are counted. */
  tries?: Tries;
}

export interface Board {
  /** Without a slash at its end. */
  readonly url: string;
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
  const { app, host, port, log, credentials, publicName, readOnly = false } = options;
  checkReach(options);
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
    // A proxy on this machine says whom it asks for; nobody else is believed.
    trustProxy: publicName === undefined ? false : 'loopback',
    routerOptions: { maxParamLength: LONGEST_PARAMETER, ignoreTrailingSlash: true },
  });
  server.addHook(
    'onRequest',
    createGuard({
      local,
      readOnly,
      log,
      ...(publicName === undefined ? {} : { publicName }),
      ...(credentials === undefined ? {} : { credentials }),
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
  return {
    url: urlOf(server, host),
    show: (next) => stage.show(next),
    close: () => (closing ??= server.close().then(() => stage.show(undefined))),
  };
}

/**
 * Whom it can be reached by, before anything is opened.
 * @throws VidbatchError exit 2 when others can reach it, and credentials are missing or would be guessed.
 */
export function checkReach({
  host,
  publicName,
  credentials,
}: Pick<BoardOptions, 'host' | 'publicName' | 'credentials'>): void {
  if (isLoopback(host) && publicName === undefined) return;
  if (credentials === undefined) {
    throw usageError(
      'BOARD_NOT_LOCAL',
      `${isLoopback(host) ? `--public-name ${publicName}` : `--host ${host}`}: the board listens on this machine only (127.0.0.1, ::1, localhost) while it has no credentials`,
      'Set VIDBATCH_BOARD_USER and VIDBATCH_BOARD_PASSWORD (or VIDBATCH_BOARD_PASSWORD_FILE), or reach it with ssh -L 3000:127.0.0.1:3000 <this machine>.',
    );
  }
  const { user, password } = credentials;
  if (password.length >= SHORTEST_PASSWORD && password !== user) return;
  throw usageError(
    'BOARD_PASSWORD_WEAK',
    `VIDBATCH_BOARD_PASSWORD: is too easy to guess for an address that others can reach: at least ${SHORTEST_PASSWORD} characters, and not the user's name`,
    '`openssl rand -base64 18` makes one.',
  );
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
    `cannot listen on ${host}:${port}: ${taken ? 'something listens there already' : messageOf(error)}`,
    taken ? { hint: 'Give another one with --port, or 0 for any that is free.' } : {},
  );
}
