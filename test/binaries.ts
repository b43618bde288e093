import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type ServerKind = 'redis' | 'postgres' | 'pgbouncer';
/** What tests need of the machine. */
export type Need = ServerKind | 'chromium';

/** The same browser without windows: it takes a third of the processor time. Not every machine's packages have it. */
const WINDOWLESS = 'chromium-headless-shell';
const CHROMIUM = [WINDOWLESS, 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const CHROMIUM_APPS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

const IS_THERE: Record<Need, () => boolean> = {
  redis: () => find('redis-server') !== undefined,
  postgres: () => ['initdb', 'postgres'].every((name) => find(name) !== undefined),
  pgbouncer: () => find('pgbouncer') !== undefined,
  chromium: () => findChromium() !== undefined,
};
const PACKAGES = {
  debian: {
    redis: 'redis-server',
    postgres: 'postgresql',
    pgbouncer: 'pgbouncer',
    chromium: 'chromium',
  },
  homebrew: {
    redis: 'redis',
    postgres: 'postgresql@17',
    pgbouncer: 'pgbouncer',
    chromium: 'google-chrome',
  },
} as const;

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
  const beside = FOLDERS.flatMap(([parent, child]) =>
    versionsIn(parent).map((version) => join(parent, version, child)),
  );
  // Where the PATH of an ordinary user does not lead.
  return [...path(), '/usr/sbin', ...beside].map((folder) => join(folder, name)).find(isProgram);
}

/** The browser that `CHROMIUM_PATH` names, or one that is installed. */
export function findChromium(): string | undefined {
  const given = process.env['CHROMIUM_PATH'];
  if (given !== undefined && given !== '') return given;
  const folders = [...path(), '/usr/bin', '/snap/bin'];
  const programs = folders.flatMap((folder) => CHROMIUM.map((name) => join(folder, name)));
  return [...programs, ...CHROMIUM_APPS].find(isProgram);
}

function path(): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
}

/** Newest first. */
function versionsIn(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => /^(postgresql@|pgsql-)?\d+$/.test(name))
    .sort((a, b) => Number(/\d+/.exec(b)) - Number(/\d+/.exec(a)));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes sure that the programs are there: as root on Debian, missing ones are installed.
 * @throws Error that names all that are missing, and a command that installs them.
 */
export function ensureBinaries(needs: readonly Need[]): void {
  const missing = (): Need[] => needs.filter((need) => !IS_THERE[need]());
  const machine = thisMachine();
  if (missing().length > 0 && machine.root && machine.system === 'debian') {
    console.error(`tests: installing ${list(missing())} with apt-get`);
    install(missing());
  }
  const left = missing();
  if (left.length > 0) throw new Error(adviceFor(left, machine));
}

export interface Machine {
  system: 'debian' | 'homebrew' | 'other';
  root: boolean;
}

function thisMachine(): Machine {
  const system = existsSync('/etc/debian_version')
    ? 'debian'
    : process.platform === 'darwin'
      ? 'homebrew'
      : 'other';
  return { system, root: process.getuid?.() === 0 };
}

/** What is missing, and one command to paste. */
export function adviceFor(missing: readonly Need[], { system, root }: Machine): string {
  const what = `the tests need ${list(missing)}, which this machine does not have`;
  if (system === 'other') return `${what}; install them with its package manager`;
  const packages = missing.map((need) => PACKAGES[system][need]).join(' ');
  const sudo = root ? '' : 'sudo ';
  return system === 'debian'
    ? `${what}; install them:\n  ${sudo}apt-get update && ${sudo}apt-get install --yes --no-install-recommends ${packages}`
    : `${what}; install them:\n  brew install ${packages}`;
}

function list(needs: readonly Need[]): string {
  return new Intl.ListFormat('en-GB').format(needs);
}

/** Machines install packages by themselves, and for minutes after they started: apt-get waits for that. */
const WAIT = ['-o', 'DPkg::Lock::Timeout=300'];
/** Asked by every Debian package before it starts its service: 101 forbids it. */
const POLICY = '/usr/sbin/policy-rc.d';

function install(needs: readonly Need[]): void {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
    execFileSync('apt-get', ['update', '-qq'], quiet);
    const packages = needs.map((need) =>
      need === 'chromium' && isOffered(WINDOWLESS) ? WINDOWLESS : PACKAGES.debian[need],
    );
    execFileSync('apt-get', ['install', ...WAIT, '-y', '-qq', '--no-install-recommends', ...packages], quiet);
  } catch {
    // apt-get has said why; the error names what is still missing.
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

/** Whether apt-get could install the package. */
function isOffered(name: string): boolean {
  try {
    return /Candidate: \d/.test(execFileSync('apt-cache', ['policy', name], { encoding: 'utf8' }));
  } catch {
    return false;
  }
}
