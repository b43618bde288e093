import type { Command } from 'commander';
import { isOverspent } from '../batch/budget.ts';
import { requireProvider } from '../core/config.ts';
import { EXIT } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import type { Logger } from '../core/log.ts';
import { quoted } from '../core/text.ts';
import { within } from '../core/within.ts';
import { untilLedgerAnswers } from '../database/outage.ts';
import { countOpen, findBatch } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { columnsJson } from '../manifest/columns.ts';
import { summarise, exitCodeOf, receipt } from '../operate/summary.ts';
import type { Summary } from '../operate/summary.ts';
import { openApp } from '../worker/app.ts';
import type { App } from '../worker/app.ts';
import { recall } from '../worker/recall.ts';
import { startSending } from '../worker/sending.ts';
import {
  foreignFlag,
  configOf,
  consentFlag,
  globalFlags,
  isOn,
  logOf,
  providerFlags,
  flag,
  warnOfKeyApart,
  workFlags,
  workLimits,
} from './flags.ts';
import {
  importManifests,
  importConfirmed,
  importOptions,
  openNamed,
  formatProduced,
} from './import-manifests.ts';
import type { Io } from './io.ts';
import { manifestFlags, produceOptions } from './manifest-flags.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import { failedRows } from './run-receipt.ts';
import { waitForBatches } from './run-watch.ts';
import { confirmPlan } from './show-plan.ts';
import {
  closeSoon,
  endSending,
  SHUTDOWN_HELP,
  shutdownFlag,
  shutdownMs,
  startUnlessStopped,
} from './shutdown.ts';
import type { ShutdownFlags } from './shutdown.ts';
import { onInterrupt } from './signals.ts';
import type { Interrupt } from './signals.ts';
import { logAbove, Progress } from './terminal.ts';
import { forecastOptions, offPeakWindow } from './window-flags.ts';

/** Counting ten million rows takes about as long. */
const RECEIPT_MS = 10_000;

/** A receipt, and what to do about rows that failed. */
type Told = Summary & { hints: readonly string[] };

type RunFlags = ManifestFlags & ShutdownFlags & { wait?: boolean };

export function runCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('run <manifest...>')
    .description('submit manifests, work on these batches only, wait, and print a receipt')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch run jobs/text.csv
  $ vidbatch run jobs/storyboard.json jobs/reference.json --concurrency 16 --rate 10/s
  $ vidbatch run jobs/text.csv --prices jobs/prices.example.json --budget 120CNY
  $ vidbatch run night.csv --offpeak-window "23:00-07:00 Asia/Shanghai"
  $ vidbatch run jobs/text.csv        again: sends what is new or was not sent, nothing twice
${SHUTDOWN_HELP}`,
    )
    .action(async (manifests: string[], flags: RunFlags) => exit(await run(manifests, flags, io)));
  foreignFlag(shutdownFlag(workFlags(manifestFlags(providerFlags(globalFlags(command))))));
  consentFlag(command, '--yes', 'on a terminal, do not show the plan and ask');
  flag(
    command,
    '--no-wait',
    'end with exit code 6 when an operator paused the batch or its window is shut, rather than wait',
  );
}

async function run(manifests: string[], flags: RunFlags, io: Io): Promise<number> {
  const interrupt = onInterrupt(io.quit);
  try {
    return await runUntil(interrupt, manifests, flags, io);
  } finally {
    interrupt.dispose();
  }
}

async function runUntil(interrupt: Interrupt, manifests: string[], flags: RunFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = workLimits(flags, config.models);
  const patienceMs = shutdownMs(flags, limits);
  const window = offPeakWindow(flags);
  const options = await produceOptions(flags, manifests);
  const asked = {
    ...forecastOptions(flags),
    ...(options.window === undefined ? {} : { batch: options.window }),
  };
  requireProvider(config);
  const asks = io.interactive && !isOn(flags.yes) && !isOn(flags.json) && !manifests.includes('-');
  if (!asks) warnOfKeyApart(config, io);
  const named = await openNamed(manifests, options);
  const importing = importOptions(options, config, io);
  const progress = new Progress(io);
  const log = logOf(flags, io.interactive ? 'warn' : 'info', logAbove(progress, io));
  const app = await startUnlessStopped(openApp(config, 'worker', log), interrupt);
  if (app === undefined) return await endedEarly(interrupt, io);
  try {
    await Promise.race([recall(app, config, limits, log), interrupt.happened]);
    if (interrupt.signal.aborted) return await endedEarly(interrupt, io);
    const produced = asks
      ? await importConfirmed(app.db, named, importing, io, {
          agree: (candidates) => confirmPlan(app.db, config, candidates, { options: importing, asked }, io),
          interrupt,
        })
      : await importManifests(app.db, named, importing, io);
    if (produced === undefined) return await endedEarly(interrupt, io);
    // Who was asked has read of the columns.
    if (!isOn(flags.json)) for (const one of produced) io.out(formatProduced(one, asks));
    const batches = produced.map((one) => one.batch);
    const ids = batches.map((batch) => batch.id);
    let stopped = false;
    let left = 0;
    const open = interrupt.signal.aborted ? 0 : await countOpen(app.db, ids);
    const starting =
      open > 0 ? startSending(app, config, limits, { batches: ids, ...window, log }) : undefined;
    const sending = starting && (await startUnlessStopped(starting, interrupt));
    if (sending !== undefined) {
      try {
        const watched = { batches, open, sending, wait: flags.wait !== false };
        stopped = await Promise.race([
          waitForBatches(app, watched, progress, interrupt, log),
          interrupt.happened.then(() => false),
        ]);
      } finally {
        const again = interrupt.signal.aborted
          ? '; Ctrl-C again ends at once, and may leave rows uncertain'
          : '';
        const tellWait = (line: string): void => progress.above(`${line}${again}\n`);
        left = await endSending(sending, patienceMs, log, io.interactive ? tellWait : undefined);
        progress.clear();
      }
    }
    const read = readSummaries(app, batches, config.baseUrl, log, interrupt.signal);
    const summaries = interrupt.signal.aborted ? await readSoon(read, io) : await read;
    if (interrupt.signal.aborted && sending === undefined)
      for (const summary of summaries) io.err(broughtIn(summary));
    else if (interrupt.signal.aborted && io.interactive && summaries.some(goesOn))
      io.err('interrupted: the same command goes on with what is pending');
    for (const [n, { hints, ...summary }] of summaries.entries()) {
      const columns = produced[n]?.columns;
      const told = columns === undefined ? summary : { ...summary, ...columnsJson(columns) };
      tell(told, hints, flags, io, batches.length > 1);
    }
    if (io.interactive && !isOn(flags.json)) printNextStep(summaries, io);
    if (left > 0) return EXIT.uncertainRows;
    if (interrupt.signal.aborted) return await interrupt.happened;
    return exitCodeOf(summaries, stopped);
  } finally {
    await closeSoon(app);
  }
}

/** What a person does after the receipt, once there is a task to follow. */
function printNextStep(summaries: readonly Summary[], io: Io): void {
  const names = summaries.filter(({ taskIds }) => taskIds > 0).map(({ batch }) => quoted(batch));
  const [name] = names;
  if (name === undefined) return;
  const watch = names.length === 1 ? `vidbatch reconcile ${name} --watch` : 'vidbatch reconcile --watch';
  io.err(`next: \`${watch}\` waits for the videos, \`vidbatch download ${name}\` fetches them`);
}

