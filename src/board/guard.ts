import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../core/log.ts';
import { areRight, isSame } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { mayRead, mayWrite } from './origin.ts';
import type { Proxies } from './proxy.ts';
import { refuse } from './refusal.ts';
import type { Refusal } from './refusal.ts';
import { bears, cookieOf, hasCookie, makeSecret, tokenIn } from './session.ts';
import { strangerLog } from './stranger-log.ts';
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

/** The board's own pages: markup, one style sheet, and one script that asks for the page again. */
const OWN_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
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

/** What every answer has. */
export const HEADERS = {
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
  /** What opens the board: a name and a password, or the token of the URL that was printed. */
  opens: Credentials | { token: string };
  readOnly: boolean;
  log: Logger;
  proxies: Proxies;
  /** Path under which browsers see the board; without a slash at its end. */
  publicPath: string;
  tries?: Tries;
}

const REALM = 'realm="vidbatch board"';

const NO_TOKEN: Refusal = {
  status: 401,
  code: 'NO_TOKEN',
  message:
    'this board is for the user who started it: open the URL that `vidbatch board` printed, with its token, or send `Authorization: Bearer <token>`',
};

/**
 * For every request, known route or not, before anything of it is read: sets the headers, and refuses foreign names,
 * other sites' pages, who knows neither password nor token, and, in read-only mode, whatever could write. Bull Board hides
 * its buttons in read-only mode; hiding is not refusing.
 */
export function createGuard(
  options: GuardOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  const { opens, tries = new Tries() } = options;
  const session = makeSecret();
  const tellStranger = strangerLog(options.log);

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

  /** Judged before anything waits: guesses at the address of somebody who was let in never shut him out. */
  const isLetIn = ({ headers, socket }: FastifyRequest): boolean =>
    hasCookie(headers, session, socket.localPort);

  function letIn(request: FastifyRequest, reply: FastifyReply): void {
    const secure = options.proxies.isSecure(request);
    reply.header(
      'set-cookie',
      cookieOf(session, request.socket.localPort, { secure, path: `${options.publicPath}/` }),
    );
  }

  async function stranger(request: FastifyRequest, reply: FastifyReply): Promise<Refusal | undefined> {
    if (isLetIn(request)) return undefined;
    if ('token' in opens) return bears(request.headers, opens.token) ? undefined : NO_TOKEN;
    const { authorization } = request.headers;
    if (authorization === undefined) {
      return { status: 401, code: 'NO_CREDENTIALS', message: 'this board asks for a name and a password' };
    }
    const address = options.proxies.clientOf(request);
    const right = areRight(opens, authorization);
    if (!tries.isGuest(address, right)) {
      const refusal = await judge(address, right);
      if (refusal !== undefined) return refusal;
    }
    letIn(request, reply);
    return undefined;
  }

  async function judge(address: string, right: boolean): Promise<Refusal | undefined> {
    const turn = tries.turn(address);
    if (turn === 'full') {
      return {
        status: 429,
        code: 'TOO_MANY_TRIES',
        message: 'too many wrong passwords; try again in a while',
      };
    }
    if (turn !== undefined) await turn;
    const wrong = tries.judged(address, right);
    if (right) return undefined;
    tellStranger({ address, wrong });
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
    const foreign = objection(request, reads);
    const shown = reads && foreign === undefined && 'token' in opens ? tokenIn(request.url) : undefined;
    if (shown !== undefined && 'token' in opens && isSame(shown.token, opens.token)) {
      letIn(request, reply);
      // What stays in the address bar, in bookmarks and in the history is worth nothing to others.
      return reply.redirect(`${options.publicPath}${shown.path}`, 303);
    }
    const refusal =
      foreign ??
      (open ? undefined : await stranger(request, reply)) ??
      (reads ? undefined : wrongVerb(request));
    if (refusal === undefined) return undefined;
    // What follows of a refused request is not read.
    reply.header('connection', 'close');
    if (refusal.status === 401) {
      reply.header(
        'www-authenticate',
        'token' in opens ? `Bearer ${REALM}` : `Basic ${REALM}, charset="UTF-8"`,
      );
    }
    if (refusal.status === 405) reply.header('allow', 'GET, HEAD');
    if (refusal.status === 429) reply.header('retry-after', '16');
    return refuse(request, reply, refusal);
  };
}

function isNamed(header: string | undefined, name: string | undefined): boolean {
  return name !== undefined && header?.replace(/:\d{1,5}$/, '').toLowerCase() === name.toLowerCase();
}
