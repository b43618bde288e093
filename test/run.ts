/**
 * `npm run tests -- [file…] [--flag of node --test…]`: all tests, or those of the named files, on real servers.
 * Starts the servers once, shares them by environment, and leaves with the exit code of the tests.
 * `npm run test:fast` runs the tests that need no server and start no command.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { COMPILE_CACHE, findTemplate, SHARED, startServer } from './servers.ts';
import { ensureBinaries } from './binaries.ts';
import { createScratch } from './scratch.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OWN_NODE = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
const NODE_FLOOR = 24;

/**
 * Test files at a time. Most of a file's time is waiting: for a server's answer, a disk, a back-off. Four files left two
 * processors idle for half of the time.
 */
const AT_A_TIME = Math.max(8, availableParallelism());
/** The time limit of one file. Seven other files run beside it on a busy machine. The limit ends a test that hangs; it measures nothing. */
const LIMIT_MS = 800_000;

const KINDS = ['redis', 'postgres'] as const;
type ServerKind = (typeof KINDS)[number];
const GIVEN = { redis: 'REDIS_URL', postgres: 'DATABASE_URL' } as const;

interface Place {
  kind: ServerKind;
  url: string;
  note: string;
  stop: () => Promise<void>;
}

async function place(kind: ServerKind): Promise<Place> {
  const given = process.env[GIVEN[kind]];
  if (given !== undefined && given !== '') {
    const version = kind === 'redis' ? await redisVersion(given) : await postgresVersion(given);
    const { host } = new URL(given);
    return { kind, url: given, note: `${version} at ${host} (${GIVEN[kind]})`, stop: async () => undefined };
  }
  const { url, version, pid, stop } = await startServer(kind);
  return { kind, url, note: `${version} at ${new URL(url).host} (private, pid ${pid})`, stop };
}

async function redisVersion(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? '?';
  } finally {
    redis.disconnect();
  }
}

async function postgresVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version.split(' ')[0] ?? '?';
  } finally {
    await client.end();
  }
}

/** Resolves with the exit code. The signal that ends us ends the tests first. */
function spawnNode(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(file, args, { cwd: ROOT, env, stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      resolve(code ?? 1);
    });
  });
}

/** Tests with a server or a command import one of these, directly or through their imports. */
const OUTSIDE = ['servers.ts', 'cli.ts'].map((name) => fileURLToPath(new URL(name, import.meta.url)));

/** Whether the file at this path, or a module that it imports, is one of `OUTSIDE`. */
function hasOutside(path: string, seen = new Set<string>()): boolean {
  if (OUTSIDE.includes(path)) return true;
  if (seen.has(path)) return false;
  seen.add(path);
  const imported = readFileSync(path, 'utf8').matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']+\.ts)'/g);
  return [...imported].some(([, name = '']) => hasOutside(join(path, '..', name), seen));
}

async function runTests(args: readonly string[]): Promise<number> {
  const all = globSync('test/**/*.test.ts', { cwd: ROOT }).sort();
  if (args.includes('--fast')) {
    const flags = args.filter((arg) => arg !== '--fast');
    return runTogether(
      all.filter((file) => !hasOutside(join(ROOT, file))),
      flags,
      { ...process.env },
    );
  }
  const named = args.filter((arg) => !arg.startsWith('-'));
  const flags = args.filter((arg) => arg.startsWith('-'));
  const files = named.length > 0 ? named : all;
  const gone = named.find((file) => !existsSync(file));
  if (gone !== undefined) throw new Error(`${gone}: no such test file`);
  const whole = named.length === 0;
  // Here and once: two files that install the same package at the same time stand in each other's way.
  ensureBinaries([
    ...KINDS.filter((kind) => whole || !process.env[GIVEN[kind]]),
    ...(whole ? (['pgbouncer'] as const) : []),
    ...(files.some((file) => file.startsWith('test/board/')) ? (['chromium'] as const) : []),
  ]);
  const [template, ...places] = await Promise.all([findTemplate(), ...KINDS.map(place)]);
  try {
    for (const { kind, note } of places) console.log(`tests: ${kind} ${note}`);
    const env = { ...process.env };
    // The project itself reads these two: a test must choose its storage, and never find one by accident.
    for (const kind of KINDS) delete env[GIVEN[kind]];
    for (const { kind, url } of places) env[SHARED[kind]] = url;
    env[SHARED.template] = template;
    // Loaded here alone: a run without servers needs none of it.
    const { makeLedgerTemplate } = await import('./ledger-template.ts');
    const ledger = await makeLedgerTemplate(env[SHARED.postgres] ?? '');
    env[SHARED.ledger] = ledger.name;
    try {
      if (!whole) return await runFiles(files, flags, env);
      const [outside = [], inside = []] = [true, false].map((isOutside) =>
        files.filter((file) => hasOutside(join(ROOT, file)) === isOutside),
      );
      const report = join(tmpdir(), 'inside.txt');
      const codes = await Promise.all([
        runFiles(outside, flags, env),
        runTogether(inside, flags, env, report),
      ]);
      process.stdout.write(readFileSync(report));
      return Math.max(...codes);
    } finally {
      await ledger.drop();
    }
  } finally {
    await Promise.all(places.map(({ stop }) => stop()));
  }
}

/** For the watchdog, in milliseconds: a process that runs many files beside others takes longer than one file. */
const TOGETHER_LIMIT_MS = '3600000';

/** Runs files that need nothing outside their process in one. To start a process costs more than most of them. */
function runTogether(
  files: readonly string[],
  flags: readonly string[],
  env: NodeJS.ProcessEnv,
  report?: string,
): Promise<number> {
  const limited = { ...env, VIDBATCH_TEST_LIMIT_MS: TOGETHER_LIMIT_MS };
  return runFiles(files, [...flags, '--test-isolation=none'], limited, report);
}

/** Resolves with the exit code of `node --test`. */
function runFiles(
  files: readonly string[],
  flags: readonly string[],
  env: NodeJS.ProcessEnv,
  report = 'stdout',
): Promise<number> {
  return spawnNode(
    process.execPath,
    [
      '--import',
      new URL('watchdog.ts', import.meta.url).href,
      '--test',
      `--test-concurrency=${AT_A_TIME}`,
      `--test-timeout=${LIMIT_MS}`,
      '--test-reporter=spec',
      // As in cli.ts: an embedded ledger that lives for seconds is not worth optimising.
      '--liftoff-only',
      `--test-reporter-destination=${report}`,
      ...flags,
      ...files,
    ],
    // As for the commands that they start: what one file has compiled, the next one finds done.
    { ...env, NODE_COMPILE_CACHE: COMPILE_CACHE },
  );
}

async function main(args: readonly string[]): Promise<number> {
  if (Number(process.versions.node.split('.')[0]) < NODE_FLOOR && process.execPath !== OWN_NODE) {
    if (existsSync(OWN_NODE))
      return spawnNode(OWN_NODE, [fileURLToPath(import.meta.url), ...args], process.env);
    console.error(`tests: Node ${NODE_FLOOR} is needed, this is ${process.version}; \`npm ci\` brings it`);
    return 1;
  }
  const scratch = createScratch();
  if (scratch !== undefined) {
    process.env[SHARED.disk] = tmpdir();
    process.env['TMPDIR'] = scratch.path;
  }
  try {
    return await runTests(args);
  } catch (error) {
    console.error(`tests: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    scratch?.remove();
  }
}

process.exitCode = await main(process.argv.slice(2));
