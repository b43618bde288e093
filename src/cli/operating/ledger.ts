import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { formatCount, plural } from '../../core/units.ts';
import { transaction } from '../../database/database.ts';
import { closedHint, formatClosed, readClosed, reopenLedger } from '../../ledger/closed.ts';
import type { CopiedTable } from '../../ledger/copy/fill.ts';
import { backupLedger, refuseServer } from '../../operate/copy/backup.ts';
import { copyLedger, formatClockDifference, type CopyReport } from '../../operate/copy/copy.ts';
import { restoreLedger } from '../../operate/copy/restore.ts';
import { parsePlace, type Place } from '../../operate/copy/target.ts';
import { openLedger } from '../../worker/app.ts';
import { configOf, consentFlag, flag, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import { confirm, type Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';

type Exit = (code: ExitCode) => void;

/** `ledger`: commands for a ledger as a whole. */
export function ledgerCommand(program: Command, io: Io, exit: Exit): void {
  const ledger = program
    .command('ledger')
    .description('back up a whole ledger, restore it, or move it to a server or back')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch ledger copy --to postgres://user@host:5432/vidbatch
  $ vidbatch ledger copy --to ./moved
  $ vidbatch ledger backup friday.ledger
  $ vidbatch ledger restore friday.ledger
  $ vidbatch ledger reopen

The copied ledger sends nothing any more, because two ledgers that both send pay twice. No command deletes a ledger.`,
    );
  const copyIt = ledger
    .command('copy')
    .description('copy this ledger to an empty database or a new folder, which sends from then on')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch ledger copy --to postgres://user@host:5432/vidbatch    from the folder to a server
  $ DATABASE_URL=postgres://… vidbatch ledger copy --to ./moved     from a server to a folder

Stop every worker first. Every table is counted and compared. Run it again after a crash: it completes the copy.`,
    )
    .action(async (flags: CopyFlags) => exit(await copy(flags, io)));
  globalFlags(flag(copyIt, '--to <place>', 'the URL of an empty Postgres database, or a new folder'));
  const backup = ledger
    .command('backup <file>')
    .description('write the embedded ledger and its journals into one new file, also while a worker works')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch ledger backup friday.ledger

The file is for this user alone, and is never overwritten. A worker waits while its ledger is read.`,
    )
    .action(async (file: string, flags: GlobalFlags) => exit(await backUp(file, flags, io)));
  globalFlags(backup);
  const restore = ledger
    .command('restore <file>')
    .description('make the embedded ledger of a data folder without one from a backup; it is closed at first')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch ledger restore friday.ledger
  $ vidbatch ledger restore friday.ledger --data-dir ./restored

Keep the folder journal/ of the lost ledger: it knows what was sent since the backup. The restored ledger sends nothing until
\`vidbatch ledger reopen\`.`,
    )
    .action(async (file: string, flags: GlobalFlags) => exit(await restoreIt(file, flags, io)));
  globalFlags(restore);
  const reopen = ledger
    .command('reopen')
    .description('let a closed ledger send again: its copy is never used, or its journals are all there')
    .addHelpText('after', '\nExamples:\n  $ vidbatch ledger reopen')
    .action(async (flags: GlobalFlags) => exit(await reopenIt(flags, io)));
  consentFlag(globalFlags(reopen), '--yes', 'do not ask; needed without a terminal');
}

interface CopyFlags extends GlobalFlags {
  to?: string;
}

async function copy(flags: CopyFlags, io: Io): Promise<ExitCode> {
  if (flags.to === undefined) {
    throw usageError('NO_TARGET', 'name where the ledger is copied to: --to <url or folder>');
  }
  const place = parsePlace(flags.to);
  const config = configOf(flags);
  const app = await openLedger(config, 'copier');
  try {
    const report = await copyLedger(app, config, place, {
      who: operator(),
      onTable: (table) => tellCopied(table, io),
    });
    const clock = formatClockDifference(report);
    if (clock !== undefined) io.err(`warning: ${clock}`);
    io.out(isOn(flags.json) ? JSON.stringify(report) : formatReport(report, place).join('\n'));
    return EXIT.ok;
  } catch (error) {
    const closed = await readClosed(app.db).catch(() => undefined);
    if (closed?.code === 'copying') io.err(`${formatClosed(closed)}. ${closedHint(closed)}`);
    throw error;
  } finally {
    await app.close();
  }
}

/** The report at the end counts the empty tables, too. */
function tellCopied({ name, rows }: CopiedTable, io: Io): void {
  if (rows > 0) io.err(`${name}: ${plural(rows, 'row')}, compared`);
}

function formatReport({ from, to, tables, journals, again }: CopyReport, place: Place): string[] {
  return [
    again
      ? `${to} holds the whole ledger already: an earlier command has completed the copy`
      : `${to}: ${formatContent(tables, journals)}; each table is the same as in ${from}`,
    `${from} sends nothing any more.`,
    place.kind === 'postgres'
      ? 'Next: set DATABASE_URL to the new place for every command and worker. Keep the data folder: its journals belong to this ledger.'
      : `Next: set VIDBATCH_DATA_DIR=${place.dir} for every command and worker, and unset DATABASE_URL.`,
  ];
}

async function backUp(file: string, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  refuseServer(config, 'backs up');
  return withLedger(config, io, async (app) => {
    const report = await backupLedger(app, config, file, (table) => tellCopied(table, io));
    const { ledgerId, madeAt, tables, journals } = report;
    io.out(
      isOn(flags.json)
        ? JSON.stringify(report)
        : `${file}: the ledger ${ledgerId} of ${madeAt}: ${formatContent(tables, journals)}; read back without a fault`,
    );
    return EXIT.ok;
  });
}

async function restoreIt(file: string, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const report = await restoreLedger(configOf(flags), file, {
    who: operator(),
    onTable: (table) => tellCopied(table, io),
  });
  const { to, madeAt, tables, journals } = report;
  io.out(
    isOn(flags.json)
      ? JSON.stringify(report)
      : [
          `${to}: ${formatContent(tables, journals)}; each table is the same as in the backup of ${madeAt}`,
          'It sends nothing yet: rows may have been sent since the backup was made.',
          'Next: put the journals of every machine that has sent since into its folder journal/, then `vidbatch ledger reopen`.',
        ].join('\n'),
  );
  return EXIT.ok;
}

function formatContent(tables: readonly CopiedTable[], journals: number): string {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const brought = journals === 0 ? '' : `, ${plural(journals, 'journal')}`;
  return `${formatCount(rows)} rows in ${plural(tables.length, 'table')}${brought}`;
}

async function reopenIt(flags: GlobalFlags, io: Io): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async ({ db }) => {
    const closed = await readClosed(db);
    if (closed !== undefined) {
      if (!isOn(flags.yes)) {
        await confirm(
          io,
          `${formatClosed(closed)}. ${closedHint(closed)}\nReopen it, so that it sends again?`,
        );
      }
      await transaction(db, (session) => reopenLedger(session, closed, operator()));
    }
    const text = closed === undefined ? 'the ledger was not closed' : 'the ledger is open: it sends again';
    io.out(isOn(flags.json) ? JSON.stringify({ reopened: closed?.code ?? null }) : text);
    return EXIT.ok;
  });
}
