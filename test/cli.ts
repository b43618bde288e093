import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lines } from './e2e/lines.ts';
import { COMPILE_CACHE, copyTemplate, SHARED } from './servers.ts';
import { runShared } from './shared-process.ts';

export const LAUNCHER = fileURLToPath(new URL('../bin/vidbatch.js', import.meta.url));
/** `npm run soak` is no test, and starts commands as users do. */
const IS_TEST = process.env['NODE_TEST_CONTEXT'] !== undefined;
/**
 * Of the 1.5 s of processor time that a command on an embedded ledger takes to start, half is V8 optimising the
 * database's code, which pays off after minutes: to a test, its first compiler's code is enough.
 */
const SOON = IS_TEST ? ['--liftoff-only'] : [];
/** Node and the launcher. */
export const VIDBATCH: readonly [string, ...string[]] = [process.execPath, ...SOON, LAUNCHER];
const REAPER = fileURLToPath(new URL('e2e/reaper.ts', import.meta.url));

/** A sample manifest of the repository. */
export function job(name: string): string {
  return fileURLToPath(new URL(`../jobs/${name}`, import.meta.url));
}

/** How a command ended, and everything that it said. */
export interface Ended {
  /** As it was typed, for messages. */
  command: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  pid: number;
  ended: Promise<Ended>;
  /** Resolves with the `times`-th line on stdout that matches; rejects when the command ends before. */
  prints: (pattern: RegExp, times?: number) => Promise<string>;
  /** The same on stderr. */
  says: (pattern: RegExp, times?: number) => Promise<string>;
  kill: (signal: NodeJS.Signals) => void;
}

export interface Spawning {
  /** Over the place's own. */
  env?: Record<string, string>;
  stdin?: string | Buffer;
  /** A program and its first arguments, instead of Node and the launcher. */
  program?: readonly string[];
  /** Milliseconds after which a command that should end is killed, and the test fails. */
  patienceMs?: number;
}

/** A folder and an environment of their own in which commands run. */
export interface Cli {
  folder: string;
  env: Record<string, string>;
  run: (args: readonly string[], options?: Spawning) => Promise<Ended>;
  start: (args: readonly string[], options?: Spawning) => Running;
  /** Writes a file in the folder; returns its path. */
  write: (name: string, text: string | Buffer) => Promise<string>;
  /** Kills what still runs, and removes the folder. */
  close: () => Promise<void>;
}

/** What a command needs of this process's environment, and nothing that it could mistake for a configuration. */
function clean(): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return {
    PATH,
    HOME,
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    // Tests look for events in the log.
    VIDBATCH_LOG_FORMAT: 'json',
  };
}

/** A busy machine is slow: this ends what hangs, and measures nothing. */
const PATIENCE_MS = 300_000;

export interface Opening {
  /** An empty embedded ledger is there already, as after a first command: making one takes seconds. */
  ledger?: boolean;
  /** Each command of `run` is a process. Without it, commands share one, where they need nothing of their own from it. */
  alone?: boolean;
  /** Its folder is on a disk: `doctor` warns of one in memory. */
  onDisk?: boolean;
}

