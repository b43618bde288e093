import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../worker/app.ts';
import type { App } from '../worker/app.ts';
import { requireProvider } from '../core/config.ts';
import { isOverspent } from '../batch/budget.ts';
import { EXIT } from '../core/errors.ts';
import { columnsJson } from '../manifest/understanding.ts';
import { countOpen, findBatch } from '../ledger/batch.ts';
import { readPurse } from '../ledger/budget.ts';
import { workLeft } from '../ledger/send/left.ts';
import type { Batch } from '../ledger/batch.ts';
import { createLog } from '../core/log.ts';
import type { Logger } from '../core/log.ts';
import { readGates, summarise } from '../operate/overview.ts';
import { patiently } from '../database/patience.ts';
import { count } from '../core/format.ts';
import { exitCodeOf, receipt } from '../operate/summary.ts';
import type { Summary } from '../operate/summary.ts';
import { consent } from './consent.ts';
import { failedRows } from './failed-rows.ts';
import {
  foreignFlag,
  configOf,
  globalFlags,
  isOn,
  providerFlags,
  flag,
  tellKeyApart,
  workFlags,
  workLimits,
} from './io.ts';
import type { Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';
import type { Interrupt } from './interrupt.ts';
import { logAbove } from './log-line.ts';
import { manifestFlags, produceOptions } from './manifest-flags.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import { bar, Progress, Speed } from './progress.ts';
import {
  closeSoon,
  endSending,
  SHUTDOWN_HELP,
  shutdownFlag,
  shutdownMs,
  startUnlessStopped,
} from './shutdown.ts';
import type { ShutdownFlags } from './shutdown.ts';
import { checkNames, describeProduced, produceAll } from './submit.ts';
import { forecastOptions, offPeakWindow } from './window-flags.ts';
import { quoted } from '../core/shell-word.ts';
import { tellFound } from '../worker/journal/replay-log.ts';
import { startSending, takeBack } from '../worker/sending.ts';
import type { Sending } from '../worker/sending.ts';
import { within } from '../core/within.ts';

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
  flag(command, '--yes', 'on a terminal, do not show the plan and ask');
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
  if (!asks) tellKeyApart(config, io);
  await checkNames(manifests, options);
  const progress = new Progress(io);
  const log = createLog(flags.logLevel ?? (io.interactive ? 'warn' : 'info'), logAbove(progress, io));
  const app = await startUnlessStopped(openApp(config, 'worker', log), interrupt);
  if (app === undefined) return await endedEarly(interrupt, io);
  try {
    tellFound(app, log);
    await takeBack(app, config, limits, log);
    const agreed =
      isOn(flags.yes) || isOn(flags.json)
        ? undefined
        : await Promise.race([
            consent(app, config, manifests, { options, asked }, io),
            interrupt.happened.then(() => undefined),
          ]);
    if (interrupt.signal.aborted) return await endedEarly(interrupt, io);
    const produced = await produceAll(app, config, manifests, options, io, agreed);
    // Who was asked has read of the columns.
    const columnsTold = agreed !== undefined && agreed.size > 0;
    if (!isOn(flags.json)) for (const one of produced) io.out(describeProduced(one, columnsTold));
    const batches = produced.map((one) => one.batch);
    const ids = batches.map((batch) => batch.id);
    let stopped = false;
    let left = 0;
    const starting =
      !interrupt.signal.aborted && (await countOpen(app.db, ids)) > 0
        ? startSending(app, config, limits, { batches: ids, ...window, log })
        : undefined;
    const sending = starting && (await startUnlessStopped(starting, interrupt));
    if (sending !== undefined) {
      try {
        const watched = { batches, sending, wait: flags.wait !== false };
        stopped = await Promise.race([
          watch(app, watched, progress, interrupt, log),
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
    if (io.interactive && !isOn(flags.json)) tellNext(summaries, io);
    if (left > 0) return EXIT.uncertainRows;
    if (interrupt.signal.aborted) return await interrupt.happened;
    return exitCodeOf(summaries, stopped);
  } finally {
    await closeSoon(app);
  }
}

/** What a person does after the receipt, once there is a task to follow. */
function tellNext(summaries: readonly Summary[], io: Io): void {
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
  return `interrupted: ${summary.batch} is submitted (${count(rows)} ${rows === 1 ? 'row' : 'rows'}), and this command sent nothing; the same command goes on`;
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
    summaries.push(await patiently('receipt', log, read, signal));
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

/** Waits for the end of the batches by the ledger; true when something stopped them before. */
async function watch(
  app: App,
  { batches, sending, wait }: { batches: readonly Batch[]; sending: Sending; wait: boolean },
  progress: Progress,
  interrupt: Interrupt,
  log: Logger,
): Promise<boolean> {
  const ids = batches.map((batch) => batch.id);
  const { signal } = interrupt;
  const open = (): Promise<number> => patiently('rows left', log, () => countOpen(app.db, ids), signal);
  const total = await open();
  const beyond = beyondBudgets(app, ids);
  const speed = new Speed();
  let countedAt = -Infinity;
  let countCost = 0;
  let told = false;
  while (!signal.aborted) {
    const left = await patiently('work left', log, () => workLeft(app.db, sending.origin, ids), signal);
    if (left === 'nothing') return false;
    if (left === 'halted' || left === 'expired' || left === 'spent') return true;
    const waits = left === 'held' || left === 'later';
    if (waits && !wait) return true;
    if (left === 'later' && !told) {
      told = true;
      log.info({ event: 'later', until: await waitingFor(app, batches) }, 'what is left waits');
    } else if (left === 'work') told = false;
    // Counting a million open rows takes a while: not more than a tenth of the time.
    if (performance.now() - countedAt > (total < 20_000 ? 250 : Math.max(500, 10 * countCost))) {
      const before = performance.now();
      const stillOpen = await open();
      const unpaid = await patiently('budgets', log, beyond, signal);
      const done = total - stillOpen;
      countedAt = performance.now();
      countCost = countedAt - before;
      const pace = bar({ done, total: Math.max(done, total - unpaid), rate: speed.measure(done) });
      progress.show(
        `${sending.worker.isFull() && left === 'work' ? 'waiting for tasks to end  ' : ''}${left === 'held' ? 'paused by an operator  ' : ''}${left === 'later' ? `${await waitingFor(app, batches)}  ` : ''}${pace}`,
      );
    }
    await sleep(waits ? 500 : 100, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

/**
 * Rows that the budgets of the batches do not pay for. They become more when dear rows go first: counted again every few
 * seconds, and less often where that takes long.
 */
function beyondBudgets(app: App, ids: readonly number[]): () => Promise<number> {
  let rows = 0;
  let nextAt = -Infinity;
  return async () => {
    const before = performance.now();
    if (before < nextAt) return rows;
    let counted = 0;
    for (const id of ids) counted += (await readPurse(app.db, id))?.beyond ?? 0;
    rows = counted;
    nextAt = performance.now() + Math.max(2000, 20 * (performance.now() - before));
    return rows;
  };
}

/** The first of the reasons for which rows wait. */
async function waitingFor(app: App, batches: readonly Batch[]): Promise<string> {
  for (const batch of batches) {
    const gate = (await readGates(app.db, batch)).find((one) => one.opensAt !== undefined);
    if (gate !== undefined) return gate.reason;
  }
  return 'waiting';
}

function tell(summary: Summary, hints: readonly string[], flags: RunFlags, io: Io, named: boolean): void {
  if (isOn(flags.json)) {
    io.out(JSON.stringify(summary));
    return;
  }
  for (const gate of summary.gates) io.err(`${summary.batch}: ${gate.gate}: ${gate.reason}`);
  if (summary.counts.uncertain > 0) {
    io.err(
      `${summary.batch}: ${summary.counts.uncertain === 1 ? '1 uncertain row may have been accepted and is' : `${count(summary.counts.uncertain)} uncertain rows may have been accepted and are`} not sent again; \`vidbatch uncertain ${quoted(summary.batch)}\` shows what is known of them`,
    );
  }
  if (summary.budget !== null && isOverspent(summary.budget)) {
    io.err(`${summary.batch}: MORE WAS SPENT THAN THE BUDGET: ${summary.budget.told}`);
  }
  for (const hint of hints) io.err(`${summary.batch}: ${hint}`);
  io.out(named ? `${summary.batch}: ${receipt(summary)}` : receipt(summary));
}
