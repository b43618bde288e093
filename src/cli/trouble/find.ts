import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { oneLine, quoted } from '../../core/text.ts';
import { findRows, QUALIFIERS, readSearch, type FoundRow } from '../../ledger/read/find.ts';
import { parseMoment } from '../../operate/since.ts';
import { configOf, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import type { Line } from '../output/style.ts';
import { formatTable } from '../output/table.ts';

export function findCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('find <text...>')
    .description('rows of all batches by key, task id, request id, prompt or error')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch find task_9f2
  $ vidbatch find fishing harbour state:uncertain
  $ vidbatch find error:timeout model:'viduq3p-*' after:yesterday --json

${QUALIFIERS.map((name) => `${name}:`).join(' ')} choose rows; a value with spaces needs double quotes. Capitals do not matter, and * stands for any text.
A whole key, task id or request id finds its rows alone: add * to find all that contain it.`,
    )
    .action(async (words: string[], flags: GlobalFlags) => exit(await find(words.join(' '), flags, io)));
  globalFlags(command);
}

/** A person reads no more; `--json` has a limit, too, because a text may be in every row. */
const MOST = { text: 50, json: 10_000 };

async function find(words: string, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const read = readSearch(words, parseMoment);
  if ('fault' in read) throw usageError('BAD_SEARCH', read.fault, '`vidbatch find --help` has examples.');
  const most = isOn(flags.json) ? MOST.json : MOST.text;
  return withLedger(configOf(flags), io, async ({ db }) => {
    const found = await findRows(db, read.search, most + 1);
    const shown = found.slice(0, most);
    if (isOn(flags.json)) {
      for (const row of shown) if (!(await io.write(`${JSON.stringify(row)}\n`))) return EXIT.ok;
    } else for (const line of formatFound(shown, io.width)) io.out(line);
    if (found.length > most)
      io.err(`… and more rows: add a word, or one of ${QUALIFIERS.map((name) => `${name}:`).join(', ')}`);
    return EXIT.ok;
  });
}

function formatFound(rows: readonly FoundRow[], width: number): Line[] {
  const [first] = rows;
  if (first === undefined) return ['no row fits'];
  return [
    ...formatTable<FoundRow>(
      [
        { title: 'batch', least: 8, of: ({ batch }) => batch },
        { title: 'key', least: 8, of: ({ key }) => oneLine(key, 40) },
        {
          title: 'state',
          of: ({ state, providerStatus }) =>
            providerStatus === null ? state : `${state}, ${providerStatus}`,
        },
        { title: 'model', drop: 3, of: ({ model }) => model ?? '' },
        { title: 'task id', drop: 2, of: ({ taskId }) => taskId ?? '' },
        { title: 'error', least: 12, of: ({ errorCode, error }) => oneLine(errorCode ?? error ?? '', 40) },
        { title: 'prompt', least: 12, drop: 1, of: ({ prompt }) => oneLine(prompt ?? '', 40) },
      ],
      rows,
      width,
    ),
    `next: \`vidbatch explain ${quoted(first.batch)} ${quoted(first.key)}\` shows the life of ${rows.length === 1 ? 'this row' : 'the first'}`,
  ];
}
