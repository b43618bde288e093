import type { Command } from 'commander';
import { NODE_VERSIONS, VERSION } from '../core/version.ts';
import { readWhatCanBe } from '../core/config.ts';
import { EXIT, VidbatchError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { plural } from '../core/units.ts';
import type { Check } from '../operate/doctor/check.ts';
import { isOfConfiguration } from '../operate/doctor/configuration.ts';
import { formatCheck, formatTotals } from './check-text.ts';
import { globalFlags, isOn, profileFlag, providerFlags, workFlags, workLimits } from './flags.ts';
import type { WorkFlags } from './flags.ts';
import type { Io } from './io.ts';

export function doctorCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('doctor')
    .description('look at everything that a worker here depends on; change nothing, send nothing')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch doctor
  $ vidbatch doctor --json
  $ vidbatch doctor --concurrency 64

Looks at the configuration, the data folder, Postgres, Redis, the queue, what the ledger waits for, and asks the
provider for a task that does not exist, which costs nothing and shows whether URL and key are right. Each check has
its own time limit. The flags of \`work\` are checked, but not used.

Exit codes: 0 nothing failed · 1 a check failed [CHECKS_FAILED] · 2 the configuration is missing or cannot be used`,
    )
    .action(async (flags: WorkFlags) => exit(await doctor(flags, io)));
  profileFlag(workFlags(providerFlags(globalFlags(command))));
}

async function doctor(flags: WorkFlags, io: Io): Promise<ExitCode> {
  // Loaded only here, so that other commands start faster.
  const { runChecks } = await import('../operate/doctor/doctor.ts');
  const understood = readWhatCanBe(undefined, flags);
  try {
    workLimits(flags, understood.config);
  } catch (error) {
    if (!(error instanceof VidbatchError)) throw error;
    understood.faults.push(error);
  }
  const checks: Check[] = [];
  const machine = {
    vidbatch: VERSION,
    node: process.versions.node,
    floor: NODE_VERSIONS.replace(/^[^\d]*/, ''),
  };
  for await (const check of runChecks(understood, machine)) {
    checks.push(check);
    if (isOn(flags.json)) io.out(JSON.stringify(check));
    else for (const line of formatCheck(check)) io.out(line);
  }
  if (!isOn(flags.json)) io.out(formatTotals(checks));
  return judge(checks);
}

/** @throws VidbatchError exit 2 if a check of the configuration failed, exit 1 if another check failed. */
function judge(checks: readonly Check[]): ExitCode {
  const faults = checks.filter(({ status }) => status === 'failed');
  if (faults.length === 0) return EXIT.ok;
  throw new VidbatchError('CHECKS_FAILED', `${plural(faults.length, 'check')} failed`, {
    exitCode: faults.some(isOfConfiguration) ? EXIT.usage : EXIT.operational,
    hint: 'Nothing was changed. Each failed check says what to do.',
  });
}
