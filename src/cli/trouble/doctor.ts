import type { Command } from 'commander';
import { readWhatCanBe } from '../../core/config.ts';
import { EXIT, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { plural } from '../../core/units.ts';
import type { Check, Status } from '../../operate/doctor/check.ts';
import { isOfConfiguration, thisMachine } from '../../operate/doctor/configuration.ts';
import { formatCheck, formatTotals } from '../output/check-text.ts';
import {
  globalFlags,
  isOn,
  profileFlag,
  providerFlags,
  workFlags,
  workLimits,
  type WorkFlags,
} from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { notifyFlag, notifyTargets, type NotifyFlags } from '../flags/notify.ts';

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

Exit codes:
  0  nothing failed
  1  a check failed [CHECKS_FAILED]
  2  the configuration is missing or cannot be used`,
    )
    .action(async (flags: WorkFlags & NotifyFlags) => exit(await doctor(flags, io)));
  profileFlag(notifyFlag(workFlags(providerFlags(globalFlags(command)))));
}

async function doctor(flags: WorkFlags & NotifyFlags, io: Io): Promise<ExitCode> {
  // Loaded only here, so that other commands start faster.
  const { runChecks } = await import('../../operate/doctor/doctor.ts');
  const readable = readWhatCanBe(undefined, flags);
  const orFault = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof VidbatchError)) throw error;
      readable.faults.push(error);
      return undefined;
    }
  };
  orFault(() => workLimits(flags, readable.config));
  const understood = { ...readable, targets: orFault(() => notifyTargets(flags)) ?? [] };
  const checks: Check[] = [];
  const print = (check: Check): void => {
    for (const line of formatCheck(check)) io.out(line);
  };
  for await (const check of runChecks(understood, thisMachine())) {
    checks.push(check);
    if (isOn(flags.json)) io.out(JSON.stringify(check));
    else if (!isTrouble(check)) print(check);
  }
  if (!isOn(flags.json)) {
    const found = (wanted: Status): Check[] => checks.filter(({ status }) => status === wanted);
    for (const check of [...found('warning'), ...found('failed')]) print(check);
    io.out(formatTotals(checks));
  }
  return judge(checks);
}

/** What a person must read is shown last. */
function isTrouble({ status }: Check): boolean {
  return status === 'warning' || status === 'failed';
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
