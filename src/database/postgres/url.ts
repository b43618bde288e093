import { readFileSync } from 'node:fs';
import { messageOf, usageError } from '../../core/errors.ts';
import type { VidbatchError } from '../../core/errors.ts';

/** What a DATABASE_URL names. */
export interface PostgresPlace {
  /** As the driver is to read it. */
  url: string;
  /** Host, port and database: never a user or a password. */
  name: string;
}

const FORMS =
  'For example postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=ca.pem; special characters in a password are percent-encoded.';

const MODES = ['disable', 'require', 'verify-ca', 'verify-full', 'prefer', 'no-verify'];

/**
 * `require`, `prefer` and `verify-ca` mean `verify-full`, as the driver has it, only without its warning on every start;
 * when the driver comes to take them for less, they still will. Unverified is only what says so: `no-verify`, or the
 * driver's `uselibpqcompat=true`.
 * @throws VidbatchError BAD_URL, exit 2. Says nothing of the text itself, any part of which may be of the password.
 */
export function parsePostgresUrl(text: string): PostgresPlace {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw bad('is not a URL of Postgres');
  const url = readUrl(text);
  const parameters = url.searchParams;
  for (const part of [url.username, url.password, url.pathname]) decodable(part);
  misread(url);
  if (url.hostname.includes(',')) throw bad('names several hosts; name the one that can be written to');
  const mode = parameters.get('sslmode');
  if (mode !== null && !MODES.includes(mode)) throw bad(`has an sslmode that is none of ${MODES.join(', ')}`);
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) readable(name, parameters.get(name));
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
 * A "/", "?" or "#" in a password ends the host where it stands; when only digits come before it, they even pass for a
 * port. The name would then hold half of the password. The "@" behind it gives that away.
 */
function misread({ pathname, search, hash }: URL): void {
  if (hash === '' && !pathname.slice(1).includes('/') && !`${pathname}${search}`.includes('@')) return;
  throw bad(
    'has a "/", "?", "#" or "@" that is part of nothing, as in a password that is not percent-encoded',
  );
}

function decodable(part: string): void {
  try {
    decodeURIComponent(part);
  } catch {
    throw bad('has a % that begins no percent-encoding');
  }
}

function readable(name: string, path: string | null): void {
  try {
    if (path !== null) readFileSync(path);
  } catch (error) {
    throw bad(`names a file in ${name} that cannot be read: ${messageOf(error)}`);
  }
}

function bad(what: string): VidbatchError {
  return usageError('BAD_URL', `DATABASE_URL ${what}`, FORMS);
}
