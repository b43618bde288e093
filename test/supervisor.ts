/**
 * `node test/supervisor.ts redis|postgres`: runs one private server in a temporary folder for as long as somebody
 * holds its standard input. However the holder ends, also by `kill -9`, the kernel closes that pipe; then the server
 * is stopped and its folder removed. Prints one line of JSON for each start; the line `restart` on standard input
 * starts a server that was killed once more, on the same port and the same files.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findBinary } from './binaries.ts';
import type { ServerKind } from './binaries.ts';

export interface Started {
  url: string;
  pid: number;
  version: string;
}

interface Plan {
  version: string;
  url: (port: number) => string;
  command: (port: number) => [file: string, args: string[]];
  ready: RegExp;
  /** Ends it at once, with everything it started. */
  stopWith: NodeJS.Signals;
  as: { uid: number; gid: number } | undefined;
}

function planRedis(folder: string): Plan {
  const binary = findBinary('redis-server');
  const quick = ['--save', '', '--appendonly', 'no', '--daemonize', 'no', '--bind', '127.0.0.1'];
  return {
    version: /v=(\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? '?',
    url: (port) => `redis://127.0.0.1:${port}`,
    command: (port) => [binary, [...quick, '--port', String(port), '--dir', folder]],
    ready: /Ready to accept connections/,
    stopWith: 'SIGKILL',
    as: undefined,
  };
}

function planPostgres(folder: string): Plan {
  const binary = findBinary('postgres');
  const as = asWhom();
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const made = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  execFileSync(findBinary('initdb'), made, { ...as, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const settings = {
    listen_addresses: '127.0.0.1',
    // A socket's path may have 107 bytes at most.
    unix_socket_directories: Buffer.byteLength(folder) < 80 ? folder : '',
    // Thrown away after the tests: durability would only cost.
    fsync: 'off',
    full_page_writes: 'off',
    shared_buffers: '32MB',
    max_connections: '200',
    lc_messages: 'C',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return {
    version: execFileSync(binary, ['--version'], { encoding: 'utf8' }).replace(/[^\d]*(\S+)[\s\S]*/, '$1'),
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    command: (port) => [binary, ['-D', data, '-p', String(port), ...flags]],
    ready: /database system is ready to accept connections/,
    stopWith: 'SIGQUIT',
    as,
  };
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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

/** Resolves once the server says that it is ready; rejects with what it said when it ends first. */
function start(plan: Plan, folder: string, port: number): Promise<ChildProcess> {
  const [file, args] = plan.command(port);
  const server = spawn(file, args, { ...plan.as, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (text: string): void => {
      said = (said + text).slice(-4000);
      if (plan.ready.test(said)) resolve(server);
    };
    server.stdout.setEncoding('utf8').on('data', listen);
    server.stderr.setEncoding('utf8').on('data', listen);
    server.once('error', reject);
    server.once('close', () => reject(new Error(`${file} ended: ${said}`)));
  });
}

async function supervise(kind: ServerKind): Promise<void> {
  // Ctrl-C reaches the whole group; the holder's end is what counts.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const folder = mkdtempSync(join(tmpdir(), `vidbatch-${kind}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const plan = kind === 'redis' ? planRedis(folder) : planPostgres(folder);
  let port = await freePort();
  let server: ChildProcess | undefined;
  const tell = (): void => {
    const started: Partial<Started> = { url: plan.url(port), version: plan.version };
    if (server?.pid !== undefined) started.pid = server.pid;
    process.stdout.write(`${JSON.stringify(started)}\n`);
  };
  for (let tries = 1; server === undefined; tries += 1) {
    try {
      server = await start(plan, folder, port);
    } catch (error) {
      // Somebody else may have taken the port in between.
      if (tries === 3) throw error;
      port = await freePort();
    }
  }
  tell();
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'restart') continue;
    await ended(server);
    server = await start(plan, folder, port);
    tell();
  }
  server.kill(plan.stopWith);
  await ended(server);
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  await new Promise((resolve) => {
    server.once('close', resolve);
  });
}

await supervise(process.argv[2] as ServerKind);
