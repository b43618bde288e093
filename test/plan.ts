import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findBinary } from './binaries.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './provider/certificate.ts';

/** How a server is not like the usual one, which lets everybody in and speaks without TLS. */
export interface Manner {
  /** It keeps what it has acknowledged, as in `docker-compose.yml`; without it, it is quick. */
  durable?: boolean;
  /** Of the server, over the usual ones: `fsync`, `maxmemory-policy` … */
  settings?: Readonly<Record<string, string>>;
  password?: string;
  /** And nothing else. For `localhost` and 127.0.0.1. */
  tls?: boolean;
  /** Redis: a node of a cluster that is still to be made. */
  cluster?: boolean;
  /** Redis: of the server on this port. */
  replicaOf?: number;
  /** Redis: not a server, but a Sentinel that watches the server on this port as `mymaster`. */
  sentinelOf?: number;
  /** PgBouncer: where it leads, and how long it gives a session. */
  pool?: { url: string; mode: 'session' | 'transaction' | 'statement' };
}

/** How a server is started. */
export interface Plan {
  version: string;
  url: (port: number) => string;
  command: (port: number) => [file: string, args: string[]];
  ready: RegExp;
  /** Ends it at once, with everything it started. */
  stopWith: NodeJS.Signals;
  as: { uid: number; gid: number } | undefined;
  certificate?: string;
  busPort?: number;
}

export function planRedis(folder: string, manner: Manner, busPort: number): Plan {
  const binary = findBinary('redis-server');
  const { durable, password, tls, cluster, replicaOf, sentinelOf, settings = {} } = manner;
  const lasting =
    durable === true
      ? ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
      : ['--save', '', '--appendonly', 'no'];
  const version = /v=(\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? '?';
  if (sentinelOf !== undefined) {
    const conf = join(folder, 'sentinel.conf');
    return {
      version,
      url: (port) => `redis+sentinel://127.0.0.1:${port}/mymaster`,
      command(port) {
        // It writes into its configuration what it learns.
        const watched = ['monitor mymaster 127.0.0.1', 'down-after-milliseconds mymaster 1000'];
        writeFileSync(
          conf,
          `bind 127.0.0.1\nport ${port}\nsentinel ${watched[0]} ${sentinelOf} 1\nsentinel ${watched[1]}\n`,
        );
        return [binary, [conf, '--sentinel']];
      },
      ready: /\+monitor master/,
      stopWith: 'SIGKILL',
      as: undefined,
    };
  }
  const { certificate, key } = tls === true ? showCertificate(folder) : {};
  const more = [
    ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]),
    ...(replicaOf === undefined
      ? []
      : ['--replicaof', '127.0.0.1', String(replicaOf), '--repl-diskless-sync-delay', '0']),
    ...(cluster === true ? ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)] : []),
    ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  ];
  const at = (port: number): string[] =>
    certificate === undefined
      ? ['--port', String(port)]
      : // prettier-ignore
        ['--port', '0', '--tls-port', String(port), '--tls-cert-file', certificate, '--tls-key-file', key ?? '',
         '--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no'];
  const user = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  return {
    version,
    url: (port) =>
      certificate === undefined ? `redis://${user}127.0.0.1:${port}` : `rediss://${user}localhost:${port}`,
    command: (port) => [
      binary,
      [...lasting, '--daemonize', 'no', '--bind', '127.0.0.1', ...at(port), '--dir', folder, ...more],
    ],
    ready: /Ready to accept connections/,
    stopWith: 'SIGKILL',
    as: undefined,
    ...(certificate === undefined ? {} : { certificate }),
    ...(cluster === true ? { busPort } : {}),
  };
}

/**
 * Thrown away after the tests: durability would only cost. Sessions of ours do not compile either, except behind a pooler
 * of transactions, where it takes five seconds for twenty rows.
 */
const QUICK = { fsync: 'off', full_page_writes: 'off', shared_buffers: '32MB', jit: 'off' };

export function planPostgres(folder: string, { durable, password, tls, settings: own = {} }: Manner): Plan {
  const binary = findBinary('postgres');
  const as = asWhom();
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const made = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const secret = join(folder, 'password');
  if (password !== undefined) writeFileSync(secret, password);
  const auth = password === undefined ? ['-A', 'trust'] : ['-A', 'scram-sha-256', `--pwfile=${secret}`];
  execFileSync(findBinary('initdb'), [...made, ...auth], {
    ...as,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { certificate, key } = tls === true ? showCertificate(folder) : {};
  if (key !== undefined && as !== undefined) chownSync(key, as.uid, as.gid);
  if (tls === true) {
    const access = join(data, 'pg_hba.conf');
    writeFileSync(access, readFileSync(access, 'utf8').replaceAll(/^host /gm, 'hostssl '));
  }
  const settings = {
    listen_addresses: '127.0.0.1',
    // A socket's path may have 107 bytes at most.
    unix_socket_directories: Buffer.byteLength(folder) < 80 ? folder : '',
    ...(durable === true ? {} : QUICK),
    max_connections: '500',
    lc_messages: 'C',
    ...(certificate === undefined ? {} : { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key }),
    ...own,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const user = password === undefined ? 'postgres' : `postgres:${encodeURIComponent(password)}`;
  const trusting = certificate === undefined ? '' : `?sslmode=verify-full&sslrootcert=${certificate}`;
  return {
    version: execFileSync(binary, ['--version'], { encoding: 'utf8' }).replace(/[^\d]*(\S+)[\s\S]*/, '$1'),
    url: (port) => `postgres://${user}@127.0.0.1:${port}/postgres${trusting}`,
    command: (port) => [binary, ['-D', data, '-p', String(port), ...flags]],
    ready: /database system is ready to accept connections/,
    stopWith: 'SIGQUIT',
    as,
    ...(certificate === undefined ? {} : { certificate }),
  };
}

export function planPgbouncer(folder: string, { pool }: Manner): Plan {
  const binary = findBinary('pgbouncer');
  const as = asWhom();
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const to = new URL(pool?.url ?? '');
  const conf = join(folder, 'pgbouncer.ini');
  return {
    version: /\d\S*/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[0] ?? '?',
    url: (port) => `postgres://postgres@127.0.0.1:${port}${to.pathname}`,
    command(port) {
      writeFileSync(
        conf,
        `[databases]\n* = host=${to.hostname} port=${to.port} user=postgres\n[pgbouncer]\n` +
          `listen_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = any\nunix_socket_dir =\n` +
          `pool_mode = ${pool?.mode ?? ''}\n`,
      );
      return [binary, [conf]];
    },
    ready: /process up/,
    stopWith: 'SIGKILL',
    as,
  };
}

/** Made for the tests alone, see there. */
function showCertificate(folder: string): { certificate: string; key: string } {
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  writeFileSync(certificate, TEST_CERTIFICATE);
  writeFileSync(key, TEST_KEY, { mode: 0o600 });
  return { certificate, key };
}

/** Postgres refuses to run as root: then it runs as `postgres`, or as nobody. */
function asWhom(): Plan['as'] {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string, user: string): number =>
    Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: id('-u', user), gid: id('-g', user) };
    } catch {
      continue;
    }
  }
  throw new Error('Postgres does not run as root, and there is neither a user "postgres" nor "nobody"');
}
