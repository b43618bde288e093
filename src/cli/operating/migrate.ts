import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { migrations } from '../../ledger/migrate.ts';
import { openApp } from '../../worker/app.ts';
import { foreignFlag, configOf, globalFlags, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';

export function migrateCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('migrate')
    .description(
      'bring the schemas of ledger and queue up to date; safe to repeat, and from many machines at once',
    )
    .addHelpText('after', '\nExamples:\n  $ DATABASE_URL=postgres://user@host/db vidbatch migrate')
    .action(async (flags: GlobalFlags) => exit(await migrate(flags, io)));
  foreignFlag(globalFlags(command));
}

async function migrate(flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const app = await openApp(configOf(flags), 'writer');
  try {
    const version = (await migrations()).at(-1)?.version ?? 0;
    io.out(
      flags.json === true
        ? JSON.stringify({ version, ledgerId: app.ledgerId, ...app.storage })
        : `${app.storage.ledger}: the ledger is at version ${version}`,
    );
    return EXIT.ok;
  } finally {
    await app.close();
  }
}
