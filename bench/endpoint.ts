/**
 * `node bench/endpoint.ts`: answers POSTs as the provider does and counts them, as a process of its own. It reads the
 * sockets itself: every cycle that it takes is taken from whoever is measured, as they share the cores.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { crc32 } from 'node:zlib';

/** What has come since the last `begin`. */
export interface Seen {
  posts: number;
  /** Of all bodies, as `checksumOf` makes it. */
  checksum: number;
  /** Milliseconds between the first and the last POST. */
  spanMs: number;
}

export type Order = { kind: 'begin'; latencyMs: number } | { kind: 'tell' };
export type Word = { kind: 'listening'; port: number } | { kind: 'begun' } | ({ kind: 'seen' } & Seen);

const HEAD_END = Buffer.from('\r\n\r\n');
const run = randomBytes(6).toString('hex');

let latencyMs = 0;
let posts = 0;
let checksum = 0;
let firstAt = 0;
let lastAt = 0;
let tasks = 0;

function say(word: Word): void {
  process.send?.(word);
}

function answer(): string {
  tasks += 1;
  const id = `task_${run}${String(tasks).padStart(10, '0')}`;
  const now = Date.now();
  const body = JSON.stringify({
    id,
    task_id: id,
    object: 'video.generation.job',
    model: 'viduq3p-720p',
    status: 'queued',
    progress: 0,
    created_at: Math.floor(now / 1000),
  });
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\nx-oneapi-request-id: ${run}${tasks}\r\ndate: ${new Date(now).toUTCString()}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function take(socket: Socket, body: Buffer): void {
  lastAt = performance.now();
  if (posts === 0) firstAt = lastAt;
  posts += 1;
  checksum += crc32(body);
  if (latencyMs === 0) socket.write(answer());
  else setTimeout(() => socket.write(answer()), latencyMs);
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined;
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    rest = data;
    const end = data.indexOf(HEAD_END);
    if (end < 0) return;
    const head = data.toString('latin1', 0, end);
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
    if (!head.startsWith('POST /v1/video/generations HTTP/1.1') || Number.isNaN(length)) {
      socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      return;
    }
    const start = end + HEAD_END.length;
    // Nobody pipelines POSTs: whatever follows the body would be a fault, and the sums would tell.
    if (data.length < start + length) return;
    rest = undefined;
    take(socket, data.subarray(start));
  });
});

process.on('message', (order: Order) => {
  if (order.kind === 'tell') {
    say({ kind: 'seen', posts, checksum, spanMs: lastAt - firstAt });
    return;
  }
  ({ latencyMs } = order);
  posts = 0;
  checksum = 0;
  say({ kind: 'begun' });
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('SIGINT', () => undefined);

server.listen(0, '127.0.0.1', () => say({ kind: 'listening', port: (server.address() as AddressInfo).port }));
