import { createHash, createHmac, timingSafeEqual, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface Credentials {
  user: string;
  password: string;
}

/**
 * Whether an Authorization header holds these credentials. It always compares both hashes, so the time does not show
 * whether the name or the password is wrong, or at which character.
 */
export function areValid({ user, password }: Credentials, header: string): boolean {
  const [, encoded = ''] = /^basic +([\w+/=-]+) *$/i.exec(header) ?? [];
  const given = Buffer.from(encoded, 'base64').toString('utf8');
  // A name contains no colon, but a password may.
  const colon = given.indexOf(':');
  const same = areSame(
    { user: given.slice(0, Math.max(colon, 0)), password: given.slice(colon + 1) },
    { user, password },
  );
  return same && colon >= 0;
}

/** It compares the password even if the user is wrong, so the time does not show which of them is wrong. */
export function areSame(given: Credentials, known: Credentials): boolean {
  const right = [isSameText(given.user, known.user), isSameText(given.password, known.password)];
  return !right.includes(false);
}

/** It compares hashes, so the time does not show at which character two texts differ. */
export function isSameText(given: string, known: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(given)), Buffer.from(hashOf(known)));
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** 192 bits; at least 128 are needed. */
const BYTES = 24;

/** A secret that lives as long as this process: the token in the printed URL, or the value of a session cookie. */
export function makeSecret(): string {
  return randomBytes(BYTES).toString('base64url');
}

/** The token that each form of the board carries. Only pages of this session know it. */
export function formTokenOf(session: string): string {
  return createHmac('sha256', session).update('form').digest('base64url');
}

/** Browsers send a cookie to every port, so two boards on one machine need two names. */
function cookieName(port: number | undefined): string {
  return `vidbatch-${port ?? 0}`;
}

/** The value of a Set-Cookie header. Scripts cannot read the cookie, and pages of other sites cannot send it. */
export function cookieOf(
  secret: string,
  port: number | undefined,
  options: { secure: boolean; path: string },
): string {
  const secure = options.secure ? '; Secure' : '';
  return `${cookieName(port)}=${secret}; Path=${options.path}; HttpOnly; SameSite=Strict${secure}`;
}

/** The values of the session cookie in a request. A browser may send it several times, for several paths. */
export function cookiesOf({ cookie = '' }: IncomingHttpHeaders, port: number | undefined): string[] {
  const name = `${cookieName(port)}=`;
  return cookie.split(/; */).flatMap((pair) => (pair.startsWith(name) ? [pair.slice(name.length)] : []));
}

/** Whether `Authorization: Bearer <token>` holds the token. */
export function hasToken({ authorization = '' }: IncomingHttpHeaders, token: string): boolean {
  return isSameText(/^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '', token);
}

/** The token in a URL, and the URL's path without it. The path begins with one slash, so it stays on this board. */
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
