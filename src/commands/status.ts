import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import { EXIT } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { acceptedSince, listBatches } from '../ledger/batch.ts';
import type { Batch } from '../ledger/batch.ts';
import { summarise } from '../overview.ts';
import { STATES } from '../submission.ts';
import { count, duration, receipt } from '../summary.ts';
import type { Summary } from '../summary.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, flag, globalFlags, isOn, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';

export function statusCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('status [batch]')
    .description('counts by state, rate, ETA, and what keeps rows waiting')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch status
  $ vidbatch status text --json
  $ vidbatch status text --watch`,
    )
    .action(async (name: string | undefined, flags: GlobalFlags & { watch?: boolean }) =>
      exit(await status(name, flags, io)),
    );
  flag(providerFlags(globalFlags(command)), '--watch', 'again every few seconds, until interrupted');
}

const RATE_WINDOW_S = 60;

interface Status extends Summary {
  /** Accepted rows a second, over the last minute. */
  rate: number;
  etaSeconds: number | null;
}

async function status(
  name: string | undefined,
  flags: GlobalFlags & { watch?: boolean },
  io: Io,
): Promise<ExitCode> {
  const config = configOf(flags);
  const app = await openApp(config, 'reader');
  const interrupt = onInterrupt(io.quit);
  try {
    for (;;) {
      const batches = name === undefined ? await listBatches(app.db) : [await batchNamed(app.db, name)];
      if (batches.length === 0) io.err('no batches yet');
      for (const batch of batches) {
        const one = await read(app, batch, config.baseUrl);
        io.out(flags.json === true ? JSON.stringify(one) : describe(one));
      }
      if (!isOn(flags.watch) || interrupt.signal.aborted) return EXIT.ok;
      await sleep(2000, undefined, { signal: interrupt.signal }).catch(() => undefined);
      if (interrupt.signal.aborted) return EXIT.ok;
    }
  } finally {
    interrupt.dispose();
    await app.close();
  }
}

async function read(app: App, batch: Batch, origin: string | undefined): Promise<Status> {
  const summary = await summarise(app.db, batch, origin);
  const rate = (await acceptedSince(app.db, batch.id, RATE_WINDOW_S)) / RATE_WINDOW_S;
  const open = summary.counts.pending + summary.counts.submitting;
  return { ...summary, rate, etaSeconds: open > 0 && rate > 0 ? Math.round(open / rate) : null };
}

function describe(status: Status): string {
  const lines = [`${status.batch}  ${receipt(status)}`, `  from ${status.source}`];
  const shown = STATES.filter((state) => status.counts[state] > 0);
  lines.push(`  ${shown.map((state) => `${state} ${count(status.counts[state])}`).join('  ')}`);
  if (status.rate > 0) {
    const eta = status.etaSeconds === null ? '' : `  ETA ${duration(status.etaSeconds * 1000)}`;
    lines.push(`  ${status.rate.toFixed(1)} accepted/s over the last minute${eta}`);
  }
  for (const { gate, reason } of status.gates) lines.push(`  waiting: ${gate}: ${reason}`);
  return lines.join('\n');
}
