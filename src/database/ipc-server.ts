import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { diskError } from './disk-errors.ts';
import type { EmbeddedDatabase } from './embedded.ts';
import {
  checkGreeting,
  checkRequest,
  frame,
  frameGreeting,
  greet,
  packError,
  readFrames,
  type IpcRequest,
  type IpcResponse,
} from './ipc-protocol.ts';
import type { EmbeddedSession } from './session.ts';

/** Serves the embedded database of this process to other processes of the same user, on a socket in the data folder. */
export interface IpcServer {
  readonly path: string;
  /** Disconnects the clients and rolls back their open transactions. Idempotent. Does not end the database. */
  close(): Promise<void>;
}

/**
 * Only for the holder of the folder's lock: a socket file that is there was left by a dead holder, and is replaced.
 * `onYield`: a worker asks for the folder. Without it, the worker is told that this holder stays.
 */
export async function startIpcServer(
  database: EmbeddedDatabase,
  path: string,
  onYield?: () => void,
): Promise<IpcServer> {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    // Another client is at work: the holder stays for now, and the worker asks again.
    const yieldIfAlone = onYield && ((): void => void (clients.size === 1 && onYield()));
    serve(database, socket, yieldIfAlone);
  });
  try {
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw diskError('DOOR', path, cause);
  }
  let closing: Promise<void> | undefined;
  return { path, close: () => (closing ??= close(server, clients)) };
}

async function close(server: Server, clients: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  for (const client of clients) client.destroySoon();
  // A client that stopped reading must not block the shutdown.
  const timer = setTimeout(() => clients.forEach((client) => client.destroy()), 1000);
  await closed;
  clearTimeout(timer);
}

function serve(database: EmbeddedDatabase, socket: Socket, onYield: (() => void) | undefined): void {
  let session: Promise<EmbeddedSession> | undefined;

  const send = (message: IpcResponse): void => {
    if (socket.writable && !socket.write(frame(message))) {
      // The client asks faster than it reads: take no more requests until it has read.
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  };

  const answer = async ({ id, text, params }: IpcRequest): Promise<void> => {
    try {
      const target = session === undefined ? database : await session;
      const { rows, rowCount } = await target.query(text, params);
      send({ id, result: { rows, rowCount: rowCount ?? null } });
    } catch (error) {
      send({ id, error: packError(error) });
    }
  };

  const openSession = async (): Promise<EmbeddedSession> => {
    const opened = await database.connect();
    opened.on('notification', (notification) => send({ notification }));
    // A client that dies in a transaction must not keep the mutex. It may be gone already.
    if (socket.destroyed) opened.release();
    else socket.once('close', () => opened.release());
    return opened;
  };

  readFrames(socket, {
    greeting: (message) => {
      socket.write(frameGreeting({ ...greet('pool'), yields: onYield !== undefined }));
      const { kind } = checkGreeting(message);
      if (kind === 'yield') onYield?.();
      if (kind !== 'session') return;
      session = openSession();
      session.catch((cause: unknown) => socket.destroy(cause as Error));
    },
    message: (message) => void answer(checkRequest(message)),
  });
  // A client that goes away is not an error of this process: `close` tidies up.
  socket.on('error', () => undefined);
}
