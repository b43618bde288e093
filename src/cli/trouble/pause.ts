import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { formatCount, plural } from '../../core/units.ts';
import { listBatches, requireBatch, type Batch } from '../../ledger/batches.ts';
import { cancelRows, formatResumed, formatScope, pauseRows, resumeRows } from '../../operate/pause.ts';
import { formatMost, stakeOf } from '../../operate/stake.ts';
import { configuredModels } from '../../provider/profile/models.ts';
import type { LedgerApp } from '../../worker/app.ts';
import {
  collect,
  configOf,
  consentFlag,
  globalFlags,
  isOn,
  profileFlag,
  providerFlags,
  type GlobalFlags,
} from '../flags/flags.ts';
import { tellLocal } from '../output/clock.ts';
import { askFirst, type Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';

type Exit = (code: ExitCode) => void;

/** None has a variable, because each pause is a new decision. */
interface PauseFlags extends GlobalFlags {
  model?: string[];
  reason?: string;
}

/** `pause`, `resume` and `cancel`: an operator's commands for one batch, or for all. */
export function pauseCommands(program: Command, io: Io, exit: Exit): void {
  const act =
    (verb: Verb) =>
    async (name: string | undefined, flags: PauseFlags): Promise<void> =>
      exit(await onBatch(name, flags, io, verb));

  const pauseIt = program
    .command('pause [batch]')
    .description('stop sending rows of a batch, or of all; open calls finish')
    .option('--reason <text>', 'why; `status` shows it')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch pause text
  $ vidbatch pause
  $ vidbatch pause --model viduq3p-540p --reason "faces are blurred"
  $ vidbatch pause text --model viduq3p-540p

With --model, rows of other models are still sent. A pause of a model and a pause of its batch are two pauses, and each is resumed
by itself. A row that a worker claimed before the pause may still be sent.`,
    )
    .action(act(pauseBatch));
  const resumeIt = program
    .command('resume [batch]')
    .description(
      'continue a batch that was paused, or that its canary or its share of failures stopped; without a batch: end the pause of everything, and try each halted provider with one row',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch resume text
  $ vidbatch resume
  $ vidbatch resume --model viduq3p-540p

The answer says what still waits, and why: a pause of a model stays until it is resumed with --model.`,
    )
    .action(act(resumeBatch));
  for (const command of [pauseIt, resumeIt]) {
    command.option('--model <model>', 'only rows of this model; may be repeated', collect);
  }
  const cancelIt = program
    .command('cancel [batch]')
    .description('cancel the pending rows of a batch, or of all')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vidbatch cancel text\n  $ vidbatch cancel text --yes\n  $ vidbatch cancel --yes',
    )
    .action(act(cancelBatch));
  consentFlag(cancelIt, '--yes', 'do not ask; needed without a terminal');
  for (const command of [pauseIt, resumeIt, cancelIt]) globalFlags(command);
  profileFlag(pauseIt);
  providerFlags(resumeIt);
}

interface Result {
  text: string;
  json: Record<string, unknown>;
}

type Verb = (app: LedgerApp, batch: Batch | undefined, flags: PauseFlags, io: Io) => Promise<Result>;

async function onBatch(name: string | undefined, flags: PauseFlags, io: Io, verb: Verb): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async (app) => {
    const batch = name === undefined ? undefined : await requireBatch(app.db, name);
    const { text, json } = await verb(app, batch, flags, io);
    io.out(isOn(flags.json) ? JSON.stringify(json) : text);
    return EXIT.ok;
  });
}

async function pauseBatch({ db }: LedgerApp, batch: Batch | undefined, flags: PauseFlags): Promise<Result> {
  const scope = { batch, models: flags.model ?? [] };
  const known = configuredModels(configOf(flags));
  await pauseRows(db, operator(), scope, { why: flags.reason, known });
  return {
    text: `${formatScope(scope)}: paused; open calls finish`,
    json: { batch: batch?.name ?? null, models: scope.models, paused: true },
  };
}

async function resumeBatch({ db }: LedgerApp, batch: Batch | undefined, flags: PauseFlags): Promise<Result> {
  const scope = { batch, models: flags.model ?? [] };
  const tell = isOn(flags.json) ? undefined : tellLocal(Date.now());
  const resumed = await resumeRows(db, operator(), scope, configOf(flags).baseUrl, tell);
  const { held, trying, waiting, others } = resumed;
  return {
    text: formatResumed(scope, resumed).join('\n'),
    json: {
      batch: batch?.name ?? null,
      models: scope.models.filter((model) => !others.includes(model)),
      paused: false,
      resumed: held,
      trying: trying.length > 0,
      origins: trying,
      waiting: waiting.map(({ name, gate, reason }) => ({ batch: name, gate, reason })),
    },
  };
}

async function cancelBatch(
  { db }: LedgerApp,
  batch: Batch | undefined,
  flags: PauseFlags,
  io: Io,
): Promise<Result> {
  const batches = batch === undefined ? await listBatches(db) : [batch];
  const { waiting, inFlight } = await stakeOf(db, { batchId: batch?.id ?? null, models: [] });
  const rows =
    waiting.rows === 0
      ? 'no row is pending'
      : `${plural(waiting.rows, 'pending row')}, which would cost ${formatMost(waiting.cost)}`;
  const flying = inFlight.rows === 0 ? '' : `; ${formatCount(inFlight.rows)} in flight finish`;
  const of = batch?.name ?? `all ${plural(batches.length, 'batch', 'batches')}`;
  await askFirst(io, isOn(flags.yes), `${of}: ${rows}${flying}`, 'Cancel?');
  const cancelled = await cancelRows(db, operator(), batches);
  return {
    text: `${batch?.name ?? 'everything'}: ${plural(cancelled, 'row')} cancelled; rows in flight finish`,
    json: { batch: batch?.name ?? null, cancelled },
  };
}
