import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { changePriority, parsePriority } from '../../operate/priority.ts';
import { configOf, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';

/** `priority`: which batches go first. */
export function priorityCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('priority <batch> <n>')
    .description('change which batches go first: a higher number goes first, from -100 to 100')
    .addHelpText('after', '\nExamples:\n  $ vidbatch priority urgent 50\n  $ vidbatch priority later -10')
    .action(async (batch: string, n: string, flags: GlobalFlags) =>
      exit(await priority(batch, n, flags, io)),
    );
  globalFlags(command);
}

async function priority(name: string, n: string, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const now = parsePriority('priority', n);
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    await changePriority(db, operator(), batch, now);
    io.out(
      isOn(flags.json)
        ? JSON.stringify({ batch: name, priority: now, before: batch.priority })
        : `${name}: priority ${batch.priority} → ${now}`,
    );
    return EXIT.ok;
  });
}
