import { extname } from 'node:path';
import type { Command } from 'commander';
import { profileFor } from '../../batch/batch-profile.ts';
import { exportCsv, exportJsonl, exportSheet } from '../../batch/export.ts';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { STATES, type State } from '../../core/states.ts';
import { parseOneOf } from '../../core/units.ts';
import { countStates, requireBatch } from '../../ledger/batches.ts';
import { countRemade } from '../../ledger/operator/retry-failed-tasks.ts';
import { readInputs, readSubmissions, type SubmissionView } from '../../ledger/read/rows.ts';
import { totalOf } from '../../operate/summary.ts';
import { configOf, flag, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import { outputFlags, writeOutput, writeWhole, type OutputFlags } from '../flags/output-file.ts';
import { bar, Progress, Speed } from '../output/terminal.ts';

export function exportCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('export <batch>')
    .description('the input rows in input order, joined with what the ledger knows of them')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch export text > text.results.csv
  $ vidbatch export text --format jsonl | jq -r .task_id
  $ vidbatch export text --output text.xlsx         for Excel: every cell is text, and ids keep their zeros
  $ vidbatch export text --bom > text.results.csv   Excel shows Chinese as it is
  $ vidbatch export text --state rejected > fix.csv  only these rows, to be corrected
  $ vidbatch submit text.results.csv --batch text   the same rows again: no row is new

The export is UTF-8, also if the manifest was not. A cell that a spreadsheet would run as a formula begins with an
apostrophe, which is removed when the export is submitted. You may edit it: its row_key and content identify a row.`,
    )
    .action(async (batch: string, flags: ExportFlags) => exit(await exportBatch(batch, flags, io)));
  flag(
    globalFlags(command),
    '--format <format>',
    'csv, jsonl or xlsx (default: by the extension of --output, else csv)',
  );
  outputFlags(command, 'stdout; xlsx needs a file');
  flag(command, '--bom', 'CSV: begin with a byte order mark, as Excel needs it to read UTF-8');
  command.option('--state <state...>', `only rows in these states: ${STATES.join(', ')}`);
  command.option('--error-code <code...>', 'only rows that ended with these codes, such as ECONNREFUSED');
}

interface ExportFlags extends GlobalFlags, OutputFlags {
  format?: string;
  bom?: boolean;
  state?: string[];
  errorCode?: string[];
}

async function exportBatch(name: string, flags: ExportFlags, io: Io): Promise<ExitCode> {
  const format = isOn(flags.json) ? 'jsonl' : formatOf(flags);
  const states = flags.state?.map((state) => parseOneOf('NO_SUCH_STATE', '--state', state, STATES));
  const { output = '-' } = flags;
  keepHeapSmall();
  const progress = new Progress(io);
  const speed = new Speed();
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    const total = totalOf(await countStates(db, batch.id));
    const earlier = (await countRemade(db, batch.id)) > 0;
    const rows = chosen(readSubmissions(db, batch.id), { states, errorCodes: flags.errorCode });
    const { profile } = await profileFor(db, batch, undefined);
    let done = 0;
    const counted = async function* <T>(all: AsyncIterable<T>): AsyncGenerator<T> {
      for await (const one of all) {
        yield one;
        done += 1;
        if (done % 1000 === 0 && (output !== '-' || !process.stdout.isTTY))
          progress.show(bar({ done, total, rate: speed.measure(done) }));
      }
    };
    const inputs = readInputs(db, batch.id);
    const options = { earlier, profile };
    if (format === 'xlsx') {
      requireFile(output);
      const { writeWorkbook } = await import('../../manifest/workbook-writer.ts');
      const table = counted(exportSheet(batch, inputs, rows, options));
      await writeWhole(output, (file) => writeWorkbook(table, file), flags);
      if (!isOn(flags.json)) io.out(`wrote ${output}`);
      return EXIT.ok;
    }
    const texts = counted(format === 'csv' ? exportCsv(batch, inputs, rows, options) : exportJsonl(rows));
    const all = format === 'csv' && isOn(flags.bom) ? withMark(texts) : texts;
    const written = await writeOutput(output, all, flags, io);
    if (written !== undefined && !isOn(flags.json)) io.out(`wrote ${written}`);
    return EXIT.ok;
  }).finally(() => progress.clear());
}

const FORMATS = ['csv', 'jsonl', 'xlsx'] as const;

/** By `--format`, or by the extension of the file. */
function formatOf({ format, output = '-' }: ExportFlags): (typeof FORMATS)[number] {
  const extension = extname(output).slice(1).toLowerCase();
  return format === undefined
    ? (FORMATS.find((one) => one === extension) ?? 'csv')
    : parseOneOf('BAD_FORMAT', '--format', format, FORMATS);
}

function requireFile(path: string): void {
  if (path !== '-') return;
  throw usageError(
    'OUTPUT_NEEDED',
    '--format xlsx: a workbook is not text, so it is not written to stdout',
    'Name a file: --output rows.xlsx.',
  );
}

async function* withMark(texts: AsyncIterable<string>): AsyncGenerator<string> {
  yield '\uFEFF';
  yield* texts;
}

/** The rows that fit all given flags. */
async function* chosen(
  rows: AsyncIterable<SubmissionView>,
  { states, errorCodes }: { states: readonly State[] | undefined; errorCodes: readonly string[] | undefined },
): AsyncGenerator<SubmissionView> {
  for await (const row of rows) {
    const fits = states?.includes(row.state) !== false && errorCodes?.includes(row.errorCode ?? '') !== false;
    if (fits) yield row;
  }
}
