import type { Command } from 'commander';
import { profileFor } from '../batch/batch-profile.ts';
import { exportCsv, exportJsonl } from '../batch/export.ts';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { STATES } from '../core/states.ts';
import { countStates, requireBatch } from '../ledger/batches.ts';
import { countRemade } from '../ledger/operator/retry-failed-tasks.ts';
import { readInputs, readSubmissions } from '../ledger/read/rows.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { totalOf } from '../operate/summary.ts';
import { configOf, flag, globalFlags, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { keepHeapSmall } from './io.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';
import { bar, Progress, Speed } from './terminal.ts';

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
  $ vidbatch export text --bom > text.xlsx.csv      Excel shows Chinese as it is
  $ vidbatch export text --state rejected > fix.csv  only these rows, to be corrected
  $ vidbatch submit text.results.csv --batch text   the same rows again: no row is new

The export is UTF-8, also if the manifest was not. A cell that a spreadsheet would run as a formula begins with an
apostrophe, which is removed when the export is submitted. You may edit it: its row_key and content identify a row.`,
    )
    .action(async (batch: string, flags: ExportFlags) => exit(await exportBatch(batch, flags, io)));
  flag(globalFlags(command), '--format <format>', 'csv or jsonl', 'csv');
  flag(command, '--bom', 'CSV: begin with a byte order mark, as Excel needs it to read UTF-8');
  command.option('--state <state...>', `only rows in these states: ${STATES.join(', ')}`);
  command.option('--error-code <code...>', 'only rows that ended with these codes, such as ECONNREFUSED');
}

interface ExportFlags extends GlobalFlags {
  format: string;
  bom?: boolean;
  state?: string[];
  errorCode?: string[];
}

async function exportBatch(name: string, flags: ExportFlags, io: Io): Promise<ExitCode> {
  const format = isOn(flags.json) ? 'jsonl' : flags.format;
  if (format !== 'csv' && format !== 'jsonl') {
    throw usageError('BAD_FORMAT', `--format: "${format}" is not csv or jsonl`);
  }
  const unknown = flags.state?.find((name) => !STATES.some((known) => known === name));
  if (unknown !== undefined)
    throw usageError('NO_SUCH_STATE', `--state: "${unknown}" is not one of ${STATES.join(', ')}`);
  keepHeapSmall();
  const progress = new Progress(io);
  const speed = new Speed();
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    const total = totalOf(await countStates(db, batch.id));
    const earlier = (await countRemade(db, batch.id)) > 0;
    const rows = chosen(readSubmissions(db, batch.id), flags);
    const { profile } = await profileFor(db, batch, undefined);
    const texts =
      format === 'csv'
        ? exportCsv(batch, readInputs(db, batch.id), rows, { earlier, profile })
        : exportJsonl(rows);
    if (format === 'csv' && isOn(flags.bom)) await io.write('\uFEFF');
    let done = 0;
    for await (const text of texts) {
      if (!(await io.write(text))) break;
      done += 1;
      if (done % 1000 === 0 && !process.stdout.isTTY)
        progress.show(bar({ done, total, rate: speed.measure(done) }));
    }
    return EXIT.ok;
  }).finally(() => progress.clear());
}

/** The rows that fit all given flags. */
async function* chosen(
  rows: AsyncIterable<SubmissionView>,
  { state, errorCode }: ExportFlags,
): AsyncGenerator<SubmissionView> {
  for await (const row of rows) {
    const fits = state?.includes(row.state) !== false && errorCode?.includes(row.errorCode ?? '') !== false;
    if (fits) yield row;
  }
}
