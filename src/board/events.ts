import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ChangeWatch } from './change-watch.ts';
import { sendRefusal } from './responses.ts';

const EVENTS_PATH = '/events';

/** Servers and proxies close a connection that carries nothing for a minute. */
const HEARTBEAT_MS = 15_000;
/** A browser that lost the connection tries again after this time. */
const RETRY_MS = 1_000;
const MOST_LISTENERS = 200;
/** A browser opens at most six connections to a server. With more listeners than this, it could load no page. */
const MOST_OF_ONE = 4;

/**
 * `/events`: server-sent events. Each tells the open pages that they may show something old; the script of the page then
 * fetches the page again.
 */
export function mountEvents(server: FastifyInstance, watch: ChangeWatch): void {
  /** With the cookies of its client. */
  const listeners = new Map<PassThrough, string | undefined>();
  server.addHook('preClose', async () => {
    for (const stream of listeners.keys()) stream.end();
  });
  server.get(EVENTS_PATH, { exposeHeadRoute: false }, async (request, reply) => {
    const { cookie } = request.headers;
    const ofClient = [...listeners.values()].filter((other) => other === cookie && cookie !== undefined);
    if (listeners.size >= MOST_LISTENERS || ofClient.length >= MOST_OF_ONE) {
      const message = 'too many pages are live at once: close or pause one of them';
      return sendRefusal(request, reply, { status: 429, code: 'TOO_MANY_LISTENERS', message });
    }
    const stream = new PassThrough();
    listeners.set(stream, cookie);
    const stop = watch.listen((version) => stream.write(`data: ${version}\n\n`));
    const heartbeat = setInterval(() => stream.write(':\n\n'), HEARTBEAT_MS);
    stream.once('close', () => {
      clearInterval(heartbeat);
      stop();
      listeners.delete(stream);
    });
    stream.write(`retry: ${RETRY_MS}\n\n`);
    // A proxy that collects answers before it passes them on would hold the events back.
    return reply.type('text/event-stream').header('x-accel-buffering', 'no').send(stream);
  });
}
