/**
 * `npm run docs`: writes the pages that follow from the program. `docs/commands.md` and the exit codes in `docs/settings.md`
 * come from the definitions of the commands, and `docs/states.md` from the states.
 */
import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Command, type Argument, type Option } from 'commander';
import { commandsFor } from '../../src/cli/cli.ts';
import { VariableOption } from '../../src/cli/flags/flags.ts';
import { COMMAND_GROUPS, configureHelp, EXIT_CODES } from '../../src/cli/help.ts';
import type { OWN_VARIABLES } from '../../src/core/config.ts';
import { PAGE as STATES, statesPage } from '../core/make-states.ts';
import { idleIo } from '../help.ts';

/** What the variables mean that do not follow from a flag. One without a line here does not compile. */
const MEANING: Record<(typeof OWN_VARIABLES)[number], string> = {
  VIDBATCH_BASE_URL: 'base URL of the provider; a / or /v1 at its end is ignored',
  VIDBATCH_API_KEY: 'the key of the provider; it is never written anywhere',
  VIDBATCH_API_KEY_FILE: 'a file that holds the key',
  REDIS_URL: 'where the queue is; unset: in the database of the ledger',
  REDIS_URL_FILE: 'a file that holds this URL',
  DATABASE_URL: 'the Postgres database of the ledger; unset: the embedded ledger',
  DATABASE_URL_FILE: 'a file that holds this URL',
  VIDBATCH_DATA_DIR: 'the data folder: embedded ledger, locks and journals',
  VIDBATCH_ALLOW_HTTP: 'plain http to a host that is not this machine',
  VIDBATCH_PROFILE: 'what the provider looks like: a built-in profile, or a file',
  VIDBATCH_MODELS: 'models that the provider has beside the known ones, separated by commas',
  VIDBATCH_CODES: 'codes of the provider that mean something else, such as channel_busy=not-sent',
  VIDBATCH_PROVIDER_IDEMPOTENT:
    'true: the provider honours idempotency keys, and uncertain rows are sent again under them',
  VIDBATCH_OTEL: 'whether spans are made; needs the package bullmq-otel',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'spans are made if it is set and bullmq-otel is installed',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'the same, for traces only',
  OTEL_TRACES_EXPORTER: 'none: no spans',
  OTEL_SDK_DISABLED: 'true: no spans',
  VIDBATCH_BOARD_USER: 'the user whom the board answers; set it together with the password',
  VIDBATCH_BOARD_PASSWORD: 'the password of this user',
  VIDBATCH_BOARD_PASSWORD_FILE: 'a file that holds the password',
  VIDBATCH_NOTIFY_SECRET: 'signs notifications to targets that have no secret of their own',
  VIDBATCH_NOTIFY_SECRET_FILE: 'a file that holds this secret',
};

const PAGES = {
  commands: new URL('../../docs/commands.md', import.meta.url),
  settings: new URL('../../docs/settings.md', import.meta.url),
  states: STATES,
};

/** The pages that are made, and their texts. */
export async function madePages(): Promise<{ page: URL; text: string }[]> {
  const settings = readFileSync(PAGES.settings, 'utf8');
  return [
    { page: PAGES.commands, text: commandsPage(await readProgram()) },
    { page: PAGES.settings, text: withBlock(settings, exitCodes()) },
    { page: PAGES.states, text: statesPage() },
  ];
}

async function readProgram(): Promise<Command> {
  const program = configureHelp(new Command('vidbatch'), { write: () => undefined, width: 80 });
  const unasked = (): never => assert.fail('a command did more than to define itself');
  const io = idleIo(unasked);
  for (const register of await commandsFor([])) register(program, io, unasked);
  return program;
}

const MADE = '<!-- Made by `npm run docs` from the program. Do not edit it by hand. -->';
const END = '<!-- End of what `npm run docs` makes. -->';

/** Replaces what is between the two comments of a page that a person writes. */
function withBlock(text: string, block: string): string {
  const [before, rest] = text.split(MADE);
  const [, behind] = rest?.split(END) ?? [];
  assert.ok(before !== undefined && behind !== undefined, 'the page has no part that is made');
  return `${before}${MADE}\n\n${block}\n\n${END}${behind}`;
}

function exitCodes(): string {
  return table(['code', 'meaning'], EXIT_CODES);
}

