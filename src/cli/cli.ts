/**
 * The room `cli` turns a command line into a command. One file is one command, in the folder of its group of the help.
 * Shared flags are in `flags`, and how a command speaks is in `output`. Only this room sets exit codes. It may import board,
 * operate, schedule, worker, results, batch, manifest, provider, ledger, database, simulator and core.
 */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../core/version.ts';
import { OWN_VARIABLES } from '../core/config.ts';
import { loadEnvFile } from '../core/env-file.ts';
import { EXIT, usageError, VidbatchError } from '../core/errors.ts';
import { connectionLost } from '../database/connection-errors.ts';
import { VariableOption } from './flags/flags.ts';
import { errorJson, formatError } from './output/format.ts';
import { COMMAND_GROUPS, configureHelp, EXIT_CODES, helpStream, type CommandGroup } from './help.ts';
import { openIo, type Io } from './output/io.ts';
import { endListening } from './signals.ts';

type Register = (program: Command, io: Io, exit: (code: number) => void) => void;

interface Loader {
  names: readonly string[];
  load: () => Promise<Register>;
}

const VERSION_FLAGS = ['-V', '--version'];

/** The commands in the order of the help. Only the needed file is loaded, because loading is half of a command's start. */
const COMMANDS: Readonly<Record<CommandGroup, readonly Loader[]>> = {
  daily: [
    { names: ['validate'], load: async () => (await import('./daily/validate.ts')).validateCommand },
    { names: ['plan'], load: async () => (await import('./daily/plan.ts')).planCommand },
    { names: ['submit'], load: async () => (await import('./daily/submit.ts')).submitCommand },
    { names: ['work'], load: async () => (await import('./daily/work.ts')).workCommand },
    { names: ['run'], load: async () => (await import('./daily/run.ts')).runCommand },
    { names: ['status'], load: async () => (await import('./daily/status.ts')).statusCommand },
  ],
  trouble: [
    { names: ['failures'], load: async () => (await import('./trouble/failures.ts')).failuresCommand },
    { names: ['uncertain'], load: async () => (await import('./trouble/uncertain.ts')).uncertainCommand },
    { names: ['resolve'], load: async () => (await import('./trouble/resolve.ts')).resolveCommand },
    { names: ['retry'], load: async () => (await import('./trouble/retry.ts')).retryCommand },
    {
      names: ['pause', 'resume', 'cancel'],
      load: async () => (await import('./trouble/pause.ts')).pauseCommands,
    },
    { names: ['find'], load: async () => (await import('./trouble/find.ts')).findCommand },
    { names: ['explain'], load: async () => (await import('./trouble/explain.ts')).explainCommand },
    { names: ['doctor'], load: async () => (await import('./trouble/doctor.ts')).doctorCommand },
  ],
  results: [
    { names: ['reconcile'], load: async () => (await import('./results/reconcile.ts')).reconcileCommand },
    { names: ['download'], load: async () => (await import('./results/download.ts')).downloadCommand },
    { names: ['export'], load: async () => (await import('./results/export.ts')).exportCommand },
    { names: ['report'], load: async () => (await import('./results/report.ts')).reportCommand },
    { names: ['cost'], load: async () => (await import('./results/cost.ts')).costCommand },
  ],
  operating: [
    { names: ['workers'], load: async () => (await import('./operating/workers.ts')).workersCommand },
    { names: ['priority'], load: async () => (await import('./operating/priority.ts')).priorityCommand },
    { names: ['schedule'], load: async () => (await import('./operating/schedule.ts')).scheduleCommand },
    { names: ['board'], load: async () => (await import('./operating/board.ts')).boardCommand },
    { names: ['notify'], load: async () => (await import('./operating/notify.ts')).notifyCommand },
    { names: ['profile'], load: async () => (await import('./operating/profile.ts')).profileCommand },
    { names: ['verify'], load: async () => (await import('./operating/verify.ts')).verifyCommand },
    { names: ['ledger'], load: async () => (await import('./operating/ledger.ts')).ledgerCommand },
    { names: ['migrate'], load: async () => (await import('./operating/migrate.ts')).migrateCommand },
    { names: ['simulate'], load: async () => (await import('./operating/simulate.ts')).simulateCommand },
  ],
};

/**
 * The command that this command line names. Without a known name it is all of them, for the help and for suggestions.
 * The version needs none.
 */
export async function commandsFor(argv: readonly string[]): Promise<Register[]> {
  if (VERSION_FLAGS.includes(argv[0] ?? '')) return [];
  const all = Object.entries(COMMANDS).flatMap(([group, commands]) =>
    commands.map((command) => ({ ...command, group: COMMAND_GROUPS[group as CommandGroup] })),
  );
  const named = all.filter(({ names }) => names.includes(argv[0] ?? ''));
  return Promise.all(
    (named.length > 0 ? named : all).map(async ({ group, load }) => {
      const register = await load();
      return (program, io, exit) => register(program.commandsGroup(group), io, exit);
    }),
  );
}

/** Runs one command line. Resolves with its exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  quietBullMq();
  const io = openIo();
  let code: number = EXIT.ok;
  let program: Command | undefined;
  try {
    // The flags fall back to the environment, so .env is read first.
    for (const line of await loadEnvFile(OWN_VARIABLES, () => flagNames(io))) io.err(`warning: ${line}`);
    program = await build(argv, io, (result) => (code = result));
    endListening();
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // Without a command, commander has shown the help.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const shown =
      error instanceof CommanderError
        ? wrongCommandLine(error, namesOf(program, argv))
        : (connectionLost(error) ?? error);
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
  const program = configureHelp(
    new Command('vidbatch'),
    helpStream(process.stdout),
    helpStream(process.stderr),
  )
    .description(
      'Submit a manifest of video prompts once, pay for each row once, and know where every task id went.',
    )
    .version(VERSION, VERSION_FLAGS.join(', '))
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

Exit codes:
${EXIT_CODES.map(([code, meaning]) => `  ${code}  ${meaning}`).join('\n')}`,
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

/** The names of the command with which the arguments begin: `schedule add`. Empty: they begin with none. */
function namesOf(program: Command | undefined, [name, ...rest]: readonly string[]): string[] {
  const command = program?.commands.find((one) => one.name() === name);
  return command === undefined ? [] : [command.name(), ...namesOf(command, rest)];
}

/** `commander.unknownOption` becomes UNKNOWN_OPTION, and a suggestion in brackets becomes the hint. */
function wrongCommandLine({ code, message }: CommanderError, names: readonly string[]): VidbatchError {
  const [text = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const ours = code.replace('commander.', '').replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
  const help = `\`${['vidbatch', ...names].join(' ')} --help\` lists what is allowed.`;
  return usageError(ours.toUpperCase(), text, suggestion?.replace(/^\((.*)\)$/, '$1') ?? help);
}
