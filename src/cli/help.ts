import { stripVTControlCharacters, styleText } from 'node:util';
import { Command, type Option } from 'commander';
import { widthOf } from '../core/width.ts';

/** The groups of commands in the order of the help. */
export const COMMAND_GROUPS = {
  daily: 'Every day:',
  trouble: 'Trouble:',
  results: 'Results:',
  operating: 'Operating:',
} as const;
export type CommandGroup = keyof typeof COMMAND_GROUPS;

/** What the exit codes of all commands mean. */
export const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'all well'],
  ['1', 'operational error'],
  ['2', 'usage or configuration'],
  ['3', 'manifest invalid or refused, nothing sent'],
  ['4', 'some rows definitely failed'],
  ['5', 'some rows are uncertain or surplus'],
  ['6', 'stopped by a halt, a budget, a share of failures, a canary, a window or a deadline'],
  ['7', 'reconciliation differences'],
  ['129, 130, 143', 'interrupted'],
];

/** The groups of flags of a command with many, in the order of its help. */
const FLAG_GROUPS: Readonly<Record<string, readonly string[]>> = {
  'Manifest:': words(
    'batch format encoding delimiter skip-lines sheet map variants template as-written strict profile keep-going prune keep rename add again rebind',
  ),
  'Sending:': words(
    'base-url allow-http concurrency rate max-in-flight attempts timeout queue-depth poll-concurrency poll-rate priority canary halt-on-failure drain accept-foreign-journals',
  ),
  'Money:': words('prices budget yes'),
  'Time:': words('window offpeak-window deadline on-deadline no-wait shutdown-timeout'),
  'Output:': words('json log-level log-format http notify'),
};

/** Commands with these flags have the flags of the groups; to other commands the groups mean nothing. */
const GROUPED = ['--batch', '--attempts'];

function words(text: string): string[] {
  return text.split(' ');
}

/** How the help of all commands is made. `width`: the columns of the stream that `write` writes to. */
export function configureHelp(
  program: Command,
  out: { write: (text: string) => void; width: number; heading?: (text: string) => string },
  err = out,
): Command {
  const print =
    ({ write, width, heading = (text) => text }: typeof out) =>
    (text: string): void =>
      write(wrapHelp(text, width, heading));
  const help = new Command('help [command]')
    .helpOption(false)
    .description('display help for command')
    .helpGroup(COMMAND_GROUPS.operating);
  return program
    .addHelpCommand(help)
    .configureHelp({
      displayWidth: (text) => widthOf(stripVTControlCharacters(text)),
      groupItems: (all, visible, groupOf) => {
        const own = new Map(Map.groupBy(visible, (item) => groupIn(all, item) ?? groupOf(item)));
        const order = [...Object.keys(FLAG_GROUPS), 'Options:'];
        return new Map([...own].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
      },
    })
    .configureOutput({
      getOutHelpWidth: () => out.width,
      getErrHelpWidth: () => err.width,
      writeOut: print(out),
      writeErr: print(err),
    });
}

/** The options of a stream of this process. */
export function helpStream(stream: NodeJS.WriteStream): Parameters<typeof configureHelp>[1] {
  return {
    write: (text) => void stream.write(text),
    width: stream.isTTY ? stream.columns || 80 : 80,
    heading: (text) => styleText('bold', text, { stream, validateStream: true }),
  };
}

/** The group of a flag; undefined: it has none, or it is a command. */
function groupIn(all: readonly (Command | Option)[], item: Command | Option): string | undefined {
  const isGrouped = all.some((one) => 'long' in one && GROUPED.includes(one.long ?? ''));
  if (!('long' in item) || !isGrouped) return undefined;
  const name = item.long?.slice(2) ?? '';
  return Object.entries(FLAG_GROUPS).find(([, names]) => names.includes(name))?.[0];
}

/**
 * Breaks lines at the width: paragraphs, tables behind their first column, and examples so that a shell still takes them.
 * The ends of lines in the code mean nothing.
 */
function wrapHelp(text: string, width: number, heading: (text: string) => string): string {
  const wrapped: string[] = [];
  let paragraph: string[] = [];
  const endParagraph = (): void => {
    if (paragraph.length > 0) wrapped.push(...wrap(paragraph.join(' '), width, ''));
    paragraph = [];
  };
  for (const line of text.split('\n')) {
    if (/^\S/.test(line) && !/^\S.*:$/.test(line)) {
      paragraph.push(line);
      continue;
    }
    endParagraph();
    if (/^\S/.test(line)) wrapped.push(heading(line));
    else if (widthOf(line) <= width) wrapped.push(line);
    else if (line.startsWith('  $ ')) wrapped.push(...wrapExample(line, width));
    else wrapped.push(...wrap(line, width, hanging(line)));
  }
  endParagraph();
  return wrapped.join('\n');
}

/** The space below a line of a list, or below the second column of a table. */
function hanging(line: string): string {
  const [column = ''] = /^ *(?:\S+(?: \S+)* {2,})?/.exec(line) ?? [];
  return ' '.repeat(column.length);
}

/** What an example does goes below it. A command that is too long continues after a backslash. */
function wrapExample(line: string, width: number): string[] {
  const [, command = '', what] = /^(.*?\S)(?: {2,}(.*))?$/.exec(line) ?? [];
  const lines: string[] = [];
  for (const part of command.split(/ (?=--|vidbatch )/)) {
    const last = lines.at(-1);
    // Two columns are for the backslash.
    if (last !== undefined && widthOf(`${last} ${part}`) <= width - 2)
      lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(last === undefined ? part : `      ${part}`);
  }
  const shown = lines.map((one, n) => (n < lines.length - 1 ? `${one} \\` : one));
  return what === undefined ? shown : [...shown, ...wrap(`      ${what}`, width, '      ')];
}

function wrap(text: string, width: number, indent: string): string[] {
  const [, begin = '', rest = ''] = /^( *)([^]*)$/.exec(text) ?? [];
  const lines: string[] = [];
  let line = begin;
  let isEmpty = true;
  for (const word of rest.split(/(?<=\S) (?=\S)/)) {
    if (!isEmpty && widthOf(`${line} ${word}`) > width) {
      lines.push(line);
      line = indent + word;
    } else line = isEmpty ? line + word : `${line} ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
