import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../core/log.ts';
import { areValid, isSameText, hasToken, cookieOf, hasCookie, makeSecret, tokenIn } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { loginFailureLog, LoginThrottle } from './login-throttle.ts';
import type { Proxies } from './proxy.ts';
import { sendRefusal } from './responses.ts';
import type { Refusal } from './responses.ts';

/** Whether an address or host name always means this machine. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|::1)$/i.test(host);
}

/**
 * Whether the Host header names this machine. By DNS rebinding, another name resolves to 127.0.0.1, and a web page reaches
 * this server through its visitor's browser.
 */
export function isOwnHost(header: string | undefined): boolean {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/.exec(header ?? '')?.[1];
  return name !== undefined && name !== '::1' && isLoopback(name);
}

/** For the board's own pages: markup, one style sheet, and one script that reloads the page. */
const OWN_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** For Bull Board's page: its own scripts and worker, the styles that they set, and its `<base>`; nothing from another host. */
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

/** The headers of every answer. */
export const HEADERS = {
  'content-security-policy': OWN_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // The board shows the state of one moment, so no cache may keep it.
  'cache-control': 'no-store',
};

/** Anyone may ask this path. It says whether the ledger answers, and nothing else. */
export const HEALTH_PATH = '/healthz';

export interface GuardOptions {
  /** Only this machine can reach the board, so other names in a Host header are refused. */
  local: boolean;
  /** A name that is allowed nevertheless: the public name of a proxy on this machine. */
  publicName?: string;
  /** A name and a password, or the token of the URL that the board printed. */
  credentials: Credentials | { token: string };
  readOnly: boolean;
  log: Logger;
  proxies: Proxies;
  /** The path under which browsers see the board, without a slash at its end. */
  publicPath: string;
  throttle?: LoginThrottle;
}

const REALM = 'realm="vidbatch board"';

const NO_TOKEN: Refusal = {
  status: 401,
  code: 'NO_TOKEN',
  message:
    'this board is for the user who started it: open the URL that `vidbatch board` printed, with its token, or send `Authorization: Bearer <token>`',
};

/**
 * Runs for every request, known route or not, before its body is read. It sets the headers. It refuses foreign host names,
 * requests from pages of other sites, and requests without password or token. In read-only mode it refuses every write:
 * Bull Board only hides its buttons then.
 */
export function createGuard(
  options: GuardOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  const { credentials, throttle = new LoginThrottle() } = options;
  const session = makeSecret();
  const logFailure = loginFailureLog(options.log);

  function checkOrigin({ headers, method }: FastifyRequest, reads: boolean): Refusal | undefined {
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

  function startSession(request: FastifyRequest, reply: FastifyReply): void {
    const secure = options.proxies.isSecure(request);
    reply.header(
      'set-cookie',
      cookieOf(session, request.socket.localPort, { secure, path: `${options.publicPath}/` }),
    );
  }

  async function checkLogin(request: FastifyRequest, reply: FastifyReply): Promise<Refusal | undefined> {
    const { headers, socket } = request;
    // The cookie counts before the throttle: guesses from the same address never shut out a logged-in person.
    if (hasCookie(headers, session, socket.localPort)) return undefined;
    if ('token' in credentials) return hasToken(headers, credentials.token) ? undefined : NO_TOKEN;
    const { authorization } = headers;
    if (authorization === undefined) {
      return { status: 401, code: 'NO_CREDENTIALS', message: 'this board asks for a name and a password' };
    }
    const address = options.proxies.clientOf(request);
    const isRight = areValid(credentials, authorization);
    const refusal = throttle.admits(address, isRight) ? undefined : await judgeLogin(address, isRight);
    if (refusal === undefined) startSession(request, reply);
    return refusal;
  }

  async function judgeLogin(address: string, isRight: boolean): Promise<Refusal | undefined> {
    const wait = throttle.wait(address);
    if (wait === 'full') {
      return {
        status: 429,
        code: 'TOO_MANY_TRIES',
        message: 'too many wrong passwords; try again in a while',
      };
    }
    if (wait !== undefined) await wait;
    const wrong = throttle.record(address, isRight);
    if (isRight) return undefined;
    logFailure({ address, wrong });
    return { status: 401, code: 'WRONG_CREDENTIALS', message: 'the name or the password is wrong' };
  }

  function checkWrite({ method, headers }: FastifyRequest): Refusal | undefined {
    if (options.readOnly) {
      return {
        status: 405,
        code: 'READ_ONLY',
        message: `this board is read-only, so ${method} is refused. Use the command line`,
      };
    }
    const type = headers['content-type'];
    // Without a preflight request, a form of another site can send every type but this one.
    if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) {
      return { status: 415, code: 'NOT_JSON', message: 'only application/json is read' };
    }
    return undefined;
  }

  return async (request, reply) => {
    reply.headers(HEADERS);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const isHealth = reads && request.routeOptions.url === HEALTH_PATH;
    const foreign = checkOrigin(request, reads);
    if (reads && foreign === undefined && 'token' in credentials) {
      const login = tokenIn(request.url);
      if (login !== undefined && isSameText(login.token, credentials.token)) {
        startSession(request, reply);
        // The redirect keeps the token out of the address bar, bookmarks and the history.
        return reply.redirect(`${options.publicPath}${login.path}`, 303);
      }
    }
    const refusal =
      foreign ??
      (isHealth ? undefined : await checkLogin(request, reply)) ??
      (reads ? undefined : checkWrite(request));
    if (refusal === undefined) return undefined;
    // The body of a refused request is not read.
    reply.header('connection', 'close');
    if (refusal.status === 401) {
      reply.header(
        'www-authenticate',
        'token' in credentials ? `Bearer ${REALM}` : `Basic ${REALM}, charset="UTF-8"`,
      );
    }
    if (refusal.status === 405) reply.header('allow', 'GET, HEAD');
    if (refusal.status === 429) reply.header('retry-after', '16');
    return sendRefusal(request, reply, refusal);
  };
}

function isNamed(header: string | undefined, name: string | undefined): boolean {
  return name !== undefined && header?.replace(/:\d{1,5}$/, '').toLowerCase() === name.toLowerCase();
}

/**
 * Whether a writing request comes from one of this board's own pages, or from no page at all. The check is needed because a
 * browser also sends a person's credentials with requests of other pages.
 *
 * `Sec-Fetch-Site` counts first. Over plain HTTP a browser sends only `Origin`, whose host must be this board's; its scheme
 * is not compared, because a proxy may end TLS. A browser that sends neither is refused. A program that sends neither is
 * allowed, because it must know the password itself.
 */
export function mayWrite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const from = headers.origin ?? headers.referer;
  if (from !== undefined) return isHost(from, headers.host);
  return !/^mozilla\//i.test(headers['user-agent'] ?? '');
}

/** Whether a reading request may be answered: a page of another site may link to the board, but not load it itself. */
export function mayRead(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

function isHost(url: string, host: string | undefined): boolean {
  try {
    return host !== undefined && new URL(url).host === host.toLowerCase();
  } catch {
    // `Origin: null`: the page hides its origin.
    return false;
  }
}
