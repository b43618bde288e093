import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { parseCount, requireProvider } from '../config.ts';
import { EXIT } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { createProvider } from '../provider/client.ts';
import { reconcile } from '../reconcile.ts';
import { count } from '../summary.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, flag, globalFlags, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';
import { Progress } from './progress.ts';
import { providerSilent } from './silence.ts';

export function reconcileCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('reconcile [batch]')
    .description('ask the provider once for every open task, and store status and result URL')
    .addHelpText('after', '\nExamples:\n  $ vidbatch reconcile text && vidbatch export text')
    .action(async (batch: string | undefined, flags: GlobalFlags & { concurrency: string }) =>
      exit(await reconcileBatch(batch, flags, io)),
    );
  flag(providerFlags(globalFlags(command)), '--concurrency <n>', 'open calls', '8');
}

async function reconcileBatch(
  name: string | undefined,
  flags: GlobalFlags & { concurrency: string },
  io: Io,
): Promise<ExitCode> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 1000);
  const { baseUrl, apiKey } = requireProvider(config);
  const app = await openApp(config, 'reader');
  const provider = createProvider({ baseUrl, apiKey, connections: concurrency, codes: config.codes });
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  try {
    const batch = name === undefined ? undefined : await batchNamed(app.db, name);
    const totals = await reconcile(app.db, provider, {
      batchId: batch?.id ?? null,
      concurrency,
      signal: interrupt.signal,
      onAsked: (asked) => progress.show(`${count(asked)} tasks asked for`),
    });
    progress.clear();
    if (flags.json === true) io.out(JSON.stringify({ batch: name ?? null, ...totals }));
    else {
      io.out(
        `${count(totals.asked)} tasks asked for · ${count(totals.completed)} completed · ${count(totals.failed)} failed · ` +
          `${count(totals.open)} open · ${count(totals.missing)} not known to the provider · ${count(totals.unanswered)} unanswered`,
      );
    }
    if (totals.asked > 0 && totals.unanswered === totals.asked) throw providerSilent(totals.asked);
    return EXIT.ok;
  } finally {
    interrupt.dispose();
    progress.clear();
    await provider.close();
    await app.close();
  }
}
