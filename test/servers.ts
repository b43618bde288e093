import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { ensureBinaries } from './binaries.ts';
import type { ServerKind } from './binaries.ts';
import type { Started } from './supervisor.ts';

/** Where the tests find their Redis and their Postgres. */
export interface Servers {
  redisUrl: string;
  databaseUrl: string;
}

/** A server of one's own, to be flushed, killed and started again. Gone, with its files, when this process is. */
export interface OwnServer extends Started {
  /** As `kill -9` does. */
  kill: () => Promise<void>;
  /** After `kill`: on the same port and, as far as the server keeps any, the same data. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** How the runner tells the test files about the servers that they share. */
export const SHARED = { redis: 'VIDBATCH_TEST_REDIS_URL', postgres: 'VIDBATCH_TEST_DATABASE_URL' } as const;

/**
 * The servers that all tests share: the runner's; else those that `REDIS_URL` and `DATABASE_URL` name; else private
 * ones, started for this file and stopped after its tests. To be called at the top of a test file, outside of tests.
 * Nothing in a shared server may be flushed or killed: for that, take `startServer`.
 */
export async function servers(): Promise<Servers> {
  const stops: (() => Promise<void>)[] = [];
  const open = async (kind: ServerKind, given: string | undefined): Promise<string> => {
    const url = process.env[SHARED[kind]] ?? given;
    if (url !== undefined) return url;
    const server = await startServer(kind);
    stops.push(server.stop);
    return server.url;
  };
  const [redisUrl, databaseUrl] = await Promise.all([
    open('redis', process.env['REDIS_URL']),
    open('postgres', process.env['DATABASE_URL']),
  ]);
  after(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });
  return { redisUrl, databaseUrl };
}

/** Starts a private server of the machine's own programs. @throws Error with one line that says what to install. */
export async function startServer(kind: ServerKind): Promise<OwnServer> {
  ensureBinaries([kind]);
  const supervisor = spawn(
    process.execPath,
    [fileURLToPath(new URL('supervisor.ts', import.meta.url)), kind],
    // A group of its own: Ctrl-C must not take it away before those who use it are done.
    { stdio: ['pipe', 'pipe', 'inherit'], detached: true, env: withoutTestContext() },
  );
  const { stdin, stdout } = supervisor;
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  // Whoever forgets to stop it must still be able to end: the closed pipe stops it then.
  const handles = [supervisor, stdin, stdout] as { ref?: () => void; unref?: () => void }[];
  const next = async (): Promise<Started> => {
    for (const handle of handles) handle.ref?.();
    const { value, done } = await lines.next();
    for (const handle of handles) handle.unref?.();
    if (done === true) throw new Error(`${kind} did not start`);
    return JSON.parse(value) as Started;
  };
  const first = await next();
  const server: OwnServer = {
    ...first,
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await gone(server.pid);
    },
    async restart() {
      stdin.write('restart\n');
      server.pid = (await next()).pid;
    },
    stop: () => stop(supervisor),
  };
  return server;
}

/** A Node that believes to be a test file would report to our runner. */
function withoutTestContext(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  return env;
}

async function stop(supervisor: ChildProcess): Promise<void> {
  if (supervisor.exitCode !== null) return;
  supervisor.ref();
  const ended = once(supervisor, 'exit');
  supervisor.stdin?.end();
  await ended;
}

/** Its parent has reaped it once its number is free. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise(setImmediate);
  }
}

export interface OwnDatabase {
  url: string;
  drop: () => Promise<void>;
}

/** A new, empty database on the server, for one suite alone. */
export async function createDatabase({ databaseUrl }: Pick<Servers, 'databaseUrl'>): Promise<OwnDatabase> {
  const name = `vb_${randomBytes(6).toString('hex')}`;
  await administer(databaseUrl, `create database ${name}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => administer(databaseUrl, `drop database if exists ${name} with (force)`),
  };
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
