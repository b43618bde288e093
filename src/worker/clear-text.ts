import type { Config } from '../core/config.ts';
import { parsePostgresUrl } from '../database/postgres/url.ts';
import { isThisMachine } from '../core/base-url.ts';
import { nameOfPlace, parseRedisUrl } from './queue/redis/url.ts';

/** A server that is reached over a network, and without TLS. */
export interface ClearText {
  what: string;
  hint: string;
}

/**
 * Servers of other machines to which password, prompts and task ids travel as they are.
 * @throws VidbatchError BAD_URL for a URL that is not understood.
 */
export function clearTextOf({
  databaseUrl,
  redisUrl,
}: Pick<Config, 'databaseUrl' | 'redisUrl'>): ClearText[] {
  const found: ClearText[] = [];
  if (databaseUrl !== undefined && isPostgresClear(databaseUrl)) {
    found.push({
      what: `Postgres at ${parsePostgresUrl(databaseUrl).name} is on another machine, and DATABASE_URL does not use TLS: others on the network can read its password`,
      hint: 'Add sslmode=verify-full to DATABASE_URL.',
    });
  }
  const place = redisUrl === undefined ? undefined : parseRedisUrl(redisUrl);
  if (place !== undefined && !place.tls && place.hosts.some(({ host }) => !isThisMachine(host))) {
    found.push({
      what: `Redis at ${nameOfPlace(place)} is on another machine, and REDIS_URL does not use TLS: others on the network can read its password`,
      hint: 'Use rediss:// in REDIS_URL.',
    });
  }
  return found;
}

function isPostgresClear(text: string): boolean {
  const { hostname, searchParams } = new URL(parsePostgresUrl(text).url);
  const host = searchParams.get('host') ?? hostname;
  const mode = searchParams.get('sslmode');
  if (mode !== null ? mode !== 'disable' : searchParams.get('ssl') === 'true') return false;
  // A path is a socket of this machine.
  return host !== '' && !/^(\/|%2f)/i.test(host) && !isThisMachine(host);
}
