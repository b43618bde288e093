import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { operator } from '../../core/operator.ts';
import { RETRYABLE_STATES, type State } from '../../core/states.ts';
import { formatCount, plural } from '../../core/units.ts';
import type { Database } from '../../database/database.ts';
import { countStates, requireBatch, type Batch } from '../../ledger/batches.ts';
import { CORRECTABLE, type Chosen } from '../../ledger/operator/retry.ts';
import {
  formatRemade,
  formatRemaking,
  readRemaking,
  remakeTasks,
  type RemakeChoice,
} from '../../operate/remake.ts';
import {
  checkKeys,
  formatChoice,
  formatRetryable,
  parseStates,
  readRetryable,
  retryRows,
} from '../../operate/retry.ts';
import { configOf, consentFlag, globalFlags, isOn } from '../flags/flags.ts';
import { askFirst, keepHeapSmall, type Io } from '../output/io.ts';
import {
  pricesFlag,
  pricesOf,
  readFlags,
  readOptions,
  type PriceFlags,
  type ReadFlags,
} from '../flags/manifest.ts';
import { withLedger } from '../open-ledger.ts';
import { retryWithManifest, type Retried } from './retry-changed.ts';

/** None of the flags that choose rows has a variable, because each choice is a new decision. */
interface RetryFlags extends ReadFlags, PriceFlags {
  failedTasks?: boolean;
  state?: string[];
  errorCode?: string[];
  key?: string[];
  changed?: string;
  again?: boolean;
}

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
    .option('--changed <manifest>', 'rejected and invalid rows take their version from this manifest, by id')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch retry text --yes && vidbatch work --drain
  $ vidbatch retry text --state exhausted --error-code ECONNREFUSED ETIMEDOUT
  $ vidbatch retry text --key shot-007 --key shot-011
  $ vidbatch retry text --changed corrected.csv
  $ vidbatch retry text --failed-tasks --prices jobs/prices.example.json

A row is chosen if it fits all given flags. Submitted and uncertain rows are never sent again, except with
--failed-tasks: that asks, with its price, and needs --yes without a terminal. It makes each failed task again once; the
first task stays in \`explain\` and in the export, and the budget counts both.
With --changed, rows of the manifest that are not rejected or invalid in the batch stay as they are; \`explain\` shows the
earlier version of a row. Make the change in the batch's own manifest, too: \`run\` refuses the old version.
The command says how many rows it takes, and what sending them can cost, and asks; without a terminal it needs --yes.
Rows that are named with --key are not asked about.`,
    )
    .action(async (batch: string, flags: RetryFlags) => exit(await retry(batch, flags, io)));
  command.option('--failed-tasks', 'make again, and pay again, rows whose task failed at the provider');
  pricesFlag(readFlags(globalFlags(command)));
  consentFlag(
    command,
    '--again',
    'with --changed: also content that another batch has sent already, and pay for it again',
  );
  consentFlag(command, '--yes', 'do not ask; needed without a terminal, except with --key');
}

async function retry(name: string, flags: RetryFlags, io: Io): Promise<ExitCode> {
  const possible = flags.changed === undefined ? RETRYABLE_STATES : CORRECTABLE;
  const chosen = parseChoice(flags, possible);
  const prices = await pricesOf(flags);
  const config = configOf(flags);
  if (flags.changed !== undefined) keepHeapSmall();
  const agree = async (rows: number, what: string): Promise<void> => {
    if (rows > 0 && chosen.keys === undefined) await askFirst(io, isOn(flags.yes), what);
  };
  return withLedger(config, io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    let done: Retried;
    if (isOn(flags.failedTasks)) {
      done = await retryFailedTasks(db, batch, { keys: chosen.keys ?? null, prices }, isOn(flags.yes), io);
    } else {
      await checkKeys(db, batch, chosen, possible);
      done = await (flags.changed === undefined
        ? retryUnchanged(db, batch, chosen, agree)
        : retryWithManifest(db, batch, flags.changed, {
            read: { ...readOptions(flags), models: config.models, stdin: io.stdin, chosen },
            choice: formatChoice(chosen),
            again: isOn(flags.again),
            agree,
          }));
    }
    io.out(isOn(flags.json) ? JSON.stringify(done.json) : `${batch.name}: ${done.text}`);
    return EXIT.ok;
  });
}

/** @throws VidbatchError exit 2 for states that are not retried, and for flags that exclude each other. */
function parseChoice(
  { state, errorCode, key, changed, failedTasks }: RetryFlags,
  possible: readonly State[],
): Chosen {
  if (isOn(failedTasks) && (state ?? errorCode ?? changed) !== undefined) {
    throw usageError(
      'BAD_COMBINATION',
      '--failed-tasks is possible with --key and --prices, not with --state, --error-code or --changed',
      'Use two commands, one after the other.',
    );
  }
  return defined({ states: state && parseStates(state, possible), errorCodes: errorCode, keys: key });
}

/** This pays a second time, so it always asks, also for rows that are named by key. */
async function retryFailedTasks(
  db: Database,
  batch: Batch,
  choice: RemakeChoice,
  yes: boolean,
  io: Io,
): Promise<Retried> {
  const remaking = await readRemaking(db, batch, choice);
  const { tasks, found } = remaking;
  if (tasks > 0) {
    const ask = `Pay for ${tasks === 1 ? 'it' : 'them'} again?`;
    await askFirst(io, yes, formatRemaking(batch.name, remaking), ask);
  }
  const rows = await remakeTasks(db, operator(), batch, choice, remaking);
  return {
    text: formatRemade(batch, rows, found),
    json: { batch: batch.name, retried: rows, otherwise: found.otherwise, another: found.another },
  };
}

async function retryUnchanged(
  db: Database,
  batch: Batch,
  chosen: Chosen,
  agree: (rows: number, what: string) => Promise<void>,
): Promise<Retried> {
  const found = await readRetryable(db, batch, chosen);
  await agree(found.rows, formatRetryable(batch, found));
  const rows = await retryRows(db, operator(), batch, chosen, found);
  const { invalid } = await countStates(db, batch.id);
  const isFiltered = Object.keys(chosen).length > 0;
  const parts = [
    rows > 0
      ? `${plural(rows, 'row is', 'rows are')} pending again; \`vidbatch work --drain\` or \`vidbatch run\` sends ${rows === 1 ? 'it' : 'them'}`
      : `nothing to retry: no ${isFiltered ? 'chosen ' : ''}row is rejected, exhausted or cancelled`,
  ];
  if (invalid > 0 && !isFiltered) {
    const changed = batch.keyScheme === 'id' ? ', or `vidbatch retry --changed`' : '';
    parts.push(
      `${formatCount(invalid)} invalid: correct them in the manifest, and \`vidbatch run\` it again${changed}`,
    );
  }
  return { text: parts.join('; '), json: { batch: batch.name, retried: rows } };
}
