import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { EXIT, usageError } from '../errors.ts';
import { workLeft } from '../ledger/batch.ts';
import { armProbe, clockSkewMs, ensureProvider, openHalts } from '../ledger/provider.ts';
import type { Logger } from '../log.ts';
import { createProvider } from '../provider/client.ts';
import { laneOf } from '../queue.ts';
import type { Verdict } from '../submit.ts';
import { startWorker } from '../worker.ts';
import type { RunningWorker } from '../worker.ts';
import {
  configOf,
  globalFlags,
  isOn,
  logOf,
  providerConfig,
  providerFlags,
  workFlags,
  workLimits,
} from './io.ts';
import type { Io, WorkFlags, WorkLimits } from './io.ts';
import type { Interrupt } from './interrupt.ts';
import { onInterrupt } from './interrupt.ts';

export function workCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('work')
    .description('feed the queue and send rows, until SIGTERM')
    .option('--drain', 'until nothing is eligible, then end')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch work --concurrency 16 --rate 10/s
  $ vidbatch work --drain`,
    )
    .action(async (flags: WorkFlags & { drain?: boolean }) => exit(await work(flags, io)));
  workFlags(providerFlags(globalFlags(command)));
}

async function work(flags: WorkFlags & { drain?: boolean }, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = workLimits(flags);
  providerConfig(config);
  const log = logOf(flags, 'info');
  const app = await openApp(config, 'worker');
  const interrupt = onInterrupt(io.quit);
  let uncertain = false;
  let stopped = false;
  try {
    if (app.swept > 0) log.warn({ event: 'swept', rows: app.swept }, 'rows had lost their worker: uncertain');
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
        ? await drained(app, running.origin, interrupt)
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

/** Waits until no row can be sent any more; true when a halt is the reason. */
async function drained(app: App, origin: string, interrupt: Interrupt): Promise<boolean> {
  while (!interrupt.signal.aborted) {
    const left = await workLeft(app.db, origin, null);
    if (left === 'halted') return true;
    if (left !== 'work') return false;
    await sleep(250, undefined, { signal: interrupt.signal }).catch(() => undefined);
  }
  return false;
}

export interface Sending {
  worker: RunningWorker;
  origin: string;
  close(): Promise<void>;
}

const MOST_SKEW_MS = 5_000;

/** A worker with its provider, on an open app. A halt from before is tried out with one row. */
export async function startSending(
  app: App,
  config: Config,
  limits: WorkLimits,
  options: { batches: readonly number[] | null; log: Logger; onVerdict?: (verdict: Verdict) => void },
): Promise<Sending> {
  const { baseUrl, apiKey } = providerConfig(config);
  const skew = await clockSkewMs(app.db);
  if (Math.abs(skew) > MOST_SKEW_MS) {
    throw usageError(
      'CLOCK_SKEW',
      `this machine's clock is ${(skew / 1000).toFixed(1)} s off the database's; at most 5 s are allowed`,
      'Synchronise both clocks (NTP), then start again.',
    );
  }
  const provider = createProvider({
    baseUrl,
    apiKey,
    timeoutMs: limits.timeoutMs,
    connections: limits.concurrency,
    codes: config.codes,
  });
  try {
    await ensureProvider(app.db, provider.origin);
    if (await armProbe(app.db, provider.origin)) {
      const halt = (await openHalts(app.db)).find((one) => one.origin === provider.origin);
      options.log.warn(
        { event: 'probing', reason: halt?.reason },
        'after a halt: one row at a time until one is accepted',
      );
    }
    const worker = await startWorker({
      db: app.db,
      store: app.store,
      provider,
      ledgerId: app.ledgerId,
      lane: laneOf(app.ledgerId, options.batches),
      ...limits,
      ...options,
    });
    return {
      worker,
      origin: provider.origin,
      async close() {
        await worker.stop();
        await provider.close();
      },
    };
  } catch (error) {
    await provider.close();
    throw error;
  }
}
