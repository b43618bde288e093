/**
 * The room `cli` turns a command line into a command. One file is one command; shared flags and texts stand
 * beside them. Only this room sets exit codes.
 * It may import board, operate, schedule, worker, results, batch, manifest, provider, ledger, database,
 * simulator and core.
 */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { loadDotEnv } from '../core/config.ts';
import { EXIT, usageError, VidbatchError } from '../core/errors.ts';
import { connectionLost } from '../database/connection-errors.ts';
import { commandsFor } from './all.ts';
import { VariableOption } from './flags.ts';
import { formatError, errorJson } from './format.ts';
import type { Io } from './io.ts';
import { endListening } from './signals.ts';
import { terminalText } from './terminal.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

let readerGone = false;
/** Of a pipe without a reader, and of a terminal that was closed. */
const GONE = ['EPIPE', 'EIO'];
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!GONE.includes(error.code ?? '')) throw error;
  readerGone = true;
});
// What is in flight is recorded, also when no line about it can be written any more.
process.stderr.on('error', () => undefined);

/** Until the reader has caught up, or is gone. Leaves no listener behind, however often it is waited for. */
async function roomOnStdout(): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([
      once(process.stdout, 'drain', { signal }),
      once(process.stdout, 'close', { signal }),
    ]);
  } catch {
    // The listener above has judged the error: a reader that is gone, or worse.
  } finally {
    over.abort();
  }
}

// BullMQ prints it for each of its connections; the log has it in one line.
const warn = console.warn.bind(console);
console.warn = (...words: unknown[]) => {
  if (!String(words[0]).startsWith('IMPORTANT! Eviction policy')) warn(...words);
};

const io: Io = {
  out: (line) => void process.stdout.write(`${process.stdout.isTTY ? terminalText(line) : line}\n`),
  err: (line) => void process.stderr.write(`${process.stderr.isTTY ? terminalText(line) : line}\n`),
  async write(text) {
    if (readerGone) return false;
    if (!process.stdout.write(text)) await roomOnStdout();
    return !readerGone;
  },
  interactive: process.stderr.isTTY && process.stdin.isTTY,
  // A terminal that was not told its size says 0.
  columns: process.stderr.columns || 80,
  stdin: process.stdin,
  quit: (code) => process.exit(code),
};

async function build(argv: readonly string[], exit: (code: number) => void): Promise<Command> {
  const program = new Command('vidbatch')
    .description(
      'Submit a manifest of video prompts once, pay for each row once, and know where every task id went.',
    )
    .version(version)
    .exitOverride()
    // A wrong command line is told like every other error.
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch validate jobs/text.csv
  $ vidbatch run jobs/text.csv
  $ vidbatch export text > results.csv

Exit codes: 0 all well · 1 operational error · 2 usage or configuration · 3 manifest invalid or refused, nothing sent
  4 some rows definitely failed · 5 some rows are uncertain or surplus · 6 stopped by a halt, a budget, a share of failures,
  a canary, a window or a deadline · 7 reconciliation differences · 129/130/143 interrupted`,
    );
  for (const register of await commandsFor(argv)) register(program, io, exit);
  return program;
}

/** The variables of the flags of all commands, and the flags that have no variable. */
async function flagNames(): Promise<{ variables: string[]; without: string[] }> {
  const program = await build([], () => undefined);
  const options = program.commands
    .flatMap((command) => [command, ...command.commands])
    .flatMap((command) => command.options);
  return {
    variables: options.flatMap((option) => (option instanceof VariableOption ? [option.variable] : [])),
    without: options.flatMap((option) => (option instanceof VariableOption ? [] : (option.long ?? []))),
  };
}

/** Runs one command line; resolves with its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  try {
    // Before the flags are read: they fall back to the environment.
    for (const line of await loadDotEnv(flagNames)) io.err(`warning: ${line}`);
    const program = await build(argv, (result) => (code = result));
    endListening();
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // Without a command, its help has been shown.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const told =
      error instanceof CommanderError ? wrongCommandLine(error, argv) : (connectionLost(error) ?? error);
    tell(told, argv.includes('--json'));
    return told instanceof VidbatchError ? told.exitCode : EXIT.operational;
  }
}

/** `commander.unknownOption` is our UNKNOWN_OPTION, and a suggestion in brackets is our hint. */
function wrongCommandLine(
  { code, message }: CommanderError,
  [command = '-']: readonly string[],
): VidbatchError {
  const [text = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const ours = code.replace('commander.', '').replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
  const known = code !== 'commander.unknownCommand' && !command.startsWith('-');
  const help = `\`vidbatch${known ? ` ${command}` : ''} --help\` shows what there is.`;
  return usageError(ours.toUpperCase(), text, suggestion?.replace(/^\((.*)\)$/, '$1') ?? help);
}

function tell(error: unknown, json: boolean): void {
  if (json) io.err(JSON.stringify({ error: errorJson(error) }));
  else for (const line of formatError(error)) io.err(line);
}

process.exitCode = await main(process.argv.slice(2));
// What is still open by now (a socket that lingers, a timer of a library) must not keep a finished command alive.
process.stdout.write('', () => process.exit());
