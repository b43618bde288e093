import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../log.ts';
import { areRight } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { mayRead, mayWrite } from './origin.ts';
import { refuse } from './refusal.ts';
import type { Refusal } from './refusal.ts';
import { Tries } from './tries.ts';

/** Whether an address or host name can only be this machine. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|::1)$/i.test(host);
}

/**
 * Whether the Host header names this machine. Another name that resolves to 127.0.0.1 is how a web page reaches
 * servers like this one through its visitor's browser (DNS rebinding).
 */
export function isOwnHost(header: string | undefined): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/.exec(header ?? '')?.[1];
  return name !== undefined && name !== '::1' && isLoopback(name);
}

/** The board's own pages: markup and one style sheet, no script. */
const OWN_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Bull Board's page: its own scripts and worker, styles that they set, its `<base>`; nothing from another host. */
export const BULL_BOARD_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': OWN_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // What the board shows is true for a moment only, and belongs in no cache.
  'cache-control': 'no-store',
};

/** What everybody may ask: whether the ledger answers, and nothing about it. */
export const HEALTH_PATH = '/healthz';

export interface GuardOptions {
  /** Whether it listens where only this machine can reach it: then other names in a Host header are refused. */
  local: boolean;
  /** A name that is allowed nevertheless: that of a proxy on this machine. */
  publicName?: string;
  /** Whoever asks has to know them. */
  credentials?: Credentials;
  readOnly: boolean;
  log: Logger;
  tries?: Tries;
}

const REALM = 'Basic realm="vidbatch board", charset="UTF-8"';

/**
 * For every request, known route or not, before anything of it is read: sets the headers, and refuses foreign names,
 * other sites' pages, who does not know the password, and, in read-only mode, whatever could write. Bull Board hides
 * its buttons in read-only mode; hiding is not refusing.
 */
export function createGuard(
  options: GuardOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  const tries = options.tries ?? new Tries();

  function objection({ headers, method }: FastifyRequest, reads: boolean): Refusal | undefined {
    const { host } = headers;
    if (options.local && !isOwnHost(host) && !isNamed(host, options.publicName)) {
      return {
        status: 403,
        code: 'FOREIGN_HOST',
        message: 'this board answers to localhost, 127.0.0.1 and [::1] only (--public-name allows another)',
      };
    }
    if (reads ? !mayRead(headers) : !mayWrite(headers)) {
      return { status: 403, code: 'CROSS_SITE', message: `${method} from a page of another site is refused` };
    }
    return undefined;
  }

  async function stranger(request: FastifyRequest, credentials: Credentials): Promise<Refusal | undefined> {
    const { authorization } = request.headers;
    if (authorization === undefined) {
      return { status: 401, code: 'NO_CREDENTIALS', message: 'this board asks for a name and a password' };
    }
    const turn = tries.turn(request.ip);
    if (turn === 'full') {
      return {
        status: 429,
        code: 'TOO_MANY_TRIES',
        message: 'too many wrong passwords; try again in a while',
      };
    }
    if (turn !== undefined) await turn;
    const right = areRight(credentials, authorization);
    const wrong = tries.judged(request.ip, right);
    if (right) return undefined;
    options.log.warn({ event: 'board-stranger', address: request.ip, wrong }, 'a wrong name or password');
    return { status: 401, code: 'WRONG_CREDENTIALS', message: 'the name or the password is wrong' };
  }

  function wrongVerb({ method, headers }: FastifyRequest): Refusal | undefined {
    if (options.readOnly) {
      return {
        status: 405,
        code: 'READ_ONLY',
        message: `this board only shows; ${method} is not answered. Use the command line`,
      };
    }
    const type = headers['content-type'];
    // A form of another site can send everything but this without asking first.
    if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) {
      return { status: 415, code: 'NOT_JSON', message: 'only application/json is read' };
    }
    return undefined;
  }

  return async (request, reply) => {
    reply.headers(HEADERS);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const open = reads && request.routeOptions.url === HEALTH_PATH;
    const refusal =
      objection(request, reads) ??
      (open || options.credentials === undefined
        ? undefined
        : await stranger(request, options.credentials)) ??
      (reads ? undefined : wrongVerb(request));
    if (refusal === undefined) return undefined;
    // What follows of a refused request is not read.
    reply.header('connection', 'close');
    if (refusal.status === 401) reply.header('www-authenticate', REALM);
    if (refusal.status === 405) reply.header('allow', 'GET, HEAD');
    if (refusal.status === 429) reply.header('retry-after', '16');
    return refuse(request, reply, refusal);
  };
}

function isNamed(header: string | undefined, name: string | undefined): boolean {
  return name !== undefined && header?.replace(/:\d{1,5}$/, '').toLowerCase() === name.toLowerCase();
}
