import type { Command } from 'commander';
import type { Produced } from '../../batch/producer.ts';
import { EXIT } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { countOpen } from '../../ledger/batches.ts';
import { startNotifier, type Notifier } from '../../operate/notify/notifier.ts';
import { exitCodeOf } from '../../operate/summary.ts';
import { unreadTeller } from '../../operate/unread.ts';
import { openApp } from '../../worker/app.ts';
import { recall } from '../../worker/recall.ts';
import { startSending } from '../../worker/sending.ts';
import { tellLocal } from '../output/clock.ts';
import {
  configOf,
  consentFlag,
  flag,
  foreignFlag,
  globalFlags,
  isOn,
  providerFlags,
  warnOfKeyApart,
  workFlags,
  workLimits,
} from '../flags/flags.ts';
import { formatProduced, importConfirmed, importManifests, openNamed } from './import-manifests.ts';
import type { Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { manifestFlags, produceOptions, type ManifestFlags } from '../flags/manifest.ts';
import { notifyFlag, notifyTargets, type NotifyFlags } from '../flags/notify.ts';
import { printInterrupted, printReceipts, readReceipts } from './run-receipt.ts';
import { waitForBatches } from './run-watch.ts';
import { confirmPlan } from './show-plan.ts';
import {
  closeSoon,
  endSending,
  SHUTDOWN_HELP,
  shutdownFlag,
  shutdownMs,
  startUnlessStopped,
  type ShutdownFlags,
} from '../shutdown.ts';
import { onInterrupt, type Interrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';
import { forecastOptions, offPeakWindow } from '../flags/time.ts';
import { requireTarget } from '../../provider/target.ts';

type RunFlags = ManifestFlags & ShutdownFlags & NotifyFlags & { wait?: boolean };

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
  $ vidbatch run shots.csv --variants 4      four videos of each row, each paid
  $ vidbatch run night.csv --offpeak-window "23:00-07:00 Asia/Shanghai"
  $ vidbatch run jobs/text.csv        again: sends what is new or was not sent, nothing twice
${SHUTDOWN_HELP}`,
    )
    .action(async (manifests: string[], flags: RunFlags) => {
      const interrupt = onInterrupt(io.quit);
      try {
        exit(await run(interrupt, manifests, flags, io));
      } finally {
        interrupt.dispose();
      }
    });
  foreignFlag(notifyFlag(shutdownFlag(workFlags(manifestFlags(providerFlags(globalFlags(command)))))));
  consentFlag(command, '--yes', 'on a terminal, do not show the plan and ask');
  flag(
    command,
    '--no-wait',
    'end with exit code 6 when an operator paused the batch or its window is shut, rather than wait',
  );
}

async function run(interrupt: Interrupt, manifests: string[], flags: RunFlags, io: Io): Promise<number> {
  const { signal, happened } = interrupt;
  const config = configOf(flags);
  const limits = workLimits(flags, config);
  const timeoutMs = shutdownMs(flags, limits);
  const window = offPeakWindow(flags);
  const targets = notifyTargets(flags);
  const options = await produceOptions(flags, manifests, config, io);
  const assumed = { ...forecastOptions(flags), ...defined({ batch: options.window }) };
  requireTarget(config);
  const asks = io.interactive && !isOn(flags.yes) && !isOn(flags.json) && !manifests.includes('-');
  if (!asks) warnOfKeyApart(config, io);
  const named = await openNamed(manifests, options);
  const progress = new Progress(io);
  const log = logOf(flags, io.interactive ? 'warn' : 'info', { destination: progress });

  const endEarly = async (): Promise<number> => {
    io.err('interrupted: no manifest was submitted, and nothing was sent; the same command starts again');
    return happened;
  };
  const app = await startUnlessStopped(openApp(config, 'worker', log), interrupt);
  if (app === undefined) return endEarly();
  let notifier: Notifier | undefined;
  try {
    await Promise.race([recall(app, config, limits, log), happened]);
    if (signal.aborted) return await endEarly();
    const produced: Produced[] | undefined = asks
      ? await importConfirmed(app.db, named, options, io, {
          agree: (candidates) => confirmPlan(app.db, config, candidates, { options, assumed }, io),
          interrupt,
        })
      : await importManifests(app.db, named, options, io);
    if (produced === undefined) return await endEarly();
    // A person who was asked has seen the columns.
    if (!isOn(flags.json)) for (const one of produced) io.out(formatProduced(one, asks));

    const batches = produced.map(({ batch }) => batch);
    const ids = batches.map(({ id }) => id);
    const print = (line: string): void => progress.above(line);
    let stopped = false;
    let left = 0;
    const open = signal.aborted ? 0 : await countOpen(app.db, ids);
    notifier = await startNotifier(app, targets, { apiKey: config.apiKey, log });
    const starting =
      open > 0
        ? startSending(app, config, limits, {
            batches: ids,
            ...window,
            log,
            ...unreadTeller(app.db, batches, print),
          })
        : undefined;
    const sending = starting && (await startUnlessStopped(starting, interrupt));
    if (sending !== undefined) {
      try {
        const watched = { batches, open, sending, wait: flags.wait !== false };
        stopped = await Promise.race([
          waitForBatches(app, watched, progress, interrupt, log),
          happened.then(() => false),
        ]);
      } finally {
        const again = signal.aborted ? '; Ctrl-C again ends at once, and may leave rows uncertain' : '';
        const printWait = (line: string): void => progress.above(`${line}${again}`);
        left = await endSending(sending, timeoutMs, log, io.interactive ? printWait : undefined);
        progress.clear();
      }
    }

    const tell = isOn(flags.json) ? undefined : tellLocal(Date.now());
    const receipts = await readReceipts({ app, log, signal, tell }, produced, config.baseUrl, io);
    if (signal.aborted) printInterrupted(receipts, sending !== undefined, io);
    printReceipts(receipts, isOn(flags.json), io);
    if (left > 0) return EXIT.uncertainRows;
    return signal.aborted ? await happened : exitCodeOf(receipts, stopped);
  } finally {
    await notifier?.stop();
    await closeSoon(app);
  }
}
