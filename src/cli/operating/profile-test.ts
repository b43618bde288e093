import { requireProvider } from '../../core/config.ts';
import { EXIT, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { plural } from '../../core/units.ts';
import type { Check } from '../../operate/doctor/check.ts';
import { configuredProfile } from '../../provider/profile/load.ts';
import { formatCheck, formatTotals } from '../output/check-text.ts';
import { configOf, isOn, warnOfKeyApart, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';

const LIMIT_MS = 5_000;

/**
 * Asks the configured provider for a task that is not there, and for its list of models. Only GET: nothing is created.
 * @throws VidbatchError exit 1 if a check failed, exit 2 if URL or key are missing.
 */
export async function testProfile(name: string | undefined, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  const profile = configuredProfile({ profile: name ?? config.profile });
  const target = { apiKey: undefined, ...requireProvider(config, { keyless: profile.auth === undefined }) };
  warnOfKeyApart(config, io);
  const { checkProvider } = await import('../../operate/doctor/provider.ts');
  const { checkModelList } = await import('../../operate/doctor/models.ts');
  const checks: Check[] = [];
  const show = (some: readonly Check[]): void => {
    checks.push(...some);
    for (const check of some) {
      if (isOn(flags.json)) io.out(JSON.stringify(check));
      else for (const line of formatCheck(check)) io.out(line);
    }
  };
  show(await checkProvider(target, LIMIT_MS, profile));
  const reached = checks.some(({ check, status }) => check === 'provider-answer' && status !== 'failed');
  if (reached) show(await checkModelList(target, profile, config.models, LIMIT_MS));
  if (!isOn(flags.json)) io.out(formatTotals(checks));
  const failed = checks.filter(({ status }) => status === 'failed').length;
  if (failed === 0) return EXIT.ok;
  throw new VidbatchError('CHECKS_FAILED', `${plural(failed, 'check')} failed`, {
    hint: 'Nothing was created. Each failed check says what to do.',
  });
}
