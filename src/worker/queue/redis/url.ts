import { usageError, type VidbatchError } from '../../../core/errors.ts';

interface Host {
  host: string;
  port: number;
}

interface Common {
  /** At least one host, in the order of the URL. */
  hosts: [Host, ...Host[]];
  tls: boolean;
  username?: string;
  password?: string;
  /** The number of the database. It is 0 by default, and always 0 on a cluster. */
  db: number;
}

/** What a REDIS_URL names. */
export type RedisPlace =
  | (Common & { kind: 'server' | 'cluster' })
  | (Common & { kind: 'sentinel'; master: string; sentinelUsername?: string; sentinelPassword?: string });

const FORMS =
  'Allowed are redis://user:password@host:6379/0, redis+cluster://host1:7000,host2:7001 and redis+sentinel://user:password@host1:26379,host2:26379/mymaster?db=0, each also with rediss for TLS; special characters in a password are percent-encoded.';

const SCHEME = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const PARAMETERS = {
  server: ['db'],
  cluster: [],
  sentinel: ['db', 'sentinel_username', 'sentinel_password'],
} as const satisfies Record<RedisPlace['kind'], readonly string[]>;
const PORTS = { server: 6379, cluster: 6379, sentinel: 26379 } as const;

/**
 * A standard URL cannot hold several hosts. An error never repeats any part of the text: if the text was misread, each
 * part may belong to the password.
 * @throws VidbatchError BAD_URL, exit 2.
 */
export function parseRedisUrl(url: string): RedisPlace {
  const match = SCHEME.exec(url.trim());
  if (match === null) throw bad('is not a URL of Redis');
  const [, scheme = '', flavour = 'server', authority = '', path = '', query = ''] = match;
  const kind = flavour.toLowerCase() as RedisPlace['kind'];
  const at = authority.lastIndexOf('@');
  const parameters = readQuery(kind, query);
  const common: Common = {
    hosts: readHosts(kind, authority.slice(at + 1)),
    tls: scheme.toLowerCase() === 'rediss',
    ...readUser(at === -1 ? undefined : authority.slice(0, at)),
    db: readDb(kind, path, parameters.get('db')),
  };
  if (kind !== 'sentinel') {
    if (kind === 'cluster' && path !== '') throw bad('has a path, which a cluster does not have');
    return { kind, ...common };
  }
  const [sentinelUsername, sentinelPassword] = [
    parameters.get('sentinel_username'),
    parameters.get('sentinel_password'),
  ];
  return {
    kind,
    ...common,
    master: readMaster(path),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  };
}

/** Hosts, and the master's name or the database: never a user or a password. */
export function nameOfPlace(place: RedisPlace): string {
  const hosts = place.hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  const path = [place.kind === 'sentinel' ? place.master : '', place.db === 0 ? '' : String(place.db)];
  return [hosts.join(','), ...path.filter((part) => part !== '')].join('/');
}

function readHosts(kind: RedisPlace['kind'], text: string): Common['hosts'] {
  const [first, ...more] = text.split(',').map((one) => readHost(one, PORTS[kind]));
  if (first === undefined) throw bad('names no host');
  if (kind === 'server' && more.length > 0) {
    throw bad('names several hosts, but neither a cluster nor Sentinels');
  }
  return [first, ...more];
}

function readHost(text: string, port: number): Host {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s%]+))(?::(\d{1,5}))?$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw bad('has an invalid host');
  const own = match?.[3] === undefined ? port : Number(match[3]);
  if (own < 1 || own > 65_535) throw bad('has an invalid port');
  return { host, port: own };
}

function readUser(text: string | undefined): Pick<Common, 'username' | 'password'> {
  if (text === undefined) return {};
  const colon = text.indexOf(':');
  const username = decode(colon === -1 ? text : text.slice(0, colon));
  const password = colon === -1 ? undefined : decode(text.slice(colon + 1));
  return {
    ...(username === '' ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

function readQuery(kind: RedisPlace['kind'], query: string): Map<string, string> {
  const allowed: readonly string[] = PARAMETERS[kind];
  const found = new Map(new URLSearchParams(query));
  for (const name of found.keys()) {
    if (!allowed.includes(name)) {
      throw bad(
        `has a parameter that is not known${allowed.length > 0 ? `; known here: ${allowed.join(', ')}` : ''}`,
      );
    }
  }
  return found;
}

function readDb(kind: RedisPlace['kind'], path: string, parameter: string | undefined): number {
  const text = kind === 'server' && path !== '' ? path : (parameter ?? '0');
  if (kind === 'cluster') return 0;
  if (!/^\d{1,5}$/.test(text)) throw bad('has a database that is not a number');
  return Number(text);
}

function readMaster(path: string): string {
  const master = decode(path);
  if (!/^[\w.-]+$/.test(master)) throw bad('does not say which master to ask the Sentinels for');
  return master;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('has a % that begins no percent-encoding');
  }
}

function bad(what: string): VidbatchError {
  return usageError('BAD_URL', `REDIS_URL ${what}`, FORMS);
}
