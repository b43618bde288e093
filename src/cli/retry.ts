import type { Command } from 'commander';
import { reopenRows } from '../batch/retry.ts';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import { nextStep } from '../core/next-step.ts';
import { operator } from '../core/operator.ts';
import { RETRYABLE_STATES, STATES } from '../core/states.ts';
import type { State } from '../core/states.ts';
import { formatCount, plural } from '../core/units.ts';
import type { Database } from '../database/database.ts';
import { countStates, requireBatch } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { CORRECTABLE, countRetryable } from '../ledger/operator/retry.ts';
import type { Chosen, Ended } from '../ledger/operator/retry.ts';
import { requireRow } from '../operate/row-life.ts';
import { configOf, consentFlag, globalFlags, isOn } from './flags.ts';
import { confirm, keepHeapSmall } from './io.ts';
import type { Io } from './io.ts';
import { pricesFlag, pricesOf, readFlags, readOptions } from './manifest-flags.ts';
import type { PriceFlags, ReadFlags } from './manifest-flags.ts';
import { withLedger } from './open-ledger.ts';
import { retryWithManifest } from './retry-changed.ts';
import { retryFailedTasks } from './retry-failed-tasks.ts';

/** None of the flags that choose rows has a variable, because each choice is a new decision. */
interface RetryFlags extends ReadFlags, PriceFlags {
  failedTasks?: boolean;
  state?: string[];
  errorCode?: string[];
  key?: string[];
  changed?: string;
  again?: boolean;
}

/** The result of a retry, for people and for `--json`. */
export interface Retried {
  text: string;
  json: Record<string, unknown>;
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
  $ vidbatch retry text && vidbatch work --drain
  $ vidbatch retry text --state exhausted --error-code ECONNREFUSED ETIMEDOUT
  $ vidbatch retry text --key shot-007 --key shot-011
  $ vidbatch retry text --changed corrected.csv
  $ vidbatch retry text --failed-tasks --prices jobs/prices.example.json

A row is chosen if it fits all given flags. Submitted and uncertain rows are never sent again, except with
--failed-tasks: that asks, with its price, and needs --yes without a terminal. It makes each failed task again once; the
first task stays in \`explain\` and in the export, and the budget counts both.
With --changed, rows of the manifest that are not rejected or invalid in the batch stay as they are; \`explain\` shows the
earlier version of a row. Make the change in the batch's own manifest, too: \`run\` refuses the old version.
On a terminal, the command says what it will do, and asks.`,
    )
    .action(async (batch: string, flags: RetryFlags) => exit(await retryRows(batch, flags, io)));
  command.option('--failed-tasks', 'make again, and pay again, rows whose task failed at the provider');
  pricesFlag(readFlags(globalFlags(command)));
  consentFlag(
    command,
    '--again',
    'with --changed: also content that another batch has sent already, and pay for it again',
  );
  consentFlag(command, '--yes', 'do not ask; needed without a terminal for --failed-tasks');
}

async function retryRows(name: string, flags: RetryFlags, io: Io): Promise<ExitCode> {
  const possible = flags.changed === undefined ? RETRYABLE_STATES : CORRECTABLE;
  const chosen = parseChoice(flags, possible);
  const prices = await pricesOf(flags);
  const config = configOf(flags);
  if (flags.changed !== undefined) keepHeapSmall();
  /** Says what will happen, and asks a person on a terminal. */
  const agree = async (rows: number, what: string): Promise<void> => {
    if (rows === 0 || !io.interactive) return;
    if (isOn(flags.yes)) io.err(what);
    else await confirm(io, `${what}. Continue?`);
  };
  return withLedger(config, io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    let done: Retried;
    if (isOn(flags.failedTasks)) {
      done = await retryFailedTasks(
        db,
        batch,
        { keys: chosen.keys ?? null, prices, yes: isOn(flags.yes) },
        io,
      );
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
  const states = state?.map((one) => {
    const known = possible.find((word) => word === one);
    if (known !== undefined) return known;
    const why = STATES.some((word) => word === one)
      ? `${one} rows are not retried${one === 'invalid' ? ' as they are' : ''}`
      : `"${one}" is not a state`;
    const next =
      one === 'uncertain'
        ? '`vidbatch resolve` settles uncertain rows.'
        : one === 'invalid'
          ? 'Correct them, and give the manifest with --changed.'
          : undefined;
    throw usageError('BAD_STATE', `--state: ${why}; allowed are ${possible.join(', ')}`, next);
  });
  return defined({ states, errorCodes: errorCode, keys: key });
}

/** ` (exhausted, ECONNREFUSED)`: the filters that chose the rows, for the trail. */
function formatChoice({ states, errorCodes, keys }: Chosen): string {
  const parts = [
    ...(states ?? []),
    ...(errorCodes ?? []),
    ...(keys === undefined ? [] : [`${keys.length} by key`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** A key of a row that cannot be retried is a mistake, which a count alone would hide. */
async function checkKeys(
  db: Database,
  batch: Batch,
  { keys = [] }: Chosen,
  possible: readonly State[],
): Promise<void> {
  for (const key of keys) {
    const row = await requireRow(db, batch, key);
    if (!possible.includes(row.state)) {
      throw usageError(
        'NOT_RETRYABLE',
        `${batch.name} ${key} is ${row.state}: nothing was changed`,
        `Next: ${nextStep(row)}.`,
      );
    }
  }
}

async function retryUnchanged(
  db: Database,
  batch: Batch,
  chosen: Chosen,
  agree: (rows: number, what: string) => Promise<void>,
): Promise<Retried> {
  const found = await countRetryable(db, batch.id, chosen);
  const total = found.reduce((sum, { rows }) => sum + rows, 0);
  const reasons = found.slice(0, 5).map(formatEnded).join(', ');
  await agree(
    total,
    `${batch.name}: ${plural(total, 'row')} again: ${reasons}${found.length > 5 ? ', …' : ''}`,
  );
  const rows = await reopenRows(db, batch, chosen, { who: operator(), filters: formatChoice(chosen) });
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

function formatEnded({ state, errorCode, rows }: Ended): string {
  return `${formatCount(rows)} ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
}
