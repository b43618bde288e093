import { deserialize, serialize } from 'node:v8';
import type { Socket } from 'node:net';
import { messageOf, VidbatchError, type ExitCode } from '../core/errors.ts';
import type { QueryResult } from './database.ts';
import type { Notification } from './session.ts';

/*
 * What the process that holds a data folder and its clients say on the socket. Each side first sends a greeting. Then
 * the client sends requests, and the holder sends responses and notifications.
 */

/**
 * The kind of connection that a client asks for. `pool`: single statements, answered as they finish. `session`: one
 * session, answered in order. `yield`: a worker asks the holder to give up the folder; the greeting is the whole answer.
 */
export interface Greeting {
  door: 'vidbatch';
  protocol: number;
  /** V8's version of its serialization. */
  wire: number;
  kind: 'pool' | 'session' | 'yield';
  /** The holder gives up the folder when a worker asks for it. */
  yields?: boolean;
}

export interface IpcRequest {
  id: number;
  text: string;
  params: readonly unknown[] | undefined;
}

export type IpcResponse =
  | { id: number; result: QueryResult<Record<string, unknown>> }
  | { id: number; error: PackedError }
  | { notification: Notification };

/** Raise it when a request or a response changes. */
const PROTOCOL = 2;

export function greet(kind: Greeting['kind']): Greeting {
  return { door: 'vidbatch', protocol: PROTOCOL, wire: serialize(0)[1] ?? 0, kind };
}

const KINDS: ReadonlySet<unknown> = new Set(['pool', 'session', 'yield']);

/** @throws VidbatchError when the other side has another version, TypeError when its kind is unknown. */
export function checkGreeting(message: unknown): Greeting {
  const theirs = message as Partial<Greeting> | null;
  const ours = greet('pool');
  if (theirs?.door !== ours.door || theirs.protocol !== ours.protocol || theirs.wire !== ours.wire) {
    throw new VidbatchError(
      'DOOR_VERSION',
      `The process that holds the folder speaks version ${theirs?.protocol ?? '?'}/${theirs?.wire ?? '?'} of the socket's protocol, this one ${ours.protocol}/${ours.wire}`,
      { hint: 'Use the same vidbatch and the same Node for both, or stop the other process first.' },
    );
  }
  if (!KINDS.has(theirs.kind)) throw new TypeError('not a kind of connection');
  return theirs as Greeting;
}

/** @throws TypeError when the message is not a request. */
export function checkRequest(message: unknown): IpcRequest {
  const { id, text, params } = (message ?? {}) as Partial<Record<keyof IpcRequest, unknown>>;
  const isRequest =
    Number.isSafeInteger(id) &&
    typeof text === 'string' &&
    (params === undefined || (Array.isArray(params) && params.every(isWireValue)));
  if (!isRequest) throw new TypeError('not a request');
  return { id: id as number, text, params };
}

/** A parameter as `wireValues` makes it. */
function isWireValue(value: unknown): boolean {
  return value === null || typeof value === 'string' || value instanceof Uint8Array;
}

/** The limit of one frame, the same on both sides: what one side can send, the other can read. */
export const FRAME_LIMIT = 256 * 1024 * 1024;

const HEADER = 4;

/**
 * A message as a frame: its length (4 bytes, big-endian), then V8's own serialization, which keeps dates, bytes and
 * undefined. That is safe because only processes of the same user can open the socket.
 * @throws VidbatchError when it is too long.
 */
export function frame(message: unknown): Buffer {
  return lengthPrefixed(serialize(message));
}

/** The first frame of each side is JSON, so that every version can read it. */
export function frameGreeting(message: unknown): Buffer {
  return lengthPrefixed(Buffer.from(JSON.stringify(message)));
}

function lengthPrefixed(body: Buffer): Buffer {
  if (body.length > FRAME_LIMIT) throw tooLong(body.length);
  const whole = Buffer.allocUnsafe(HEADER + body.length);
  whole.writeUInt32BE(body.length);
  body.copy(whole, HEADER);
  return whole;
}

function tooLong(length: number): VidbatchError {
  return new VidbatchError(
    'FRAME_TOO_LONG',
    `A message of ${length} bytes to or from the holder of the folder; at most ${FRAME_LIMIT} are allowed`,
    { hint: 'Ask for fewer rows at a time.' },
  );
}

/** Cuts what arrives into frames. A frame that is too long or unreadable destroys the socket with a VidbatchError. */
export function readFrames(
  socket: Socket,
  on: { greeting: (message: unknown) => void; message: (message: unknown) => void },
): void {
  let chunks: Buffer[] = [];
  let length = 0;
  let greeted = false;
  let expected: number | undefined;

  const take = (count: number): Buffer => {
    const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
    chunks = [all.subarray(count)];
    length -= count;
    return all.subarray(0, count);
  };

  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    try {
      while (!socket.destroyed && length >= (expected ?? HEADER)) {
        if (expected === undefined) {
          expected = take(HEADER).readUInt32BE();
          if (expected > FRAME_LIMIT) throw tooLong(expected);
        } else {
          const body = take(expected);
          expected = undefined;
          if (greeted) on.message(deserialize(body));
          else {
            greeted = true;
            on.greeting(JSON.parse(body.toString('utf8')));
          }
        }
      }
    } catch (cause) {
      socket.destroy(
        cause instanceof VidbatchError
          ? cause
          : new VidbatchError('FRAME_UNREADABLE', 'The other side of the socket is not vidbatch', { cause }),
      );
    }
  });
}

/** An error on its way between two processes: only what callers read of it. */
export interface PackedError {
  message: string;
  /** For a statement that Postgres refused: `code` (SQLSTATE), `constraint`, `detail` and so on, as in pg. */
  fields: Record<string, string>;
  vidbatch?: { code: string; exitCode: ExitCode; hint: string | undefined };
}

const FIELDS =
  'severity code detail hint position internalPosition internalQuery where schema table column dataType constraint routine'.split(
    ' ',
  );

export function packError(error: unknown): PackedError {
  const message = messageOf(error);
  if (error instanceof VidbatchError) {
    const { code, exitCode, hint } = error;
    return { message, fields: {}, vidbatch: { code, exitCode, hint } };
  }
  const fields: Record<string, string> = {};
  for (const name of FIELDS) {
    const value = (error as Record<string, unknown> | null)?.[name];
    if (typeof value === 'string') fields[name] = value;
  }
  return { message, fields };
}

export function unpackError({ message, fields, vidbatch }: PackedError): Error {
  if (vidbatch === undefined) return Object.assign(new Error(message), fields);
  const { code, exitCode, hint } = vidbatch;
  return new VidbatchError(code, message, { exitCode, ...(hint === undefined ? {} : { hint }) });
}
