import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type ServerKind = 'redis' | 'postgres' | 'pgbouncer';

const NEEDED = {
  redis: ['redis-server'],
  postgres: ['initdb', 'postgres'],
  pgbouncer: ['pgbouncer'],
} as const;
const PACKAGES = { redis: 'redis-server', postgres: 'postgresql', pgbouncer: 'pgbouncer' } as const;

/** Where Linux and macOS packages put the server programs of Postgres, which are not in the PATH there. */
const FOLDERS = [
  ['/usr/lib/postgresql', 'bin'],
  ['/opt/homebrew/opt', 'bin'],
  ['/usr/local/opt', 'bin'],
] as const;

/** @throws Error when there is no such program. */
export function findBinary(name: string): string {
  const found = find(name);
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found;
}

function find(name: string): string | undefined {
  const inPath = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  const beside = FOLDERS.flatMap(([parent, child]) =>
    versionsIn(parent).map((version) => join(parent, version, child)),
  );
  // Where the PATH of an ordinary user does not lead.
  return [...inPath, '/usr/sbin', ...beside].map((folder) => join(folder, name)).find(isProgram);
}

/** Newest first. */
function versionsIn(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => /^(postgresql@|pgsql-)?\d+$/.test(name))
    .sort((a, b) => Number(/\d+/.exec(b)) - Number(/\d+/.exec(a)));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes sure that the programs are there: as root on Debian they are installed when they are missing.
 * @throws Error with one line that says what to install.
 */
export function ensureBinaries(kinds: readonly ServerKind[]): void {
  const missing = (): ServerKind[] =>
    kinds.filter((kind) => NEEDED[kind].some((name) => find(name) === undefined));
  if (missing().length > 0 && process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    console.error(`tests: installing ${missing().join(' and ')} with apt-get`);
    install(missing().map((kind) => PACKAGES[kind]));
  }
  const left = missing();
  if (left.length === 0) return;
  throw new Error(
    `the tests need real servers, and ${left.join(' and ')} cannot be started here: ` +
      `install ${left.map((kind) => PACKAGES[kind]).join(' and ')}, or set REDIS_URL and DATABASE_URL`,
  );
}

/** Another one that installs: machines do so by themselves, and for minutes after they started. */
export const WAIT = ['-o', 'DPkg::Lock::Timeout=300'];
/** Asked by every Debian package before it starts its service: 101 forbids it. */
const POLICY = '/usr/sbin/policy-rc.d';

function install(packages: readonly string[]): void {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
    execFileSync('apt-get', ['update', '-qq'], quiet);
    execFileSync('apt-get', ['install', ...WAIT, '-y', '-qq', '--no-install-recommends', ...packages], quiet);
  } catch {
    // apt-get has said why; what is still missing is said in one line.
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}
