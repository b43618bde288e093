import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE } from '../test/servers.ts';
import type { Observed, Watch } from './observer.ts';

export interface Run {
  /** A script, and its arguments. */
  script: string;
  args?: readonly string[];
  env: Record<string, string>;
  /** Where it runs, and what it says is kept. */
  folder: string;
  /** Points of the program between which it is observed. */
  from: string;
  to: string;
  /** Where its CPU profile goes. */
  profile?: string | undefined;
  /** Kills it. */
  signal: AbortSignal;
}

const OBSERVER = new URL('observer.ts', import.meta.url).href;

/** Runs a script to its end. @throws Error with the end of what it said, when that end is not a good one. */
export async function observe(run: Run): Promise<Observed> {
  const { script, args = [], env, folder, from, to, profile, signal } = run;
  signal.throwIfAborted();
  const watch: Watch = { file: join(folder, 'observed.json'), from, to };
  const said = join(folder, 'said.txt');
  // A file, as a service has it: a pipe would have to be read, on the cores that are measured.
  const output = await open(said, 'w');
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(
    process.execPath,
    [
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
      `--import=${OBSERVER}`,
      fileURLToPath(new URL(script, import.meta.url)),
      ...args,
    ],
    {
      cwd: folder,
      env: {
        PATH,
        HOME,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...env,
        BENCH_WATCH: JSON.stringify(watch),
      },
      stdio: ['ignore', output.fd, output.fd, 'ipc'],
      signal,
      killSignal: 'SIGKILL',
    },
  );
  const [code, killer] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  await output.close();
  if (code !== 0) {
    const text = await readFile(said, 'utf8');
    throw new Error(`${[script, ...args].join(' ')} ended with ${killer ?? code}: ${text.slice(-2000)}`);
  }
  return JSON.parse(await readFile(watch.file, 'utf8')) as Observed;
}
