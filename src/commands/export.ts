import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { EXIT, usageError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { exportCsv, exportJsonl } from '../export.ts';
import { keepHeapSmall } from '../heap.ts';
import { readSubmissions } from '../ledger/read.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, flag, globalFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';

export function exportCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('export <batch>')
    .description('the input rows in input order, joined with what we know of them')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch export text > text.results.csv
  $ vidbatch export text --format jsonl | jq -r .task_id`,
    )
    .action(async (batch: string, flags: GlobalFlags & { format: string }) =>
      exit(await exportBatch(batch, flags, io)),
    );
  flag(globalFlags(command), '--format <format>', 'csv or jsonl', 'csv');
}

async function exportBatch(name: string, flags: GlobalFlags & { format: string }, io: Io): Promise<ExitCode> {
  const format = flags.json === true ? 'jsonl' : flags.format;
  if (format !== 'csv' && format !== 'jsonl') {
    throw usageError('BAD_FORMAT', `--format: "${format}" is not csv or jsonl`);
  }
  keepHeapSmall();
  const app = await openApp(configOf(flags), 'reader');
  try {
    const batch = await batchNamed(app.db, name);
    const rows = readSubmissions(app.db, batch.id);
    for await (const text of format === 'csv'
      ? exportCsv(batch, rows, () => readSubmissions(app.db, batch.id))
      : exportJsonl(rows)) {
      if (!(await io.write(text))) break;
    }
    return EXIT.ok;
  } finally {
    await app.close();
  }
}
