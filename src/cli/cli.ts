/**
 * The room `cli` turns a command line into a command. One file is one command; shared flags and texts have their own
 * files. Only this room sets exit codes. It may import board, operate, schedule, worker, results, batch, manifest,
 * provider, ledger, database, simulator and core.
 */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../core/version.ts';
import { loadDotEnv } from '../core/config.ts';
import { EXIT, usageError, VidbatchError } from '../core/errors.ts';
import { connectionLost } from '../database/connection-errors.ts';
import { VariableOption } from './flags.ts';
import { errorJson, formatError } from './format.ts';
import { openIo } from './io.ts';
import type { Io } from './io.ts';
import { endListening } from './signals.ts';

type Register = (program: Command, io: Io, exit: (code: number) => void) => void;

/** The commands in the order of the help. Only the needed file is loaded, because loading is half of a command's start. */
const COMMANDS: readonly { names: readonly string[]; load: () => Promise<Register> }[] = [
  { names: ['validate'], load: async () => (await import('./validate.ts')).validateCommand },
  { names: ['plan'], load: async () => (await import('./plan.ts')).planCommand },
  { names: ['submit'], load: async () => (await import('./submit.ts')).submitCommand },
  { names: ['work'], load: async () => (await import('./work.ts')).workCommand },
  { names: ['run'], load: async () => (await import('./run.ts')).runCommand },
  { names: ['status'], load: async () => (await import('./status.ts')).statusCommand },
  { names: ['workers'], load: async () => (await import('./workers.ts')).workersCommand },
  { names: ['explain'], load: async () => (await import('./explain.ts')).explainCommand },
  { names: ['export'], load: async () => (await import('./export.ts')).exportCommand },
  { names: ['uncertain'], load: async () => (await import('./uncertain.ts')).uncertainCommand },
  { names: ['resolve'], load: async () => (await import('./resolve.ts')).resolveCommand },
  { names: ['pause', 'resume', 'cancel'], load: async () => (await import('./pause.ts')).pauseCommands },
  { names: ['retry'], load: async () => (await import('./retry.ts')).retryCommand },
  { names: ['reconcile'], load: async () => (await import('./reconcile.ts')).reconcileCommand },
  { names: ['download'], load: async () => (await import('./download.ts')).downloadCommand },
  { names: ['find'], load: async () => (await import('./find.ts')).findCommand },
  { names: ['failures'], load: async () => (await import('./failures.ts')).failuresCommand },
  { names: ['cost'], load: async () => (await import('./cost.ts')).costCommand },
  { names: ['report'], load: async () => (await import('./report.ts')).reportCommand },
  { names: ['verify'], load: async () => (await import('./verify.ts')).verifyCommand },
  { names: ['doctor'], load: async () => (await import('./doctor.ts')).doctorCommand },
  { names: ['profile'], load: async () => (await import('./profile.ts')).profileCommand },
  { names: ['schedule'], load: async () => (await import('./schedule.ts')).scheduleCommand },
  { names: ['board'], load: async () => (await import('./board.ts')).boardCommand },
  { names: ['simulate'], load: async () => (await import('./simulate.ts')).simulateCommand },
  { names: ['migrate'], load: async () => (await import('./migrate.ts')).migrateCommand },
];

/** The command that this command line names. Without a known name it is all of them, for the help and for suggestions. */
export async function commandsFor(argv: readonly string[]): Promise<Register[]> {
  const named = COMMANDS.filter(({ names }) => names.includes(argv[0] ?? ''));
  return Promise.all((named.length > 0 ? named : COMMANDS).map(({ load }) => load()));
}

/** Runs one command line. Resolves with its exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  quietBullMq();
  const io = openIo();
  let code: number = EXIT.ok;
  try {
    // The flags fall back to the environment, so .env is read first.
    for (const line of await loadDotEnv(() => flagNames(io))) io.err(`warning: ${line}`);
    const program = await build(argv, io, (result) => (code = result));
    endListening();
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // Without a command, commander has shown the help.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const shown =
      error instanceof CommanderError ? wrongCommandLine(error, argv) : (connectionLost(error) ?? error);
    if (argv.includes('--json')) io.err(JSON.stringify({ error: errorJson(shown) }));
    else for (const line of formatError(shown)) io.err(line);
    return shown instanceof VidbatchError ? shown.exitCode : EXIT.operational;
  }
}

/** BullMQ prints a warning about the eviction policy for each connection. The log has it once. */
function quietBullMq(): void {
  const warn = console.warn.bind(console);
  console.warn = (...words: unknown[]) => {
    if (!String(words[0]).startsWith('IMPORTANT! Eviction policy')) warn(...words);
  };
}

async function build(argv: readonly string[], io: Io, exit: (code: number) => void): Promise<Command> {
  const program = new Command('vidbatch')
    .description(
      'Submit a manifest of video prompts once, pay for each row once, and know where every task id went.',
    )
    .version(VERSION)
    .exitOverride()
    // `main` shows a wrong command line like every other error.
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch validate jobs/text.csv
  $ vidbatch run jobs/text.csv
  $ vidbatch export text > results.csv
In a checkout of the repository, type \`npx vidbatch\` wherever a message says \`vidbatch\`.

Exit codes: 0 all well · 1 operational error · 2 usage or configuration · 3 manifest invalid or refused, nothing sent
  4 some rows definitely failed · 5 some rows are uncertain or surplus · 6 stopped by a halt, a budget, a share of failures,
  a canary, a window or a deadline · 7 reconciliation differences · 129/130/143 interrupted`,
    );
  for (const register of await commandsFor(argv)) register(program, io, exit);
  return program;
}

/** The variables of the flags of all commands, and the flags that have no variable. */
async function flagNames(io: Io): Promise<{ variables: string[]; without: string[] }> {
  const program = await build([], io, () => undefined);
  const options = program.commands
    .flatMap((command) => [command, ...command.commands])
    .flatMap((command) => command.options);
  return {
    variables: options.flatMap((option) => (option instanceof VariableOption ? [option.variable] : [])),
    without: options.flatMap((option) => (option instanceof VariableOption ? [] : (option.long ?? []))),
  };
}

/** `commander.unknownOption` becomes UNKNOWN_OPTION, and a suggestion in brackets becomes the hint. */
function wrongCommandLine(
  { code, message }: CommanderError,
  [command = '-']: readonly string[],
): VidbatchError {
  const [text = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const ours = code.replace('commander.', '').replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
  const known = code !== 'commander.unknownCommand' && !command.startsWith('-');
  const help = `\`vidbatch${known ? ` ${command}` : ''} --help\` lists what is allowed.`;
  return usageError(ours.toUpperCase(), text, suggestion?.replace(/^\((.*)\)$/, '$1') ?? help);
}
