import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { operator } from '../core/operator.ts';
import { quoted } from '../core/text.ts';
import { formatCount, plural } from '../core/units.ts';
import { countOpen, listBatches, requireBatch } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { cancelBy, pauseBy, resumeBy } from '../ledger/operator/pause.ts';
import { readGates } from '../operate/gates.ts';
import type { Gate } from '../operate/gates.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, consentFlag, globalFlags, isOn, providerFlags } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { confirm } from './io.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';

type Exit = (code: ExitCode) => void;

/** `pause`, `resume` and `cancel`: an operator's commands for one batch, or for all. */
export function pauseCommands(program: Command, io: Io, exit: Exit): void {
  const act =
    (verb: (app: LedgerApp, batch: Batch | undefined, flags: GlobalFlags, io: Io) => Promise<Result>) =>
    async (name: string | undefined, flags: GlobalFlags): Promise<void> =>
      exit(await onBatch(name, flags, io, verb));

  const pauseIt = program
    .command('pause [batch]')
    .description('stop sending rows of a batch, or of all; open calls finish')
    .addHelpText('after', '\nExamples:\n  $ vidbatch pause text\n  $ vidbatch pause')
    .action(act(pauseBatch));
  const resumeIt = program
    .command('resume [batch]')
    .description(
      'continue a batch that was paused, or that its canary or its share of failures stopped; without a batch: end the pause of everything, and try each halted provider with one row',
    )
    .addHelpText('after', '\nExamples:\n  $ vidbatch resume text\n  $ vidbatch resume')
    .action(act(resumeBatch));
  const cancelIt = program
    .command('cancel [batch]')
    .description('cancel the pending rows of a batch, or of all')
    .addHelpText('after', '\nExamples:\n  $ vidbatch cancel text\n  $ vidbatch cancel --yes')
    .action(act(cancelBatch));
  consentFlag(cancelIt, '--yes', 'do not ask; needed without a terminal when no batch is named');
  for (const command of [pauseIt, resumeIt, cancelIt]) globalFlags(command);
  providerFlags(resumeIt);
}

interface Result {
  text: string;
  json: Record<string, unknown>;
}

async function onBatch(
  name: string | undefined,
  flags: GlobalFlags,
  io: Io,
  verb: (app: LedgerApp, batch: Batch | undefined, flags: GlobalFlags, io: Io) => Promise<Result>,
): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async (app) => {
    const batch = name === undefined ? undefined : await requireBatch(app.db, name);
    const { text, json } = await verb(app, batch, flags, io);
    io.out(isOn(flags.json) ? JSON.stringify(json) : text);
    return EXIT.ok;
  });
}

async function pauseBatch({ db }: LedgerApp, batch: Batch | undefined): Promise<Result> {
  if (batch?.state === 'cancelled') {
    throw usageError('CANCELLED', `batch ${batch.name} was cancelled: there is nothing to pause`);
  }
  await pauseBy(db, operator(), batch && [batch]);
  return {
    text: `${batch?.name ?? 'everything'}: paused; open calls finish`,
    json: { batch: batch?.name ?? null, paused: true },
  };
}

async function resumeBatch({ db }: LedgerApp, batch: Batch | undefined, flags: GlobalFlags): Promise<Result> {
  if (batch?.state === 'cancelled') {
    throw usageError(
      'CANCELLED',
      `batch ${batch.name} was cancelled`,
      `\`vidbatch retry ${quoted(batch.name)}\` makes its rows pending again.`,
    );
  }
  const { held, trying } = await resumeBy(db, operator(), batch && [batch]);
  const left = await readStillWaiting(db, batch, configOf(flags).baseUrl);
  const lines = [
    held
      ? `${batch?.name ?? 'everything'}: resumed`
      : batch === undefined
        ? 'there was no pause of all batches'
        : `${batch.name}: was not paused`,
    ...trying.map(
      (origin) => `${origin} was halted: one row is tried, and the others follow when it is accepted`,
    ),
    ...left.slice(0, MOST_WAITING).map(({ name, reason }) => `still waiting: ${name}: ${reason}`),
  ];
  const more = left.length - MOST_WAITING;
  if (more > 0) lines.push(`still waiting: ${formatCount(more)} more; \`vidbatch status\` shows why`);
  return {
    text: lines.join('\n'),
    json: {
      batch: batch?.name ?? null,
      paused: false,
      resumed: held,
      trying: trying.length > 0,
      origins: trying,
      waiting: left.map(({ name, gate, reason }) => ({ batch: name, gate, reason })),
    },
  };
}

const MOST_WAITING = 10;

/** The gates that stay shut for rows of this batch, or of all. */
async function readStillWaiting(
  db: LedgerApp['db'],
  batch: Batch | undefined,
  origin: string | undefined,
): Promise<(Gate & { name: string })[]> {
  // The state of a batch may have changed just now.
  const batches = (await listBatches(db)).filter(({ id }) => batch === undefined || id === batch.id);
  const left: (Gate & { name: string })[] = [];
  for (const one of batches) {
    if (one.state === 'cancelled' || (await countOpen(db, [one.id])) === 0) continue;
    const gates = await readGates(db, one, origin);
    left.push(...gates.filter(({ gate }) => gate !== 'trying').map((gate) => ({ ...gate, name: one.name })));
  }
  return left;
}

async function cancelBatch(
  { db }: LedgerApp,
  batch: Batch | undefined,
  flags: GlobalFlags,
  io: Io,
): Promise<Result> {
  const batches = batch === undefined ? await listBatches(db) : [batch];
  if (batch === undefined && !isOn(flags.yes)) {
    await confirm(
      io,
      `Cancel the pending rows of ${batches.length === 1 ? 'the one batch' : `all ${formatCount(batches.length)} batches`}?`,
    );
  }
  let cancelled = 0;
  for (const one of batches) {
    cancelled += await cancelBy(db, operator(), one);
  }
  return {
    text: `${batch?.name ?? 'everything'}: ${plural(cancelled, 'row')} cancelled; rows in flight finish`,
    json: { batch: batch?.name ?? null, cancelled },
  };
}