export async function openCli(
  env: Record<string, string> = {},
  { ledger = false, alone = !IS_TEST, onDisk = false }: Opening = {},
): Promise<Cli> {
  const parent = onDisk ? process.env[SHARED.disk] : undefined;
  const folder = await mkdtemp(join(parent ?? tmpdir(), 'vidbatch-e2e-'));
  if (ledger) await copyTemplate(join(folder, '.vidbatch'));
  const all = new Set<Running>();
  const cli: Cli = {
    folder,
    env,
    start(args, options = {}) {
      const { program = VIDBATCH } = options;
      const [file = '', ...first] = program;
      const child = spawn(file, [...first, ...args], {
        cwd: folder,
        env: { ...clean(), ...env, ...options.env },
      });
      child.stdin.end(options.stdin ?? '');
      const running = watch(child, `vidbatch ${args.join(' ')}`);
      all.add(running);
      void running.ended.then(() => all.delete(running));
      return running;
    },
    async run(args, options = {}) {
      const isShared =
        !alone &&
        isPlain({ ...options, env: { ...env, ...options.env } }) &&
        !existsSync(join(folder, '.env'));
      const running = isShared
        ? runShared({ args, folder, env: { ...clean(), ...env, ...options.env } })
        : cli.start(args, options);
      let late = false;
      const { patienceMs = PATIENCE_MS } = options;
      const timer = setTimeout(() => {
        late = true;
        running.kill('SIGKILL');
      }, patienceMs);
      const ended = await running.ended;
      clearTimeout(timer);
      if (late) assert.fail(`not over after ${patienceMs / 1000} s: ${describe(ended)}`);
      return ended;
    },
    async write(name, text) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      return path;
    },
    async close() {
      const left = [...all];
      for (const running of left) running.kill('SIGKILL');
      await Promise.all(left.map((running) => running.ended));
      await rm(folder, { recursive: true, force: true });
    },
  };
  return cli;
}

/** It needs nothing that a process is given once, at its start. */
function isPlain({ stdin, program, env = {} }: Spawning): boolean {
  return (
    stdin === undefined &&
    program === undefined &&
    !Object.keys(env).some((name) => /^(NODE_|TZ$)/.test(name))
  );
}

function watch(child: ChildProcessWithoutNullStreams, command: string): Running {
  const { pid = 0 } = child;
  const stdout = new Lines(child.stdout);
  const stderr = new Lines(child.stderr);
  // A command that has gone does not read what we write to it.
  child.stdin.on('error', () => undefined);
  reap('+', pid);
  const ended = once(child, 'close').then(([code, signal]: (number | string | null)[]): Ended => {
    reap('-', pid);
    return {
      command,
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: stdout.text,
      stderr: stderr.text,
    };
  });
  const on =
    (lines: Lines) =>
    (pattern: RegExp, times?: number): Promise<string> =>
      Promise.race([
        lines.find(pattern, times),
        ended.then((end) => assert.fail(`ended without ${String(pattern)}: ${describe(end)}`)),
      ]);
  return {
    pid,
    ended,
    kill: (signal) => void child.kill(signal),
    prints: on(stdout),
    says: on(stderr),
  };
}

let reaper: ChildProcessWithoutNullStreams | undefined;

/** However this process ends, also by `kill -9`: whatever it started ends with it. */
function reap(sign: '+' | '-', pid: number): void {
  if (reaper === undefined) {
    reaper = spawn(process.execPath, [REAPER], { env: clean(), stdio: 'pipe', detached: true });
    for (const handle of [reaper, reaper.stdin, reaper.stdout, reaper.stderr]) {
      (handle as { unref?: () => void }).unref?.();
    }
  }
  reaper.stdin.write(`${sign}${pid}\n`);
}

/** Asserts the exit code; a failure shows what the command said. */
export function exits(ended: Ended, code: number): Ended {
  assert.equal(ended.code, code, describe(ended));
  return ended;
}

/** The last line on stdout: of `run`, its receipt. */
export function lastLine(ended: Ended): string {
  return ended.stdout.trimEnd().split('\n').at(-1) ?? '';
}

/** The one object that a command with `--json` prints. */
export function json(ended: Ended): unknown {
  return JSON.parse(ended.stdout);
}

/** The counts by state in what `run --json` and `status --json` print. */
export function countsOf(ended: Ended): Record<string, number> {
  return (json(ended) as { counts: Record<string, number> }).counts;
}

/** `--format jsonl` or several objects. */
export function jsonLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

export function describe(ended: Ended): string {
  const { command, code, signal, stdout, stderr } = ended;
  const tail = (text: string): string => (text.length > 4000 ? `…${text.slice(-4000)}` : text);
  return `\`${command}\` ended with ${signal ?? code}\n--- stdout\n${tail(stdout)}\n--- stderr\n${tail(stderr)}`;
}
