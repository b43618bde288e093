import { usageError } from '../../core/errors.ts';
import type { Server } from 'node:http';

/** Where to listen. Without a host: on every address of this machine, IPv4 and IPv6. */
export interface Address {
  host?: string;
  /** 0: any free port. */
  port: number;
}

const ADDRESS = /^(?:\[(?<six>[\da-f:.]+(?:%\w+)?)\]|(?<host>[a-z\d.-]*)):(?<port>\d{1,5})$/i;

/**
 * `127.0.0.1:9090`, `[::1]:9090`, `localhost:0`, or `:9090` for every address, as Prometheus and its exporters write it.
 * @throws VidbatchError exit 2 for anything else. A bare number is not taken: it does not say who may look.
 */
export function parseAddress(name: string, text: string): Address {
  const { six, host, port = '' } = ADDRESS.exec(text.trim())?.groups ?? {};
  const number = Number(port);
  if (port === '' || number > 65_535) {
    throw usageError(
      'BAD_ADDRESS',
      `${name}: "${text}" is not HOST:PORT, such as 127.0.0.1:9090, [::1]:9090, or :9090 for every address`,
      /^\d+$/.test(text.trim()) ? `:${text.trim()} listens on every address of this machine.` : undefined,
    );
  }
  const where = six ?? host;
  return { port: number, ...(where === undefined || where === '' ? {} : { host: where }) };
}

/** As it is written in a URL. */
export function hostOf({ host }: Address, fallback: string): string {
  const name = host ?? fallback;
  return name.includes(':') ? `[${name}]` : name;
}

/** How long a client of our HTTP servers may take, and how many connections there may be. */
export interface HttpLimits {
  /** For the headers of a request, from its first byte or from the start of the connection. */
  headersMs: number;
  /** For the whole request, its body too. */
  requestMs: number;
  /** For a connection on which nothing moves. */
  idleMs: number;
  connections: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  connections: 500,
};

/** The limits that `createServer` takes. */
export function serverOptions({ headersMs, requestMs }: HttpLimits) {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    // How often late requests are looked for.
    connectionsCheckingInterval: Math.ceil(headersMs / 4),
  };
}

/** The limits that are set on a server afterwards. */
export function limitServer(server: Server, { idleMs, connections }: HttpLimits): void {
  server.setTimeout(idleMs);
  server.maxConnections = connections;
}
