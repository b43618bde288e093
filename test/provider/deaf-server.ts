/** A process that can be stopped: its kernel then takes so many connections, and answers to no more. */
import { createServer } from 'node:http';

const posts: string[] = [];
const server = createServer((request, response) => {
  posts.push(String(request.headers['idempotency-key']));
  request.resume().once('end', () => response.end('{"task_id":"task_1"}'));
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.send?.(server.address()));
process.on('message', () => process.send?.(posts));
