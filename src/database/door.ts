import { chmodSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { serialize } from 'node:v8';
import { VidbatchError } from '../core/errors.ts';
import { diskTrouble } from './disk-trouble.ts';
import type { QueryResult } from './database.ts';
import type { EmbeddedDatabase } from './embedded.ts';
import { frame, greeting, readFrames } from './frame.ts';
import type { EmbeddedSession, Notification } from './session.ts';
import { packError } from './failure.ts';
import type { PackedError } from './failure.ts';

/**
 * What each side says first. A connection is either the guest's pool (statements, each by itself, answered as they
 * finish) or one session of it (in order; what is open is rolled back when the connection ends). Or a worker asks the
 * holder to make room for him (`yield`), and the greeting is the whole answer.
 */
export interface Greeting {
  door: 'vidbatch';
  protocol: number;
  /** V8's version of its serialization. */
  wire: number;
  kind: 'pool' | 'session' | 'yield';
  /** Of the holder: whether he makes room for a worker. */
  yields?: boolean;
}

export interface Question {
  id: number;
  text: string;
  params: readonly unknown[] | undefined;
}

export type Answered =
  | { id: number; result: QueryResult<Record<string, unknown>> }
  | { id: number; error: PackedError }
  | { notification: Notification };

const PROTOCOL = 2;

/** Bumped when a question or an answer changes. */
export function greet(kind: Greeting['kind']): Greeting {
  return { door: 'vidbatch', protocol: PROTOCOL, wire: serialize(0)[1] ?? 0, kind };
}

/** Throws a VidbatchError unless the other side speaks as we do. */
export function checkGreeting(said: unknown): Greeting {
  const theirs = said as Partial<Greeting> | null;
  const ours = greet('pool');
  if (theirs?.door === ours.door && theirs.protocol === ours.protocol && theirs.wire === ours.wire) {
    return theirs as Greeting;
  }
  throw new VidbatchError(
    'DOOR_VERSION',
    `The process that holds the folder speaks version ${theirs?.protocol ?? '?'}/${theirs?.wire ?? '?'} of the door, this one ${ours.protocol}/${ours.wire}`,
    { hint: 'Use the same vidbatch and the same Node for both, or stop the other one first.' },
  );
}

/** Throws unless it is a question: whatever else a guest sends ends its connection, and nothing more. */
function checkQuestion(said: unknown): Question {
  const { id, text, params } = (said ?? {}) as Partial<Record<keyof Question, unknown>>;
  const isQuestion =
    Number.isSafeInteger(id) &&
    typeof text === 'string' &&
    (params === undefined || (Array.isArray(params) && params.every(isWireValue)));
  if (!isQuestion) throw new TypeError('not a question');
  return { id: id as number, text, params };
}

/** As `wireValues` makes them. */
function isWireValue(value: unknown): boolean {
  return value === null || typeof value === 'string' || value instanceof Uint8Array;
}

const KINDS: ReadonlySet<unknown> = new Set(['pool', 'session', 'yield']);

export interface Door {
  readonly path: string;
  /** Turns guests out; what they had open is rolled back. Idempotent. Does not end the database. */
  close(): Promise<void>;
}

/**
 * Serves the database on a socket that only this user can open. Only for the holder of the folder's lock: a socket
 * file that is there already was left by a dead holder, and is replaced. `onWanted`: a worker asks for the folder;
 * without it, he is told that this holder stays.
 */
export async function openDoor(
  database: EmbeddedDatabase,
  path: string,
  onWanted?: () => void,
): Promise<Door> {
  const guests = new Set<Socket>();
  const server = createServer((socket) => {
    guests.add(socket);
    socket.on('close', () => guests.delete(socket));
    // Not in the middle of what another guest is doing: whoever asks, asks again.
    const wanted = onWanted && ((): void => void (guests.size === 1 && onWanted()));
    receive(database, socket, wanted);
  });
  try {
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw diskTrouble('DOOR', path, cause);
  }
  let closing: Promise<void> | undefined;
  return { path, close: () => (closing ??= close(server, guests)) };
}

async function close(server: Server, guests: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  for (const guest of guests) guest.destroySoon();
  // Who does not read his last answer must not keep us.
  const impatience = setTimeout(() => guests.forEach((guest) => guest.destroy()), 1000);
  await closed;
  clearTimeout(impatience);
}

function receive(database: EmbeddedDatabase, socket: Socket, onWanted: (() => void) | undefined): void {
  let session: Promise<EmbeddedSession> | undefined;

  const send = (message: Answered): void => {
    if (socket.writable && !socket.write(frame(message))) {
      // He asks faster than he reads: no more questions until he has read.
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  };

  const answer = async ({ id, text, params }: Question): Promise<void> => {
    try {
      const target = session === undefined ? database : await session;
      const { rows, rowCount } = await target.query(text, params);
      send({ id, result: { rows, rowCount: rowCount ?? null } });
    } catch (error) {
      send({ id, error: packError(error) });
    }
  };

  const begin = async (): Promise<EmbeddedSession> => {
    const begun = await database.connect();
    begun.on('notification', (notification) => send({ notification }));
    // The guest may have gone while he was let in. A guest who dies in a transaction must not keep the grant.
    if (socket.destroyed) begun.release();
    else socket.once('close', () => begun.release());
    return begun;
  };

  readFrames(socket, {
    greeting: (said) => {
      socket.write(greeting({ ...greet('pool'), yields: onWanted !== undefined }));
      const { kind } = checkGreeting(said);
      if (!KINDS.has(kind)) throw new TypeError('not a kind of guest');
      if (kind === 'yield') onWanted?.();
      if (kind !== 'session') return;
      session = begin();
      session.catch((cause: unknown) => socket.destroy(cause as Error));
    },
    message: (message) => void answer(checkQuestion(message)),
  });
  // A guest who goes away is no error of ours: whatever was wrong, the connection is over, and `close` tidies up.
  socket.on('error', () => undefined);
}
