import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { EXIT, usageError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { exportCsv, exportJsonl } from '../export.ts';
import { keepHeapSmall } from '../heap.ts';
import { countStates } from '../ledger/batch.ts';
import { readSubmissions } from '../ledger/read.ts';
import { totalOf } from '../summary.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, flag, globalFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { bar, Progress, Speed } from './progress.ts';

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
  const progress = new Progress(io);
  const speed = new Speed();
  const app = await openApp(configOf(flags), 'reader');
  try {
    const batch = await batchNamed(app.db, name);
    const total = totalOf(await countStates(app.db, batch.id));
    const rows = readSubmissions(app.db, batch.id);
    const texts =
      format === 'csv' ? exportCsv(batch, rows, () => readSubmissions(app.db, batch.id)) : exportJsonl(rows);
    let done = 0;
    for await (const text of texts) {
      if (!(await io.write(text))) break;
      done += 1;
      if (done % 1000 === 0 && !process.stdout.isTTY)
        progress.show(bar({ done, total, rate: speed.measure(done) }));
    }
    return EXIT.ok;
  } finally {
    progress.clear();
    await app.close();
  }
}
