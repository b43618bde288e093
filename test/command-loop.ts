/**
 * Runs one command line after another in one process, for tests: loading the modules of a command costs more processor
 * time than most commands do. Each command has the folder, the environment and the arguments of its message.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { main } from '../src/cli/cli.ts';

/** One command line, and the text that ends what it prints on both streams. */
export interface CommandLine {
  args: readonly string[];
  env: Record<string, string>;
  folder: string;
  end: string;
}

/** How a command ended, and whether the process may run another. */
export interface Answer {
  code: number;
  reusable: boolean;
}

/** A connection needs a moment to close. */
const CLOSING_MS = 1_000;

// Each command listens to them, and leaves its listeners.
process.stdout.setMaxListeners(0);
process.stderr.setMaxListeners(0);
const { warn } = console;

process.on('message', (line: CommandLine) => void run(line));
// The test file has ended.
process.on('disconnect', () => process.exit());

async function run({ args, env, folder, end }: CommandLine): Promise<void> {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(folder);
  process.argv.splice(2, Infinity, ...args);
  process.exitCode = undefined;
  console.warn = warn;
  const code = await main(args);
  // The folder may be removed now.
  process.chdir('/');
  process.stderr.write(end);
  process.stdout.write(end);
  process.send?.({ code, reusable: await isClean() } satisfies Answer);
}

/** A connection that a command left open could disturb the next command. */
async function isClean(): Promise<boolean> {
  for (const end = performance.now() + CLOSING_MS; performance.now() < end; await sleep(5)) {
    if (!process.getActiveResourcesInfo().includes('TCPSocketWrap')) return true;
  }
  return false;
}