function commandsPage(program: Command): string {
  const groups = Object.values(COMMAND_GROUPS).map((heading) => ({
    heading: heading.replace(/:$/, ''),
    commands: program.commands.filter((command) => command.helpGroup() === heading),
  }));
  const listed = groups.flatMap(({ commands }) => commands).length;
  assert.equal(listed, program.commands.length, 'each command is in one of the groups');
  const contents = groups.map(({ heading, commands }) => [
    heading,
    commands.map((command) => `[${command.name()}](#${command.name()})`).join(' · '),
  ]);
  return `# Commands

${MADE}

Every command with its flags, as \`vidbatch <command> --help\` shows them. A flag counts first, then its variable, then the same variable in \`.env\`, then the default. A flag without a variable is given with each command. [settings.md](settings.md) explains the most important ones.

${table(['', 'commands'], contents)}

## Exit codes

${exitCodes()}

The highest risk counts: 5, then 7, 6, 4.

${groups
  .flatMap(({ heading, commands }) => [
    `## ${heading}`,
    ...commands.map((command) => commandSection(command)),
  ])
  .join('\n\n')}

## Variables

These variables do not follow from the name of a flag, or mean the same in every command.

${table(
  ['variable', 'meaning'],
  Object.entries(MEANING).map(([name, meaning]) => [code(name), meaning]),
)}

Every other variable belongs to a flag. These commands read it:

${table(['variable', 'flag', 'commands'], flagVariables(program))}
`;
}

function commandSection(command: Command, parents: readonly string[] = []): string {
  const names = [...parents, command.name()];
  const sub = command.commands.filter((one) => one.name() !== 'help');
  const usage = [...names, ...command.registeredArguments.map(argumentTerm)].join(' ');
  const parts = [
    `${'#'.repeat(2 + names.length)} ${names.join(' ')}`,
    sentence(command.description()),
    fenced(`vidbatch ${usage}${sub.length > 0 ? ' <command>' : ''}`),
    ...flagTables(command),
    ...(helpAfter(command) === '' ? [] : [fenced(helpAfter(command))]),
    ...sub.map((one) => commandSection(one, names)),
  ];
  return parts.join('\n\n');
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '…' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** One table for each group of flags, as the help has them. */
function flagTables(command: Command): string[] {
  const help = command.createHelp();
  const visible = help.visibleOptions(command).filter(({ long }) => long !== '--help');
  const groups = help.groupItems([...command.options], visible, () => 'Options:');
  return [...groups].flatMap(([heading, options]) => [
    ...(groups.size > 1 ? [`**${heading.replace(/:$/, '')}**`] : []),
    table(['flag', 'meaning', 'variable'], options.map(flagRow)),
  ]);
}

function flagRow(option: Option): string[] {
  const choices = option.argChoices === undefined ? '' : `: ${option.argChoices.join(', ')}`;
  const fallback =
    option.defaultValue === undefined ? '' : ` (default: ${code(String(option.defaultValue))})`;
  return [
    code(option.flags),
    `${plain(option.description + choices)}${fallback}`,
    option instanceof VariableOption ? code(option.variable) : '',
  ];
}

/** The text below the flags: examples, tables and notes. */
function helpAfter(command: Command): string {
  let text = '';
  const events = command as Command & Pick<EventEmitter, 'emit'>;
  events.emit('afterHelp', { error: false, command, write: (part: string) => void (text += part) });
  return text.trim();
}

function flagVariables(program: Command): string[][] {
  const commands = program.commands.flatMap((command) => [command, ...command.commands]);
  const flags = new Map<string, { flag: string; of: string[] }>();
  for (const command of commands) {
    const parent = command.parent === program ? '' : `${command.parent?.name() ?? ''} `;
    for (const option of command.options) {
      if (!(option instanceof VariableOption) || Object.hasOwn(MEANING, option.variable)) continue;
      const known = flags.get(option.variable) ?? { flag: code(option.long ?? ''), of: [] };
      flags.set(option.variable, { ...known, of: [...known.of, `${parent}${command.name()}`] });
    }
  }
  const names = (of: readonly string[]): string =>
    of.length === commandsWith(program) ? 'all' : of.join(', ');
  return [...flags]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([variable, { flag, of }]) => [code(variable), flag, names(of)]);
}

/** How many commands do something themselves. */
function commandsWith(program: Command): number {
  return program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]))
    .length;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

/** A cell ends at a bar, also inside of code. */
function code(text: string): string {
  return text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``;
}

function plain(text: string): string {
  return text.replaceAll(/[|<*_]/g, '\\$&').replaceAll('\n', ' ');
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${plain(text.slice(1))}.`;
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

if (process.argv[1] === import.meta.filename) {
  for (const { page, text } of await madePages()) writeFileSync(page, text);
}
