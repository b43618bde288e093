import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { ensureBinaries, type ServerKind } from './binaries.ts';
import type { Manner } from './plan.ts';
import type { Started } from './supervisor.ts';
import { until } from './until.ts';

/** Where the tests find their Redis and their Postgres. */
export interface Servers {
  redisUrl: string;
  databaseUrl: string;
}

/** A server of one's own, to be flushed, killed and started again. Gone, with its files, when this process is. */
export interface OwnServer extends Started {
  /** As `kill -9` does, or by a milder signal. */
  kill: (signal?: NodeJS.Signals) => Promise<void>;
  /** After `kill`: on the same port and, as far as the server keeps any, the same data. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** How the runner tells the test files what they share. */
export const SHARED = {
  redis: 'VIDBATCH_TEST_REDIS_URL',
  postgres: 'VIDBATCH_TEST_DATABASE_URL',
  template: 'VIDBATCH_TEST_TEMPLATE',
  /** The database of the shared Postgres that holds an empty ledger, to be copied. */
  ledger: 'VIDBATCH_TEST_LEDGER',
  /** A folder on a disk, where the temporary folder is in memory. */
  disk: 'VIDBATCH_TEST_DISK',
} as const;

/**
 * Half of a command's start, and of a test file's, is compiling: the second one finds it done. Beside the code itself: who
 * can write there could change the code.
 */
export const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url));

/**
 * The servers that all tests share: the runner's; else those that `REDIS_URL` and `DATABASE_URL` name; else private
 * ones, started for this file and stopped after its tests. To be called at the top of a test file, outside of tests.
 * Nothing in a shared server may be flushed or killed: for that, take `startServer`.
 */
export async function servers(): Promise<Servers> {
  const stops: (() => Promise<void>)[] = [];
  const open = async (kind: 'redis' | 'postgres', given: string | undefined): Promise<string> => {
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
export async function startServer(kind: ServerKind, manner: Manner = {}): Promise<OwnServer> {
  ensureBinaries([kind]);
  const held = hold('supervisor.ts', kind, JSON.stringify(manner));
  const server: OwnServer = {
    ...((await held.next()) as Started),
    async kill(signal = 'SIGKILL') {
      process.kill(server.pid, signal);
      await gone(server.pid);
    },
    async restart() {
      held.say('restart');
      server.pid = ((await held.next()) as Started).pid;
    },
    stop: held.stop,
  };
  return server;
}

/** The folder of the embedded databases to be copied; a process of its own makes them, when there are none. */
export async function findTemplate(): Promise<string> {
  const held = hold('template.ts');
  try {
    return (await held.next()) as string;
  } finally {
    await held.stop();
  }
}

/**
 * Makes an embedded data folder whose database is there already, if the runner has a template of it: a `ledger` with its
 * tables, or an `empty` one.
 */
export async function copyTemplate(dataDir: string, of: 'ledger' | 'empty' = 'ledger'): Promise<void> {
  const template = process.env[SHARED.template];
  if (template === undefined) return;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Five times as fast as its asynchronous twin.
  cpSync(join(template, of), join(dataDir, 'database'), { recursive: true });
}

interface Held {
  /** The next line that it prints, which is JSON. */
  next: () => Promise<unknown>;
  say: (line: string) => void;
  stop: () => Promise<void>;
}

/** A script beside this one that lives for as long as this process, or until `stop`. */
function hold(script: string, ...args: string[]): Held {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A group of its own: Ctrl-C must not take it away before those who use it are done.
    detached: true,
    env: withoutTestContext(),
  });
  const { stdin, stdout } = child;
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  // Whoever forgets to stop it must still be able to end: the closed pipe stops it then.
  const handles = [child, stdin, stdout] as { ref?: () => void; unref?: () => void }[];
  return {
    async next() {
      for (const handle of handles) handle.ref?.();
      const { value, done } = await lines.next();
      for (const handle of handles) handle.unref?.();
      if (done === true) throw new Error(`${[script, ...args].join(' ')} did not start`);
      return JSON.parse(value) as unknown;
    },
    say: (line) => stdin.write(`${line}\n`),
    async stop() {
      if (child.exitCode !== null) return;
      child.ref();
      const ended = once(child, 'exit');
      stdin.end();
      await ended;
    },
  };
}

/** A Node that believes to be a test file would report to our runner. */
function withoutTestContext(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  return env;
}

/** Its parent has reaped it once its number is free. */
function gone(pid: number): Promise<void> {
  return until(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
}

export interface OwnDatabase {
  url: string;
  drop: () => Promise<void>;
}

/** A new, empty database on the server, for one suite alone. `template`: a database there without open connections. */
export async function createDatabase(
  { databaseUrl }: Pick<Servers, 'databaseUrl'>,
  { copyOf, template }: { copyOf?: string; template?: string | undefined } = {},
): Promise<OwnDatabase> {
  const name = `vb_${randomBytes(6).toString('hex')}`;
  if (copyOf !== undefined) await copyDatabase(databaseUrl, new URL(copyOf).pathname.slice(1), name);
  else await administer(databaseUrl, `create database ${name} template ${template ?? 'template1'}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    // Plainly first, which waits for those who are just leaving: to be cut off, an idle pool would call an error.
    drop: () =>
      administer(databaseUrl, `drop database if exists ${name}`).catch(() =>
        administer(databaseUrl, `drop database if exists ${name} with (force)`),
      ),
  };
}

/**
 * The same on the shared Postgres, with an empty ledger, if the runner has one. A command that only reads refuses it: the
 * first one must be a writer, which gives the ledger its id.
 */
export function createLedgerDatabase(shared: Servers): Promise<OwnDatabase> {
  return createDatabase(shared, { template: process.env[SHARED.ledger] });
}

/** From now on, the database refuses new connections. */
export function sealDatabase({ databaseUrl }: Pick<Servers, 'databaseUrl'>, name: string): Promise<void> {
  return administer(databaseUrl, `alter database ${name} allow_connections false`);
}

/** Whoever is connected to the original is cut off: a template has to be alone. */
async function copyDatabase(url: string, original: string, copy: string): Promise<void> {
  await administer(url, `alter database ${original} allow_connections false`);
  await administer(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${original}'`,
  );
  await administer(url, `create database ${copy} template ${original}`);
  await administer(url, `alter database ${original} allow_connections true`);
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
