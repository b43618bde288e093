import type { Command } from 'commander';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import { EXIT, usageError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { cancel, countStates, listBatches, note, retry } from '../ledger/batch.ts';
import type { Batch } from '../ledger/batch.ts';
import { transaction } from '../ledger/database.ts';
import { pauseBy, resumeBy } from '../ledger/pause.ts';
import { reached } from '../point.ts';
import { count } from '../summary.ts';
import { batchNamed } from './batch-named.ts';
import { confirm } from './confirm.ts';
import { configOf, flag, globalFlags, isOn, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { operator } from './operator.ts';

type Exit = (code: ExitCode) => void;

/** `pause`, `resume`, `cancel` and `retry`: what an operator does to a batch, or to all. */
export function gateCommands(program: Command, io: Io, exit: Exit): void {
  const act =
    (verb: (app: App, batch: Batch | undefined, flags: GlobalFlags, io: Io) => Promise<Acted>) =>
    async (name: string | undefined, flags: GlobalFlags): Promise<void> =>
      exit(await onBatch(name, flags, io, verb));

  const pauseIt = program
    .command('pause [batch]')
    .description('stop sending rows of a batch, or of all; open calls finish')
    .addHelpText('after', '\nExamples:\n  $ vidbatch pause text\n  $ vidbatch pause')
    .action(act(pauseBatch));
  const resumeIt = program
    .command('resume [batch]')
    .description('go on; without a batch, also try out a halted provider with one row')
    .addHelpText('after', '\nExamples:\n  $ vidbatch resume text\n  $ vidbatch resume')
    .action(act(resumeBatch));
  const cancelIt = program
    .command('cancel [batch]')
    .description('cancel the pending rows of a batch, or of all')
    .addHelpText('after', '\nExamples:\n  $ vidbatch cancel text\n  $ vidbatch cancel --yes')
    .action(act(cancelBatch));
  flag(cancelIt, '--yes', 'do not ask');
  const retryIt = program
    .command('retry <batch>')
    .description('take rejected, exhausted and cancelled rows back to pending')
    .addHelpText('after', '\nExamples:\n  $ vidbatch retry text && vidbatch work --drain')
    .action(act(retryBatch));
  for (const command of [pauseIt, resumeIt, cancelIt, retryIt]) globalFlags(command);
  providerFlags(resumeIt);
}

interface Acted {
  text: string;
  json: Record<string, unknown>;
}

async function onBatch(
  name: string | undefined,
  flags: GlobalFlags,
  io: Io,
  verb: (app: App, batch: Batch | undefined, flags: GlobalFlags, io: Io) => Promise<Acted>,
): Promise<ExitCode> {
  const app = await openApp(configOf(flags), 'reader');
  try {
    const batch = name === undefined ? undefined : await batchNamed(app.db, name);
    const { text, json } = await verb(app, batch, flags, io);
    io.out(flags.json === true ? JSON.stringify(json) : text);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

async function pauseBatch({ db }: App, batch: Batch | undefined): Promise<Acted> {
  if (batch?.state === 'cancelled') {
    throw usageError('CANCELLED', `batch ${batch.name} was cancelled: there is nothing to pause`);
  }
  await pauseBy(db, operator(), batch && [batch]);
  return {
    text: `${batch?.name ?? 'everything'}: paused; open calls finish`,
    json: { batch: batch?.name ?? null, paused: true },
  };
}

async function resumeBatch({ db }: App, batch: Batch | undefined, flags: GlobalFlags): Promise<Acted> {
  if (batch?.state === 'cancelled') {
    throw usageError(
      'CANCELLED',
      `batch ${batch.name} was cancelled`,
      `\`vidbatch retry ${batch.name}\` takes its rows up again.`,
    );
  }
  const trying = await resumeBy(db, operator(), batch && [batch], configOf(flags).baseUrl);
  const text = `${batch?.name ?? 'everything'}: resumed`;
  return {
    text: trying ? `${text}; the halted provider is tried out with one row` : text,
    json: { batch: batch?.name ?? null, paused: false, trying },
  };
}

async function cancelBatch(
  { db }: App,
  batch: Batch | undefined,
  flags: GlobalFlags,
  io: Io,
): Promise<Acted> {
  const batches = batch === undefined ? await listBatches(db) : [batch];
  if (batch === undefined && !isOn(flags.yes)) {
    await confirm(io, `Cancel the pending rows of all ${count(batches.length)} batches?`);
  }
  let cancelled = 0;
  for (const one of batches) {
    cancelled += await transaction(db, async (session) => {
      const rows = await cancel(session, one.id);
      await note(session, 'cancel', `${rows} rows`, one.id, operator());
      return rows;
    });
  }
  return {
    text: `${batch?.name ?? 'everything'}: ${count(cancelled)} rows cancelled; rows in flight finish`,
    json: { batch: batch?.name ?? null, cancelled },
  };
}

async function retryBatch({ db }: App, batch: Batch | undefined): Promise<Acted> {
  if (batch === undefined) throw usageError('NO_SUCH_BATCH', 'name a batch');
  // Rows that are sent again without a word in the trail would be a riddle later.
  const rows = await transaction(db, async (session) => {
    const moved = await retry(session, batch.id);
    reached('rows-retried');
    await note(session, 'retry', `${moved} rows`, batch.id, operator());
    return moved;
  });
  const { invalid } = await countStates(db, batch.id);
  const parts = [
    rows === 0
      ? 'nothing to retry: no row is rejected, exhausted or cancelled'
      : `${count(rows)} rows are pending again; \`vidbatch work --drain\` or \`vidbatch run\` sends them`,
    ...(invalid === 0
      ? []
      : [`${count(invalid)} invalid: correct them in the manifest, and \`vidbatch run\` it again`]),
  ];
  return { text: `${batch.name}: ${parts.join('; ')}`, json: { batch: batch.name, retried: rows } };
}
