import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Check } from '../../../src/operate/doctor/check.ts';

/** What is not ok, as `status check`. */
export function complaints(checks: readonly Check[]): string[] {
  return checks.filter(({ status }) => status !== 'ok').map(({ check, status }) => `${status} ${check}`);
}

/** Each case changes one fact of a healthy whole: the one complaint that it must bring, or none. */
type Case<Facts> = [what: string, change: Partial<Facts>, complaint: string | null];

export function judges<Facts>(healthy: Facts, judge: (facts: Facts) => Check[], cases: Case<Facts>[]): void {
  it('reports no fault for correct facts', () => assert.deepEqual(complaints(judge(healthy)), []));
  for (const [what, change, complaint] of cases) {
    it(`${what}: ${complaint ?? 'ok'}`, () => {
      const checks = judge({ ...healthy, ...change });
      assert.deepEqual(complaints(checks), complaint === null ? [] : [complaint]);
      for (const { status, hint } of checks) assert.equal(hint !== null, /warning|failed/.test(status));
    });
  }
}
