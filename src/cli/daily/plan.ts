import type { Command } from 'commander';
import { readAllowance } from '../../batch/estimate.ts';
import { readForecast } from '../../batch/outlook.ts';
import { plan } from '../../batch/plan.ts';
import type { Config } from '../../core/config.ts';
import { EXIT, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { quoted } from '../../core/text.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { configOf, globalFlags, isOn, providerFlags } from '../flags/flags.ts';
import { FaultReport } from '../output/fault-report.ts';
import { formatError } from '../output/format.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { manifestFlags, produceOptions, type ManifestFlags } from '../flags/manifest.ts';
import { openLedgerOnly } from '../open-ledger.ts';
import { formatPlan, planJson } from './show-plan.ts';
import { forecastOptions, forecastRateFlag } from '../flags/time.ts';

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

It takes the flags of submit, and ends with the exit code of submit.`,
    )
    .action(async (manifests: string[], flags: ManifestFlags) => exit(await planAll(manifests, flags, io)));
  forecastRateFlag(manifestFlags(providerFlags(globalFlags(command))));
}

async function planAll(manifests: readonly string[], flags: ManifestFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const options = await produceOptions(flags, manifests, config, io);
  const { prices = new Map() } = options;
  const assumed = { ...forecastOptions(flags, config), ...defined({ batch: options.window }) };
  const app = await openIfThere(config, io);
  try {
    const refused: VidbatchError[] = [];
    for (const source of manifests) {
      const faults = new FaultReport(io, 20);
      const planned = await plan(app?.db, source, {
        ...options,
        onFault: (fault, name) => faults.add(fault, name),
      });
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
      const forecast = await readForecast(app?.db, planned, assumed);
      io.out(
        isOn(flags.json)
          ? JSON.stringify(planJson(source, planned, prices, forecast))
          : formatPlan(
              planned,
              prices,
              forecast,
              app && (await readAllowance(app.db, planned, options.budget)),
            ),
      );
      if (planned.refused === undefined) continue;
      refused.push(planned.refused);
      if (!isOn(flags.json)) for (const line of formatError(planned.refused)) io.err(line);
    }
    const worst = refused.find(({ exitCode }) => exitCode === EXIT.refused) ?? refused[0];
    return worst?.exitCode ?? EXIT.ok;
  } finally {
    await app?.close();
  }
}

/** A plan does not make a ledger. */
async function openIfThere(config: Config, io: Io): Promise<LedgerApp | undefined> {
  try {
    return await openLedgerOnly(config, io);
  } catch (error) {
    if (error instanceof VidbatchError && error.code === 'NO_LEDGER') return undefined;
    throw error;
  }
}
