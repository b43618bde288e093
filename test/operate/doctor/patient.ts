import { readWhatCanBe } from '../../../src/core/config.ts';
import type { Check } from '../../../src/operate/doctor/check.ts';
import { runChecks } from '../../../src/operate/doctor/doctor.ts';

const MACHINE = { vidbatch: '0.1.0', node: '24.1.0', floor: '22.19.0' };

/** Everything that the doctor says of this environment, by the name of the check; of several, the last. */
export async function examined(env: Record<string, string>, limitMs?: number): Promise<Map<string, Check>> {
  const checks = new Map<string, Check>();
  for await (const check of runChecks(readWhatCanBe(env), MACHINE, limitMs)) checks.set(check.check, check);
  return checks;
}

/** `status: what` of one check. */
export function told(checks: ReadonlyMap<string, Check>, name: string): string {
  const check = checks.get(name);
  return check === undefined ? 'nothing' : `${check.status}: ${check.what}`;
}
