import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { workLimits, type WorkFlags } from '../../src/cli/flags/flags.ts';

const folder = mkdtempSync(join(tmpdir(), 'vidbatch-limits-'));
after(() => rmSync(folder, { recursive: true }));
const profile = join(folder, 'mine.yaml');
writeFileSync(
  profile,
  'profile: 1\nname: mine\nextends: vidu-gateway\nlimits: { rate: 5/s, maxInFlight: 3 }\n',
);

const FLAGS: WorkFlags = {
  concurrency: '1',
  attempts: '1',
  timeout: '1s',
  queueDepth: '1',
  pollConcurrency: '1',
};

test('the limits of the named profile count, unless flags say other ones', () => {
  const limits = (flags: Partial<WorkFlags>, named?: string) =>
    workLimits({ ...FLAGS, ...flags }, { models: [], ...(named === undefined ? {} : { profile: named }) })
      .limits;
  assert.equal(limits({}), undefined);
  assert.deepEqual(limits({}, profile), [{ model: '', intervalMs: 200, inFlight: 3 }]);
  assert.deepEqual(limits({ rate: '1/s' }, profile), [{ model: '', intervalMs: 1000, inFlight: 3 }]);
  assert.deepEqual(limits({ maxInFlight: '9' }, profile), [{ model: '', intervalMs: 200, inFlight: 9 }]);
});
