import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import type { App } from '../app.ts';
import { messageOf, usageError, VidbatchError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { mountBullBoard } from './bull-board.ts';
import { guard, isLoopback } from './guard.ts';
import { mountErrors, mountPages } from './routes.ts';
import { Stage } from './stage.ts';

export interface BoardOptions {
  app: App;
  /** A loopback address, or `localhost`. */
  host: string;
  /** 0: any free one. */
  port: number;
  log: Logger;
  /** The provider of this configuration: a batch of another one is shown as waiting for it. */
  origin?: string;
  /**
   * Any `host` is allowed: the process is in a container of its own, and whoever started that publishes the port on
   * 127.0.0.1 only. The names in Host headers are checked all the same.
   */
  behindPublishedPort?: boolean;
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

/**
 * Bull Board and our own pages over HTTP, to look at only.
 * @throws VidbatchError exit 2 for an address that others can reach; exit 1 when it cannot listen there.
 */
export async function startBoard(options: BoardOptions): Promise<Board> {
  const { app, host, port, log } = options;
  if (!isLoopback(host) && options.behindPublishedPort !== true) {
    throw usageError(
      'BOARD_NOT_LOCAL',
      `--host ${host}: the board listens on this machine only (127.0.0.1, ::1, localhost)`,
      'It has no credentials yet; they come in a later version. From elsewhere: ssh -L 3000:127.0.0.1:3000 <this machine>.',
    );
  }
  const stage = new Stage(log, options.origin);
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: LONGEST_PARAMETER, ignoreTrailingSlash: true },
  });
  server.addHook('onRequest', guard);
  mountErrors(server, log);
  mountPages(server, stage);
  stage.place = await mountBullBoard(server, {
    // Only Redis can say which workers are connected to a queue.
    showWorkers: app.store.kind === 'redis',
    refresh: () => stage.refresh(),
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
