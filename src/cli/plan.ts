import type { Command } from 'commander';
import { readAllowance } from '../batch/estimate.ts';
import { plan } from '../batch/plan.ts';
import type { Config } from '../core/config.ts';
import { EXIT, VidbatchError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { quoted } from '../core/text.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, globalFlags, listFlag, providerFlags } from './flags.ts';
import { formatError, FaultReport } from './format.ts';
import { keepHeapSmall } from './io.ts';
import type { Io } from './io.ts';
import { manifestFlags, produceOptions } from './manifest-flags.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import { openLedgerOnly } from './open-ledger.ts';
import { formatPlan, planJson } from './show-plan.ts';
import { readForecast } from '../batch/outlook.ts';
import type { Asked } from '../batch/outlook.ts';
import { forecastOptions } from './window-flags.ts';

type PlanFlags = ManifestFlags & { rate?: string };

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
  $ vidbatch plan night.csv --rate 2/s --offpeak-window "23:00-07:00 Asia/Shanghai"
  $ vidbatch plan moved/text.csv --batch text

It takes the flags of submit, and ends with the exit code that submit would end with.`,
    )
    .action(async (manifests: string[], flags: PlanFlags) => exit(await planAll(manifests, flags, io)));
  manifestFlags(providerFlags(globalFlags(command)));
  listFlag(
    command,
    '--rate <rate>',
    'forecast for so many rows, such as 10/s (default: as the last ones went)',
  );
}

async function planAll(manifests: readonly string[], flags: PlanFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const options = await produceOptions(flags, manifests);
  const asked: Asked = {
    ...forecastOptions(flags, config.models),
    ...(options.window === undefined ? {} : { batch: options.window }),
  };
  const { prices = new Map() } = options;
  const app = await openIfThere(config, io);
  try {
    const refused: VidbatchError[] = [];
    for (const source of manifests) {
      const faults = new FaultReport(io, 20);
      const planned = await plan(app?.db, source, {
        ...options,
        ...(config.baseUrl === undefined ? {} : { origin: config.baseUrl }),
        models: config.models,
        stdin: io.stdin,
        onFault: (fault, name) => faults.add(fault, name),
      });
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
      const seen = await readForecast(app?.db, planned, asked);
      io.out(
        flags.json === true
          ? JSON.stringify(planJson(source, planned, prices, seen))
          : formatPlan(planned, prices, seen, app && (await readAllowance(app.db, planned, options.budget))),
      );
      if (planned.refused === undefined) continue;
      refused.push(planned.refused);
      if (flags.json !== true) for (const line of formatError(planned.refused)) io.err(line);
    }
    return (
      refused.find(({ exitCode }) => exitCode === EXIT.refused)?.exitCode ?? refused[0]?.exitCode ?? EXIT.ok
    );
  } finally {
    await app?.close();
  }
}

/** Looking makes no ledger where there is none. */
async function openIfThere(config: Config, io: Io): Promise<LedgerApp | undefined> {
  try {
    return await openLedgerOnly(config, io);
  } catch (error) {
    if (error instanceof VidbatchError && error.code === 'NO_LEDGER') return undefined;
    throw error;
  }
}
