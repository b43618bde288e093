import type { Command } from 'commander';
import { restOf } from '../cost/allowance.ts';
import type { LedgerApp } from '../app.ts';
import type { Config } from '../config.ts';
import { EXIT, VidbatchError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { keepHeapSmall } from '../heap.ts';
import { plan } from '../plan.ts';
import { quoted } from '../shell-word.ts';
import { count } from '../status/summary.ts';
import { FaultReport } from './fault-report.ts';
import { configOf, flag, globalFlags, listFlag } from './io.ts';
import type { Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';
import { readFlags, readOptions } from './manifest-flags.ts';
import type { ReadFlags } from './manifest-flags.ts';
import { describePlan, lookAhead, planJson } from './plan-text.ts';
import type { Asked } from './plan-text.ts';
import { pricesFlag, pricesOf } from './price-flags.ts';
import type { PriceFlags } from './price-flags.ts';
import { batchWindowFlag, forecastOptions, offPeakFlag, readWindow } from './window-flags.ts';
import type { OffPeakFlags } from './window-flags.ts';

type PlanFlags = ReadFlags & OffPeakFlags & PriceFlags & { batch?: string; window?: string; rate?: string };

export function planCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('plan <manifest...>')
    .description(
      'what submit would do: new, known and changed rows by model and mode, what they cost, and when they would be sent',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch plan jobs/text.csv --prices jobs/prices.example.json
  $ vidbatch plan night.csv --rate 2/s --offpeak-window "23:00-07:00 Asia/Shanghai"`,
    )
    .action(async (manifests: string[], flags: PlanFlags) => exit(await planAll(manifests, flags, io)));
  readFlags(globalFlags(command));
  flag(command, '--batch <name>', 'name of the batch (default: the file without its extension)');
  listFlag(
    command,
    '--rate <rate>',
    'forecast for so many rows, such as 10/s (default: as the last ones went)',
  );
  pricesFlag(offPeakFlag(batchWindowFlag(command)));
}

async function planAll(manifests: readonly string[], flags: PlanFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const window = readWindow('--window', flags.window);
  const asked: Asked = {
    ...forecastOptions(flags, config.models),
    ...(window === undefined ? {} : { batch: window }),
  };
  const prices = await pricesOf(flags);
  const app = await openIfThere(config, io);
  try {
    let invalid = 0;
    for (const source of manifests) {
      const faults = new FaultReport(io, 20);
      const planned = await plan(app?.db, source, {
        ...readOptions(flags),
        ...(flags.batch === undefined ? {} : { batch: flags.batch }),
        models: config.models,
        stdin: io.stdin,
        onFault: (fault, name) => faults.add(fault, name),
      });
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
      invalid += planned.invalid;
      if (planned.invalid > 0)
        io.err(
          `${source}: ${count(planned.invalid)} of ${count(planned.rows)} rows are invalid: it is refused, and nothing sent, unless with --keep-going`,
        );
      const seen = await lookAhead(app, planned, asked);
      io.out(
        flags.json === true
          ? JSON.stringify(planJson(source, planned, prices, seen))
          : describePlan(planned, prices, seen, app && (await restOf(app.db, planned, undefined))),
      );
    }
    return invalid > 0 ? EXIT.refused : EXIT.ok;
  } finally {
    await app?.close();
  }
}

/** Looking makes no ledger where there is none. */
async function openIfThere(config: Config, io: Io): Promise<LedgerApp | undefined> {
  try {
    return await openAlone(config, io);
  } catch (error) {
    if (error instanceof VidbatchError && error.code === 'NO_LEDGER') return undefined;
    throw error;
  }
}
