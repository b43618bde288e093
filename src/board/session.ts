import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isSame } from './credentials.ts';

/** At least 128 bits are asked for. */
const BYTES = 24;

/**
 * A secret that ends with this process. As a token it stands in the URL that is printed; as a cookie it tells a browser
 * that was let in from everything else at the same address.
 */
export function makeSecret(): string {
  return randomBytes(BYTES).toString('base64url');
}

/** Cookies do not know ports: two boards of one machine would overwrite each other's. */
function nameOf(port: number | undefined): string {
  return `vidbatch-${port ?? 0}`;
}

/** The value of a Set-Cookie header. Scripts do not see the cookie, and no page of another site sends it. */
export function cookieOf(
  secret: string,
  port: number | undefined,
  options: { secure: boolean; path: string },
): string {
  const secure = options.secure ? '; Secure' : '';
  return `${nameOf(port)}=${secret}; Path=${options.path}; HttpOnly; SameSite=Strict${secure}`;
}

/** Whether a request brings the cookie back. */
export function hasCookie(
  { cookie = '' }: IncomingHttpHeaders,
  secret: string,
  port: number | undefined,
): boolean {
  const name = `${nameOf(port)}=`;
  return cookie.split(/; */).some((pair) => pair.startsWith(name) && isSame(pair.slice(name.length), secret));
}

/** Whether `Authorization: Bearer <token>` holds the token. */
export function bears({ authorization = '' }: IncomingHttpHeaders, token: string): boolean {
  return isSame(/^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '', token);
}

/** The token in a URL, and the path without it: always of this board, however many slashes it begins with. */
export function tokenIn(url: string): { token: string; path: string } | undefined {
  const mark = url.indexOf('?');
  const before = mark < 0 ? url : url.slice(0, mark);
  const search = new URLSearchParams(mark < 0 ? '' : url.slice(mark));
  const token = search.get('token');
  if (token === null) return undefined;
  search.delete('token');
  const path = before.startsWith('/') ? before.replace(/^\/+/, '/') : '/';
  return { token, path: search.size === 0 ? path : `${path}?${search.toString()}` };
}
