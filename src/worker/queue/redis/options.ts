import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';
import type { RedisPlace } from './url.ts';

export const CONNECT_MS = 5_000;

/** Its generic parameter does not survive a spread. */
type Settings = Omit<RedisOptions, 'replyMapping'>;

/** The options of one connection: its server and its user. */
export function redisOptions(place: RedisPlace): Settings {
  const { hosts, username, password, db, tls } = place;
  const common: Settings = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    db,
    connectTimeout: CONNECT_MS,
    keepAlive: 10_000,
  };
  if (place.kind !== 'sentinel') {
    const [{ host, port }] = hosts;
    // Node requests a certificate for that name only if `servername` is set.
    return { ...common, host, port, ...(tls ? { tls: isIP(host) === 0 ? { servername: host } : {} } : {}) };
  }
  const { master, sentinelUsername, sentinelPassword } = place;
  return {
    ...common,
    sentinels: hosts,
    name: master,
    sentinelCommandTimeout: CONNECT_MS,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}