/** Told to stop before its manifests were looked at. */
async function endedEarly({ happened }: Interrupt, io: Io): Promise<number> {
  io.err('interrupted: no manifest was submitted, and nothing was sent; the same command starts again');
  return happened;
}

/** Told to stop with its manifests in the ledger, and before it sent a row. */
function broughtIn(summary: Summary): string {
  const rows = Object.values(summary.counts).reduce((sum, n) => sum + n, 0);
  return `interrupted: ${summary.batch} is submitted (${formatCount(rows)} ${rows === 1 ? 'row' : 'rows'}), and this command sent nothing; the same command goes on`;
}

/** Its rows would be sent, if somebody went on: no gate keeps them. */
function goesOn({ counts, gates }: Summary): boolean {
  return counts.pending > 0 && gates.length === 0;
}

async function readSummaries(
  app: App,
  batches: readonly Batch[],
  origin: string | undefined,
  log: Logger,
  signal: AbortSignal,
): Promise<Told[]> {
  const summaries: Told[] = [];
  for (const batch of batches) {
    const read = async (): Promise<Told> => {
      // It may have been stopped, paused or cancelled since it was submitted.
      const now = (await findBatch(app.db, batch.name)) ?? batch;
      const summary = await summarise(app.db, now, origin);
      return { ...summary, hints: await failedRows(app.db, now, summary) };
    };
    summaries.push(await untilLedgerAnswers('receipt', log, read, signal));
  }
  return summaries;
}

/** Whoever was told to stop does not wait for the receipt of a ledger that is away. */
async function readSoon(read: Promise<Told[]>, io: Io): Promise<Told[]> {
  const none = (): Told[] => {
    io.err('no receipt: the ledger does not answer; `vidbatch status` shows it when it does');
    return [];
  };
  return within(RECEIPT_MS, read.catch(none), none);
}

function tell(summary: Summary, hints: readonly string[], flags: RunFlags, io: Io, named: boolean): void {
  if (isOn(flags.json)) {
    io.out(JSON.stringify(summary));
    return;
  }
  for (const gate of summary.gates) io.err(`${summary.batch}: ${gate.gate}: ${gate.reason}`);
  if (summary.counts.uncertain > 0) {
    io.err(
      `${summary.batch}: ${summary.counts.uncertain === 1 ? '1 uncertain row may have been accepted and is' : `${formatCount(summary.counts.uncertain)} uncertain rows may have been accepted and are`} not sent again; \`vidbatch uncertain ${quoted(summary.batch)}\` shows what is known of them`,
    );
  }
  if (summary.budget !== null && isOverspent(summary.budget)) {
    io.err(`${summary.batch}: MORE WAS SPENT THAN THE BUDGET: ${summary.budget.told}`);
  }
  for (const hint of hints) io.err(`${summary.batch}: ${hint}`);
  io.out(named ? `${summary.batch}: ${receipt(summary)}` : receipt(summary));
}
