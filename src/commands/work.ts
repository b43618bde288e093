import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { requireProvider } from '../config.ts';
import { EXIT } from '../errors.ts';
import { startSending, tellFound, untilDone } from '../sending.ts';
import { configOf, flag, globalFlags, isOn, logOf, providerFlags, workFlags, workLimits } from './io.ts';
import type { Io, WorkFlags } from './io.ts';
import { onInterrupt } from './interrupt.ts';

export function workCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('work')
    .description('feed the queue and send rows, until SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch work --concurrency 16 --rate 10/s
  $ vidbatch work --drain`,
    )
    .action(async (flags: WorkFlags & { drain?: boolean }) => exit(await work(flags, io)));
  workFlags(providerFlags(globalFlags(command)));
  flag(command, '--drain', 'until nothing is eligible, then end');
}

async function work(flags: WorkFlags & { drain?: boolean }, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = workLimits(flags);
  requireProvider(config);
  const log = logOf(flags, 'info');
  const app = await openApp(config, 'worker');
  const interrupt = onInterrupt(io.quit);
  let uncertain = false;
  let stopped = false;
  try {
    tellFound(app, log);
    const running = await startSending(app, config, limits, {
      batches: null,
      log,
      onVerdict: (verdict) => {
        if (verdict.kind === 'settled' && verdict.recorded.state === 'uncertain') uncertain = true;
      },
    });
    log.info(
      { event: 'started', worker: running.worker.id, ...app.storage, provider: config.baseUrl },
      'working',
    );
    try {
      stopped = isOn(flags.drain)
        ? (await untilDone(app, running, null, { signal: interrupt.signal, log })) === 'halted'
        : await interrupt.happened.then(() => false);
    } finally {
      await running.close();
    }
    log.info({ event: 'stopped', worker: running.worker.id }, 'stopped');
  } finally {
    interrupt.dispose();
    await app.close();
  }
  if (uncertain) return EXIT.uncertainRows;
  return stopped ? EXIT.stopped : EXIT.ok;
}
