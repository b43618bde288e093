import type { Command } from 'commander';
import { reopenRows } from '../batch/retry.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import { RETRYABLE_STATES } from '../core/states.ts';
import { requireBatch, countStates } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { countRetryable } from '../ledger/operator/retry.ts';
import type { Chosen, Ended } from '../ledger/operator/retry.ts';
import { rowsOf } from '../operate/summary.ts';
import type { LedgerApp } from '../worker/app.ts';
import { keepHeapSmall } from './io.ts';
import { configOf, consentFlag, globalFlags, isOn } from './flags.ts';
import type { Io } from './io.ts';
import { openLedgerOnly } from './open-ledger.ts';
import { readFlags } from './manifest-flags.ts';
import { operator } from '../core/operator.ts';
import { pricesFlag, pricesOf } from './manifest-flags.ts';
import { retryChangedOnes } from './retry-changed.ts';
import { ask, checkKeys, formatChoice, parseChoice } from './retry-choice.ts';
import type { Done, RetryFlags } from './retry-choice.ts';
import { retryFailedTasks } from './retry-failed-tasks.ts';

/** Which rows is said each time: without variables. */
export function retryCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('retry <batch>')
    .description('take rejected, exhausted and cancelled rows back to pending, or their new versions')
    .option(
      '--state <state...>',
      `only rows in these states: ${RETRYABLE_STATES.join(', ')}; with --changed also invalid`,
    )
    .option('--error-code <code...>', 'only rows that ended with these codes, such as ECONNREFUSED')
    .option('--key <key...>', 'only the rows with these keys')
    .option(
      '--changed <manifest>',
      'rejected and invalid rows take the version that this manifest has of them, by id',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch retry text && vidbatch work --drain
  $ vidbatch retry text --state exhausted --error-code ECONNREFUSED ETIMEDOUT
  $ vidbatch retry text --key shot-007 --key shot-011
  $ vidbatch retry text --changed corrected.csv
  $ vidbatch retry text --failed-tasks --prices jobs/prices.example.json

What is chosen by several flags is chosen by all of them. Of submitted and uncertain rows nothing is sent again,
except with --failed-tasks: that asks, with its price, and without a terminal it needs --yes. It makes each failed task
again once; the first task stays in \`explain\` and in the export, and the budget counts both.
With --changed, rows of the manifest that are not rejected or invalid in the batch are left as they are; \`explain\` shows
what a row was before. Put the change into the batch's own manifest, too: \`run\` refuses one that has the old version. On a terminal it says what it would do, and asks.`,
    )
    .action(async (batch: string, flags: RetryFlags) => exit(await retryRows(batch, flags, io)));
  command.option('--failed-tasks', 'make again, and pay again, rows whose task failed at the provider');
  pricesFlag(readFlags(globalFlags(command)));
  consentFlag(
    command,
    '--again',
    'with --changed: also what another batch has sent already, and pay for it again',
  );
  consentFlag(command, '--yes', 'do not ask; needed without a terminal for --failed-tasks');
}

async function retryRows(name: string, flags: RetryFlags, io: Io): Promise<ExitCode> {
  const chosen = parseChoice(flags);
  const prices = await pricesOf(flags);
  if (flags.changed !== undefined) keepHeapSmall();
  const app = await openLedgerOnly(configOf(flags), io);
  try {
    const batch = await requireBatch(app.db, name);
    let done: Done;
    if (flags.failedTasks === true) {
      const { keys = null } = chosen;
      done = await retryFailedTasks(app.db, batch, { keys, prices, yes: isOn(flags.yes) }, io);
    } else {
      await checkKeys(app, batch, chosen, flags.changed !== undefined);
      done = await (flags.changed === undefined
        ? retryAsTheyAre(app, batch, chosen, flags, io)
        : retryChangedOnes(app, batch, flags.changed, chosen, flags, io));
    }
    io.out(flags.json === true ? JSON.stringify(done.json) : `${batch.name}: ${done.text}`);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

async function retryAsTheyAre(
  { db }: LedgerApp,
  batch: Batch,
  chosen: Chosen,
  flags: RetryFlags,
  io: Io,
): Promise<Done> {
  const found = await countRetryable(db, batch.id, chosen);
  const total = found.reduce((sum, { rows }) => sum + rows, 0);
  await ask(
    io,
    flags,
    total,
    `${batch.name}: ${rowsOf(total)} again: ${found.slice(0, 5).map(describe).join(', ')}${found.length > 5 ? ', …' : ''}`,
  );
  const rows = await reopenRows(db, batch, chosen, { who: operator(), filters: formatChoice(chosen) });
  const { invalid } = await countStates(db, batch.id);
  const filtered = Object.keys(chosen).length > 0;
  const parts = [
    rows > 0
      ? `${rowsOf(rows)} ${rows === 1 ? 'is' : 'are'} pending again; \`vidbatch work --drain\` or \`vidbatch run\` sends ${rows === 1 ? 'it' : 'them'}`
      : `nothing to retry: no row ${filtered ? 'that was chosen ' : ''}is rejected, exhausted or cancelled`,
    ...(invalid === 0 || filtered
      ? []
      : [
          `${formatCount(invalid)} invalid: correct them in the manifest, and \`vidbatch run\` it again${batch.keyScheme === 'id' ? ', or `vidbatch retry --changed`' : ''}`,
        ]),
  ];
  return { text: parts.join('; '), json: { batch: batch.name, retried: rows } };
}

function describe({ state, errorCode, rows }: Ended): string {
  return `${formatCount(rows)} ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
}
