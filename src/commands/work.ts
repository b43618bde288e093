import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { requireProvider } from '../config.ts';
import { EXIT } from '../errors.ts';
import { startSending, tellFound, untilDone } from '../sending.ts';
import type { Verdict } from '../submit.ts';
import { configOf, flag, globalFlags, isOn, logOf, providerFlags, workFlags, workLimits } from './io.ts';
import type { Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';
import { closeSoon, endSending, SHUTDOWN_HELP, shutdownFlag, shutdownMs } from './shutdown.ts';
import type { ShutdownFlags } from './shutdown.ts';

interface Flags extends ShutdownFlags {
  drain?: boolean;
}

export function workCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('work')
    .description('feed the queue and send rows, until SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch work --concurrency 16 --rate 10/s
  $ vidbatch work --drain
${SHUTDOWN_HELP}`,
    )
    .action(async (flags: Flags) => exit(await work(flags, io)));
  shutdownFlag(workFlags(providerFlags(globalFlags(command))));
  flag(command, '--drain', 'until nothing is eligible, then end');
}

async function work(flags: Flags, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = workLimits(flags);
  const patienceMs = shutdownMs(flags, limits);
  requireProvider(config);
  const log = logOf(flags, 'info');
  const app = await openApp(config, 'worker', log);
  const interrupt = onInterrupt(io.quit);
  let atRisk = false;
  let halted = false;
  try {
    tellFound(app, log);
    const running = await startSending(app, config, limits, {
      batches: null,
      log,
      onVerdict: (verdict) => (atRisk ||= isRisk(verdict)),
    });
    log.info(
      { event: 'started', worker: running.worker.id, ...app.storage, provider: config.baseUrl },
      'working',
    );
    try {
      const { signal, happened } = interrupt;
      const drained = isOn(flags.drain) ? [untilDone(app, running, null, { signal, log })] : [];
      // Whoever is told to stop does not wait for a ledger that is away to say what is left.
      halted = (await Promise.race([happened, ...drained])) === 'halted';
    } finally {
      atRisk = (await endSending(running, patienceMs, log)) > 0 || atRisk;
    }
  } finally {
    interrupt.dispose();
    await closeSoon(app);
  }
  if (atRisk) return EXIT.uncertainRows;
  return halted ? EXIT.stopped : EXIT.ok;
}

/** The row may have been paid in vain: nobody knows, or it was paid twice. */
function isRisk(verdict: Verdict): boolean {
  return verdict.kind === 'settled' && (verdict.recorded.state === 'uncertain' || verdict.recorded.surplus);
}
