import { deserialize, serialize } from 'node:v8';
import type { Socket } from 'node:net';
import { VidbatchError } from '../core/errors.ts';

/** Of one frame: the same limit on both sides, so that a row that one can send, the other can take. */
export const FRAME_LIMIT = 256 * 1024 * 1024;

const HEADER = 4;

/**
 * A message as a frame: its length (4 bytes, big-endian), then V8's own serialization, which carries dates, bytes
 * and undefined as they are. Both ends are the same user's processes, behind a socket that only he can open.
 * Throws a VidbatchError when it is too long.
 */
export function frame(message: unknown): Buffer {
  return lengthPrefixed(serialize(message));
}

/** The first frame of each side is JSON: whatever the versions of the two, it can be read. */
export function greeting(message: unknown): Buffer {
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

interface Reader {
  greeting: (message: unknown) => void;
  message: (message: unknown) => void;
}

/**
 * Cuts what arrives into frames. A frame that is too long or cannot be read destroys the socket with a
 * VidbatchError.
 */
export function readFrames(socket: Socket, reader: Reader): void {
  let chunks: Buffer[] = [];
  let length = 0;
  let greeted = false;

  const take = (count: number): Buffer => {
    const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
    chunks = [all.subarray(count)];
    length -= count;
    return all.subarray(0, count);
  };

  let expected: number | undefined;
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
          if (greeted) reader.message(deserialize(body));
          else {
            greeted = true;
            reader.greeting(JSON.parse(body.toString('utf8')));
          }
        }
      }
    } catch (cause) {
      socket.destroy(
        cause instanceof VidbatchError
          ? cause
          : new VidbatchError('FRAME_UNREADABLE', 'Something that is not vidbatch speaks on the door', {
              cause,
            }),
      );
    }
  });
}
