import { realpath } from 'node:fs/promises';
import type { Command } from 'commander';
import type { LedgerApp } from '../worker/app.ts';
import { priceHint, unpricedTold } from '../batch/budget.ts';
import { withVersions } from '../batch/changed.ts';
import { keepImport } from '../ledger/import/import.ts';
import { EXIT, refusal, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { keepHeapSmall } from './heap.ts';
import { countStates, note } from '../ledger/batch.ts';
import type { Batch } from '../ledger/batch.ts';
import { readPurse } from '../ledger/budget.ts';
import type { Purse } from '../ledger/budget.ts';
import { transaction } from '../database/database.ts';
import { findSubmissions } from '../ledger/read/read.ts';
import { CORRECTABLE, countRetryable, retry, retryChanged } from '../ledger/retry.ts';
import { adoptOrphans } from '../ledger/send/orphan.ts';
import type { Chosen, Ended, Versions } from '../ledger/retry.ts';
import { nextStep } from '../core/next-step.ts';
import { quoted } from '../core/shell-word.ts';
import { reached } from '../core/point.ts';
import { checkReopening } from '../batch/reopening.ts';
import { RETRYABLE_STATES, STATES } from '../core/submission.ts';
import type { State } from '../core/submission.ts';
import { count } from '../core/format.ts';
import { rowsOf } from '../operate/summary.ts';
import { batchNamed } from './batch-named.ts';
import { confirm } from './confirm.ts';
import { configOf, flag, globalFlags, isOn } from './io.ts';
import type { Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';
import { readFlags, readOptions } from './manifest-flags.ts';
import type { ReadFlags } from './manifest-flags.ts';
import { operator } from './operator.ts';
import { pricesFlag, pricesOf } from './price-flags.ts';
import type { PriceFlags } from './price-flags.ts';
import { retryFailedTasks } from './retry-failed-tasks.ts';

interface RetryFlags extends ReadFlags, PriceFlags {
  failedTasks?: boolean;
  state?: string[];
  errorCode?: string[];
  key?: string[];
  changed?: string;
  again?: boolean;
}

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
  flag(command, '--again', 'with --changed: also what another batch has sent already, and pay for it again');
  flag(command, '--yes', 'do not ask; without a terminal, needed with --failed-tasks');
}

interface Done {
  text: string;
  json: Record<string, unknown>;
}

async function retryRows(name: string, flags: RetryFlags, io: Io): Promise<ExitCode> {
  const chosen = chosenBy(flags);
  const prices = await pricesOf(flags);
  if (flags.changed !== undefined) keepHeapSmall();
  const app = await openAlone(configOf(flags), io);
  try {
    const batch = await batchNamed(app.db, name);
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

function chosenBy({ state, errorCode, key, changed, failedTasks }: RetryFlags): Chosen {
  if (failedTasks === true && (state ?? errorCode ?? changed) !== undefined) {
    throw usageError(
      'BAD_COMBINATION',
      '--failed-tasks is possible with --key and --prices, not with --state, --error-code or --changed',
      'Give them in two commands, one after the other.',
    );
  }
  const possible: readonly State[] = changed === undefined ? RETRYABLE_STATES : ['rejected', 'invalid'];
  const states = state?.map((one) => {
    const known = possible.find((word) => word === one);
    if (known !== undefined) return known;
    const why = STATES.some((word) => word === one)
      ? `${one} rows are not retried${one === 'invalid' ? ' as they are' : ''}`
      : `"${one}" is no state`;
    const next =
      one === 'uncertain'
        ? '`vidbatch resolve` settles uncertain rows.'
        : one === 'invalid'
          ? 'Correct them, and give the manifest with --changed.'
          : undefined;
    throw usageError('BAD_STATE', `--state: ${why}; allowed are ${possible.join(', ')}`, next);
  });
  return {
    ...(states === undefined ? {} : { states }),
    ...(errorCode === undefined ? {} : { errorCodes: errorCode }),
    ...(key === undefined ? {} : { keys: key }),
  };
}

/** A key that is named and not retried is a mistake, of which a count would say nothing. */
async function checkKeys(
  { db }: LedgerApp,
  batch: Batch,
  { keys = [] }: Chosen,
  changed: boolean,
): Promise<void> {
  const possible: readonly State[] = changed ? ['rejected', 'invalid'] : RETRYABLE_STATES;
  for (const key of keys) {
    const row = (await findSubmissions(db, batch.id, key)).find((one) => one.key === key);
    if (row === undefined) {
      throw usageError(
        'NO_SUCH_ROW',
        `batch ${batch.name} has no row with the key ${key}`,
        `\`vidbatch export ${quoted(batch.name)}\` lists them in the column row_key.`,
      );
    }
    if (!possible.includes(row.state)) {
      throw usageError(
        'NOT_RETRYABLE',
        `${batch.name} ${key} is ${row.state}: nothing was changed`,
        `Next: ${nextStep(row)}.`,
      );
    }
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
  // Rows that are sent again without a word in the trail would be a riddle later.
  const rows = await transaction(db, async (session) => {
    await checkReopening(session, batch, chosen);
    const moved = await retry(session, batch.id, chosen);
    reached('rows-retried');
    await note(session, 'retry', `${moved} rows${filtersOf(chosen)}`, batch.id, operator());
    // A journal may know that a row was sent as it is now: only a row that waits can be told so.
    await adoptOrphans(session, batch.id, false);
    return moved;
  });
  const { invalid } = await countStates(db, batch.id);
  const filtered = Object.keys(chosen).length > 0;
  const parts = [
    rows > 0
      ? `${rowsOf(rows)} ${rows === 1 ? 'is' : 'are'} pending again; \`vidbatch work --drain\` or \`vidbatch run\` sends ${rows === 1 ? 'it' : 'them'}`
      : `nothing to retry: no row ${filtered ? 'that was chosen ' : ''}is rejected, exhausted or cancelled`,
    ...(invalid === 0 || filtered
      ? []
      : [
          `${count(invalid)} invalid: correct them in the manifest, and \`vidbatch run\` it again${batch.keyScheme === 'id' ? ', or `vidbatch retry --changed`' : ''}`,
        ]),
  ];
  return { text: parts.join('; '), json: { batch: batch.name, retried: rows } };
}

async function retryChangedOnes(
  { db }: LedgerApp,
  batch: Batch,
  source: string,
  chosen: Chosen,
  flags: RetryFlags,
  io: Io,
): Promise<Done> {
  const options = { ...readOptions(flags), models: configOf(flags).models, stdin: io.stdin, chosen };
  return withVersions(db, batch, source, options, async (versions, importId) => {
    const { changed, invalid, elsewhere } = versions;
    if (changed === 0 && invalid > 0) {
      throw refusal(
        'INVALID_ROWS',
        `${source}: ${rowsOf(invalid)} changed, and still cannot be sent; nothing was changed`,
        `\`vidbatch validate ${quoted(source)}\` shows why.`,
      );
    }
    if (elsewhere > 0 && !isOn(flags.again)) {
      throw refusal(
        'SENT_ELSEWHERE',
        `${source}: what ${rowsOf(elsewhere)} of batch ${batch.name} say now was sent in another batch already; nothing was changed`,
        '--again sends it once more, and pays for it once more.',
      );
    }
    await ask(io, flags, changed, `${batch.name}: ${rowsOf(changed)} take the version of ${source}`);
    const taken =
      changed === 0
        ? 0
        : await transaction(db, async (session) => {
            await keepImport(session, importId);
            await checkReopening(session, batch, { ...chosen, states: CORRECTABLE });
            const moved = await retryChanged(session, batch.id, importId, chosen, operator());
            reached('rows-retried');
            await note(
              session,
              'retry --changed',
              `${moved} rows from ${source}${filtersOf(chosen)}`,
              batch.id,
              operator(),
            );
            await adoptOrphans(session, batch.id, false);
            return moved;
          });
    const purse = await readPurse(db, batch.id);
    return {
      text: told(taken, versions, await sentBy(batch, source, taken), {
        source,
        batch: batch.name,
        waits: purse && unpriced(batch, purse),
      }),
      json: { batch: batch.name, retried: taken, ...versions },
    };
  });
}

/** What sends the new versions. The batch's own manifest has the old ones still, if they came from another file. */
async function sentBy({ source: own }: Batch, source: string, taken: number): Promise<string> {
  const what = taken === 1 ? 'it' : 'them';
  if (own === '-') return `\`vidbatch work --drain\` sends ${what}`;
  return own === (source === '-' ? '-' : await realpath(source))
    ? `\`vidbatch work --drain\` or \`vidbatch run ${quoted(own)}\` sends ${what}`
    : `\`vidbatch work --drain\` sends ${what}; put the change into ${own}, too, before you run that again`;
}

/** A new length or model has another price, of which this command says nothing. */
function unpriced(batch: Batch, { unpriced }: Purse): string | undefined {
  return unpriced === 0
    ? undefined
    : `${unpricedTold(unpriced)}, and the batch has a budget: ${priceHint(batch)}`;
}

function told(
  taken: number,
  { invalid, same, others, unknown }: Versions,
  sent: string,
  { source, batch, waits }: { source: string; batch: string; waits: string | undefined },
): string {
  const parts = [
    taken === 0
      ? 'nothing to retry: no rejected or invalid row is another one in the manifest'
      : `${rowsOf(taken)} took the manifest's version; ${sent}`,
  ];
  if (waits !== undefined) parts.push(waits);
  if (invalid > 0) parts.push(`${count(invalid)} changed and still cannot be sent`);
  if (same > 0) parts.push(`${count(same)} as they were`);
  if (others > 0) parts.push(`${count(others)} that differ are in other states, and stay`);
  if (unknown > 0) {
    const [are, them, fresh] =
      unknown === 1 ? ['row is', 'it', 'a new row'] : ['rows are', 'them', 'new rows'];
    const command =
      source === '-' ? '`vidbatch submit`' : `\`vidbatch submit ${quoted(source)} --batch ${quoted(batch)}\``;
    parts.push(
      `${count(unknown)} ${are} not in the batch by ${unknown === 1 ? 'its id' : 'their ids'}: ${command} adds ${them} as ${fresh}, which ${unknown === 1 ? 'is' : 'are'} paid; it asks first where only the id was changed`,
    );
  }
  return parts.join('; ');
}

async function ask(io: Io, { yes }: RetryFlags, rows: number, what: string): Promise<void> {
  if (rows === 0 || !io.interactive) return;
  if (isOn(yes)) io.err(what);
  else await confirm(io, `${what}. Go on?`);
}

function describe({ state, errorCode, rows }: Ended): string {
  return `${count(rows)} ${state}${errorCode === null ? '' : ` (${errorCode})`}`;
}

function filtersOf({ states, errorCodes, keys }: Chosen): string {
  const parts = [
    ...(states ?? []),
    ...(errorCodes ?? []),
    ...(keys === undefined ? [] : [`${keys.length} by key`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
