import type { FastifyReply, FastifyRequest } from 'fastify';

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
  "form-action 'none'",
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

/**
 * For every request, known route or not, before anything of it is read: sets the headers, and refuses foreign names
 * and whatever could write. Bull Board hides its buttons in read-only mode; hiding is not refusing.
 */
export async function guard(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  reply.headers(HEADERS);
  if (!isOwnHost(request.headers.host)) {
    return refuse(reply, 403, 'FOREIGN_HOST', 'this board answers to localhost, 127.0.0.1 and [::1] only');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    reply.header('allow', 'GET, HEAD');
    return refuse(
      reply,
      405,
      'READ_ONLY',
      `this board only shows; ${request.method} is not answered. Use the command line`,
    );
  }
  return undefined;
}

/** One line of JSON, and the connection's end: what follows of a refused request is not read. */
function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply
    .code(status)
    .header('connection', 'close')
    .type('application/json; charset=utf-8')
    .send(`${JSON.stringify({ error: { code, message } })}\n`);
}
