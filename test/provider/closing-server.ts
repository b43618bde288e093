/** A process of its own, so that it reads, answers and closes at the very moment in which the client writes. */
import { createServer, type Socket } from 'node:net';

/** What the server knows of the calls, each by its idempotency key. */
export interface Seen {
  /** How often a head was read, also of a request that then was cut off. */
  begun: Record<string, number>;
  /** How often the answer was written. */
  answered: Record<string, number>;
}

type Close = (socket: Socket) => void;

const seen: Seen = { begun: {}, answered: {} };

const hangUp: Close[] = [
  (socket) => socket.end(),
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
];

/** Park and Miller's: the same closes in each run, only their meeting with the client differs. */
let state = 7;
function below(limit: number): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % limit;
}

function closeIdle(socket: Socket): void {
  const close = hangUp[below(hangUp.length)] ?? hangUp[0];
  const after = below(6);
  if (after === 0) close?.(socket);
  else if (after === 1) setImmediate(() => close?.(socket));
  else if (after < 5) setTimeout(() => close?.(socket), below(4));
}

function answer(socket: Socket, key: string): void {
  const body = JSON.stringify({ id: `task_${key}`, task_id: `task_${key}` });
  seen.answered[key] = (seen.answered[key] ?? 0) + 1;
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  closeIdle(socket);
}

const server = createServer({ allowHalfOpen: true }, (socket) => {
  let text = '';
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    for (let head = text.indexOf('\r\n\r\n'); head !== -1; head = text.indexOf('\r\n\r\n')) {
      const key = /idempotency-key: (\S+)/.exec(text)?.[1] ?? '?';
      const length = Number(/content-length: (\d+)/.exec(text)?.[1]);
      if (text.length < head + 4 + length) return;
      text = text.slice(head + 4 + length);
      seen.begun[key] = (seen.begun[key] ?? 0) + 1;
      if (below(12) === 0) hangUp[below(hangUp.length)]?.(socket);
      else answer(socket, key);
    }
  });
});

server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.on('message', () => process.send?.(seen));
