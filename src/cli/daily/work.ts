import type { Command } from 'commander';
import { EXIT } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { TellTime } from '../../core/time/tell-time.ts';
import type { Queryable } from '../../database/database.ts';
import { untilLedgerAnswers } from '../../database/outage.ts';
import { listWaitingBatches } from '../../ledger/batches.ts';
import { readGates } from '../../operate/gates.ts';
import { parseAddress } from '../../operate/monitor/http.ts';
import { startMonitor, type Monitor } from '../../operate/monitor/monitor.ts';
import { startNotifier, type Notifier } from '../../operate/notify/notifier.ts';
import { startSchedules } from '../../schedule/schedule.ts';
import { openApp } from '../../worker/app.ts';
import { startSending, untilDone } from '../../worker/sending.ts';
import type { Verdict } from '../../worker/submit.ts';
import {
  foreignFlag,
  configOf,
  flag,
  globalFlags,
  isOn,
  providerFlags,
  warnOfKeyApart,
  workFlags,
  workLimits,
} from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { logOf, serviceFormat } from '../log.ts';
import { tellLocal } from '../output/clock.ts';
import { notifyFlag, notifyTargets, type NotifyFlags } from '../flags/notify.ts';
import {
  closeSoon,
  endSchedules,
  endSending,
  SHUTDOWN_HELP,
  shutdownFlag,
  shutdownMs,
  startUnlessStopped,
  type ShutdownFlags,
} from '../shutdown.ts';
import { onInterrupt } from '../signals.ts';
import { offPeakFlag, offPeakWindow, type OffPeakFlags } from '../flags/time.ts';
import { requireTarget } from '../../provider/target.ts';

interface WorkCommandFlags extends ShutdownFlags, OffPeakFlags, NotifyFlags {
  drain?: boolean;
  http?: string;
}

export function workCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('work')
    .description('feed the queue, send rows and poll their tasks, until SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch work --concurrency 16 --rate 10/s
  $ vidbatch work --rate auto --max-in-flight 20 --max-in-flight 5@viduq3p-1080p
  $ vidbatch work --offpeak-window "23:00-07:00 Asia/Shanghai"
  $ vidbatch work --drain                     rows that wait for their window are left
  $ vidbatch work --http :9090
  $ vidbatch work --notify https://hooks.slack.com/services/…

With --http: /healthz is 200 while the process does its work, also while Redis or Postgres are away; /readyz is 200 when
ledger and queue answer and the worker is not stopping, else 503 with the reasons; /metrics is for Prometheus. A host
before the port is the address to listen on, \`[::1]:9090\` an IPv6 address; without a host, it listens on every
address of this machine. The answers contain no secret.
${SHUTDOWN_HELP}`,
    )
    .action(async (flags: WorkCommandFlags) => exit(await work(flags, io)));
  foreignFlag(notifyFlag(offPeakFlag(shutdownFlag(workFlags(providerFlags(globalFlags(command)))))));
  flag(command, '--drain', 'until nothing is eligible, then end');
  flag(command, '--http <host:port>', 'answer probes and serve metrics there (default: nowhere)');
}

async function work(flags: WorkCommandFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = workLimits(flags, config);
  const timeoutMs = shutdownMs(flags, limits);
  const address = flags.http === undefined ? undefined : parseAddress('--http', flags.http);
  const window = offPeakWindow(flags);
  const targets = notifyTargets(flags);
  requireTarget(config);
  warnOfKeyApart(config, io);
  const format = serviceFormat();
  const log = logOf(flags, 'info', { format });
  // A log in text is for a person, and its lines begin with local time.
  const tell = (flags.logFormat ?? format) === 'text' ? tellLocal : undefined;
  const interrupt = onInterrupt(io.quit);
  const app = await startUnlessStopped(openApp(config, 'worker', log), interrupt);
  if (app === undefined) {
    interrupt.dispose();
    return EXIT.ok;
  }
  let atRisk = false;
  let halted = false;
  let monitor: Monitor | undefined;
  let notifier: Notifier | undefined;
  try {
    if (address !== undefined) {
      monitor = await startMonitor(app, address);
      log.info({ event: 'listening', url: monitor.url }, 'probes and metrics');
    }
    interrupt.signal.addEventListener('abort', () => monitor?.drain());
    notifier = await startNotifier(app, targets, { apiKey: config.apiKey, log });
    const starting = startSending(app, config, limits, {
      batches: null,
      ...window,
      log,
      onVerdict: (verdict) => {
        atRisk ||= isRisk(verdict);
        monitor?.metrics.onVerdict(verdict);
      },
      ...(monitor === undefined
        ? {}
        : { onExchange: monitor.metrics.onExchange, onPolled: monitor.metrics.onPolled }),
    });
    const running = await startUnlessStopped(starting, interrupt);
    if (running === undefined) return EXIT.ok;
    monitor?.watch(running.worker);
    log.info(
      { event: 'started', worker: running.worker.id, ...app.storage, provider: config.baseUrl },
      'working',
    );
    const schedules = startSchedules(app, { config, log });
    try {
      const { signal, happened } = interrupt;
      const drained = isOn(flags.drain) ? [untilDone(app, running, null, { signal, log })] : [];
      // A stopped worker does not wait for a ledger that is away to say which rows are left.
      const end = await Promise.race([happened, ...drained]);
      halted = end === 'halted' || end === 'spent';
      if (typeof end === 'string' && end !== 'nothing')
        await untilLedgerAnswers(
          'gates',
          log,
          () => logGates(app.db, running.origin, log, tell?.(Date.now())),
          signal,
        );
    } finally {
      const [left] = await Promise.all([endSending(running, timeoutMs, log), endSchedules(schedules)]);
      atRisk = left > 0 || atRisk;
    }
  } finally {
    interrupt.dispose();
    await notifier?.stop();
    await monitor?.close();
    await closeSoon(app);
  }
  if (atRisk) return EXIT.uncertainRows;
  return halted ? EXIT.stopped : EXIT.ok;
}

/** The row is uncertain, or it was paid twice. */
function isRisk(verdict: Verdict): boolean {
  return verdict.kind === 'settled' && (verdict.recorded.state === 'uncertain' || verdict.recorded.surplus);
}

/** The log names at most this many batches; `status` shows all. */
const MOST_BATCHES = 20;

/** Logs what keeps rows of a provider waiting. A gate that opens by itself is logged at level info. */
async function logGates(
  db: Queryable,
  origin: string,
  log: Logger,
  tell: TellTime | undefined,
): Promise<void> {
  const batches = await listWaitingBatches(db, origin, MOST_BATCHES);
  const logged = new Set<string>();
  for (const batch of batches) {
    for (const { gate, reason, opensAt } of await readGates(db, batch, origin, tell)) {
      // All batches share the halt of their provider and the pause of everything.
      if (logged.has(reason)) continue;
      logged.add(reason);
      const level = opensAt === undefined ? 'warn' : 'info';
      log[level]({ event: 'waiting', batch: batch.name, gate, reason }, 'the remaining rows wait');
    }
  }
}
