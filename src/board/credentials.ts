import { createHash, timingSafeEqual } from 'node:crypto';

export interface Credentials {
  user: string;
  password: string;
}

/**
 * Whether an Authorization header holds these credentials. Takes as long for a wrong name as for a wrong password, and
 * for a first character as for the last: hashes are compared, both always.
 */
export function areRight({ user, password }: Credentials, header: string): boolean {
  const [, encoded = ''] = /^basic +([\w+/=-]+) *$/i.exec(header) ?? [];
  const given = Buffer.from(encoded, 'base64').toString('utf8');
  // A name holds no colon; a password may.
  const colon = given.indexOf(':');
  const right = [isSame(given.slice(0, Math.max(colon, 0)), user), isSame(given.slice(colon + 1), password)];
  return !right.includes(false) && colon >= 0;
}

/** Takes as long wherever two texts differ first: their hashes are compared. */
export function isSame(given: string, known: string): boolean {
  return timingSafeEqual(hashOf(given), hashOf(known));
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
