import { readFileSync } from 'node:fs';
import { messageOf, usageError, type VidbatchError } from '../../core/errors.ts';

export interface PostgresPlace {
  /** For the driver. */
  url: string;
  /** For people: host, port and database, never a user or a password. */
  name: string;
}

const FORMS =
  'For example postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=ca.pem; special characters in a password are percent-encoded.';

const MODES = ['disable', 'require', 'verify-ca', 'verify-full', 'prefer', 'no-verify'];

/**
 * `require`, `prefer` and `verify-ca` become `verify-full`. The driver of today does the same, with a warning on every start;
 * a later driver may verify less. Only `no-verify` and the driver's `uselibpqcompat=true` turn verification off.
 * @throws VidbatchError BAD_URL, exit 2. It quotes no part of the URL, because each part may belong to the password.
 */
export function parsePostgresUrl(text: string): PostgresPlace {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw bad('is not a URL of Postgres');
  const url = readUrl(text);
  const parameters = url.searchParams;
  for (const part of [url.username, url.password, url.pathname]) checkDecodable(part);
  checkMisread(url);
  if (url.hostname.includes(',')) throw bad('names several hosts; name the one that can be written to');
  const mode = parameters.get('sslmode');
  if (mode !== null && !MODES.includes(mode))
    throw bad(`has an unknown sslmode; it must be one of ${MODES.join(', ')}`);
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) checkReadable(name, parameters.get(name));
  const strict = parameters.get('uselibpqcompat') !== 'true';
  return {
    url: strict ? text.replace(/([?&]sslmode=)(?:require|prefer|verify-ca)(?=&|#|$)/, '$1verify-full') : text,
    name: `${parameters.get('host') ?? url.host}${url.pathname === '/' ? '' : url.pathname}`,
  };
}

function readUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw bad('is not a URL');
  }
}

/**
 * A "/", "?" or "#" in a password ends the host too early, and digits before it look like a port. The name would then hold
 * half of the password. The "@" that follows shows the mistake.
 */
function checkMisread({ pathname, search, hash }: URL): void {
  if (hash === '' && !pathname.slice(1).includes('/') && !`${pathname}${search}`.includes('@')) return;
  throw bad('has a "/", "?", "#" or "@" in a wrong place, as in a password that is not percent-encoded');
}

function checkDecodable(part: string): void {
  try {
    decodeURIComponent(part);
  } catch {
    throw bad('has a % that does not begin a percent-encoding');
  }
}

function checkReadable(name: string, path: string | null): void {
  try {
    if (path !== null) readFileSync(path);
  } catch (error) {
    throw bad(`names a file in ${name} that cannot be read: ${messageOf(error)}`);
  }
}

function bad(what: string): VidbatchError {
  return usageError('BAD_URL', `DATABASE_URL ${what}`, FORMS);
}
