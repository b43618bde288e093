import type { Server } from 'node:http';

/** How long a client of one of our own servers may take, and how many there may be. */
export interface HttpLimits {
  /** For the headers of a request, from its first byte or from the start of the connection. */
  headersMs: number;
  /** For the whole request, its body too. */
  requestMs: number;
  /** For which nothing may move on a connection while an answer is written, or none is asked for. */
  idleMs: number;
  connections: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  connections: 500,
};

/** What `createServer` takes. */
export function serverOptions({ headersMs, requestMs }: HttpLimits) {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    // Late requests are looked for so often.
    connectionsCheckingInterval: Math.ceil(headersMs / 4),
  };
}

/** What can only be said of a server that is there. */
export function limitServer(server: Server, { idleMs, connections }: HttpLimits): void {
  server.setTimeout(idleMs);
  server.maxConnections = connections;
}
