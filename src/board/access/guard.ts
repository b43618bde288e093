import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { areValid, isSameText, hasToken, tokenIn, type Credentials } from './credentials.ts';
import { LIVE_HEADER } from '../live-reads.ts';
import type { Login } from './login.ts';
import { sendRefusal, type Refusal } from '../responses.ts';
import type { Sessions } from './sessions.ts';

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

/**
 * For the board's own pages: markup, one style sheet, one script that fetches the page again, and videos that were downloaded. A
 * provider's URL is only a link. A page that loads the URL would contact a host that the provider chose, possibly one in the
 * reader's own network.
 */
const OWN_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "media-src 'self'",
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

/** These need no session: a browser signs in and out there. */
export const SIGN_IN_PATH = '/sign-in';
export const SIGN_IN_STYLE_PATH = '/sign-in.css';
export const SIGN_OUT_PATH = '/sign-out';

export interface GuardOptions {
  /** Only this machine can reach the board, so other names in a Host header are refused. */
  local: boolean;
  /** A name that is allowed nevertheless: the public name of a proxy on this machine. */
  publicName?: string;
  /** A name and a password, or the token of the URL that the board printed. */
  credentials: Credentials | { token: string };
  readOnly: boolean;
  login: Login;
  sessions: Sessions;
  /** The path under which browsers see the board, without a slash at its end. */
  publicPath: string;
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
  const { credentials, sessions, publicPath } = options;
  return async (request, reply) => {
    reply.headers(HEADERS);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const foreign = judgeOrigin(request, reads, options);
    if (reads && foreign === undefined && 'token' in credentials) {
      const entry = tokenIn(request.url);
      if (entry !== undefined && isSameText(entry.token, credentials.token)) {
        sessions.start(request, reply);
        // The redirect keeps the token out of the address bar, bookmarks and the history.
        return reply.redirect(`${publicPath}${entry.path}`, 303);
      }
    }
    const refusal =
      foreign ??
      (isOpen(request, reads) ? undefined : await judgeLogin(request, reply, options)) ??
      (reads ? undefined : judgeWrite(request, options));
    return refusal === undefined ? undefined : refuse(request, reply, refusal, options);
  };
}

function judgeOrigin(
  { headers, method }: FastifyRequest,
  reads: boolean,
  { local, publicName }: GuardOptions,
): Refusal | undefined {
  const { host } = headers;
  if (local && !isOwnHost(host) && !isNamed(host, publicName)) {
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

/** Whether no session is needed. */
function isOpen({ routeOptions: { url } }: FastifyRequest, reads: boolean): boolean {
  if (url === SIGN_IN_PATH || url === SIGN_OUT_PATH) return true;
  return reads && (url === HEALTH_PATH || url === SIGN_IN_STYLE_PATH);
}

async function judgeLogin(
  request: FastifyRequest,
  reply: FastifyReply,
  { credentials, login, sessions }: GuardOptions,
): Promise<Refusal | undefined> {
  const { headers } = request;
  // The cookie counts before the throttle: guesses from the same address never shut out a logged-in person.
  if (sessions.has(request)) return undefined;
  if ('token' in credentials) return hasToken(headers, credentials.token) ? undefined : NO_TOKEN;
  const { authorization } = headers;
  if (authorization === undefined) {
    return { status: 401, code: 'NO_CREDENTIALS', message: 'this board asks for a name and a password' };
  }
  const refusal = await login.judge(request, areValid(credentials, authorization));
  if (refusal === undefined) sessions.startBasic(request, reply);
  return refusal;
}

function judgeWrite(
  { method, headers, routeOptions: { url } }: FastifyRequest,
  { readOnly }: GuardOptions,
): Refusal | undefined {
  const isSigning = method === 'POST' && (url === SIGN_IN_PATH || url === SIGN_OUT_PATH);
  if (readOnly && !isSigning) {
    return {
      status: 405,
      code: 'READ_ONLY',
      message: `this board is read-only, so ${method} is refused. Use the command line`,
    };
  }
  const type = headers['content-type'];
  // Without a preflight request, a form of another site can send every type but this one.
  if (type === undefined || /^application\/json\s*(;|$)/i.test(type)) return undefined;
  if (FORM.test(type) && isOwnForm(headers)) return undefined;
  return {
    status: 415,
    code: 'NOT_JSON',
    message: "only application/json is read, and forms of the board's own pages",
  };
}

/** Leads a person without a session to the page that signs in, and tells all others why. */
function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
  { credentials, publicPath }: GuardOptions,
): FastifyReply {
  const { status } = refusal;
  if (status === 401 && wantsPage(request)) {
    const next = tokenIn(request.url)?.path ?? request.url;
    const query = next === '/' ? '' : `?${new URLSearchParams({ next }).toString()}`;
    return reply.redirect(`${publicPath}${SIGN_IN_PATH}${query}`, 303);
  }
  // The body of a refused request is not read.
  reply.header('connection', 'close');
  if (status === 401 && !isOfScript(request)) {
    reply.header(
      'www-authenticate',
      'token' in credentials ? `Bearer ${REALM}` : `Basic ${REALM}, charset="UTF-8"`,
    );
  }
  if (status === 405) reply.header('allow', 'GET, HEAD');
  if (status === 429) reply.header('retry-after', '16');
  return sendRefusal(request, reply, refusal);
}

/** Whether a browser asks for a page, to show it. */
function wantsPage({ method, headers }: FastifyRequest): boolean {
  const mode = headers['sec-fetch-mode'];
  return (
    method === 'GET' &&
    (mode === undefined || mode === 'navigate') &&
    /\btext\/html\b/.test(headers.accept ?? '')
  );
}

/** Whether a page's script asks. At a 401 with a challenge, the browser would ask for a password in a window of its own. */
function isOfScript({ headers }: FastifyRequest): boolean {
  return (
    headers['sec-fetch-site'] !== undefined ||
    headers[LIVE_HEADER] !== undefined ||
    headers.accept === 'text/event-stream'
  );
}

const FORM = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\s*(;|$)/i;

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
function mayWrite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const from = headers.origin ?? headers.referer;
  if (from !== undefined) return isHost(from, headers.host);
  return !/^mozilla\//i.test(headers['user-agent'] ?? '');
}

/** Whether a browser says that a form is part of one of this board's own pages. A request that does not say so is refused. */
export function isOwnForm(headers: IncomingHttpHeaders): boolean {
  const says = headers['sec-fetch-site'] ?? headers.origin ?? headers.referer;
  return says !== undefined && mayWrite(headers);
}

/** Whether a reading request may be answered: a page of another site may link to the board, but not load it itself. */
function mayRead(headers: IncomingHttpHeaders): boolean {
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
