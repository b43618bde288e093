import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { LAUNCHER, openPlace } from '../cli.ts';
import { peakOf, sameMemory, writeRows } from './peak.ts';

describe('memory does not follow the number of rows', async () => {
  const here = await openPlace();
  after(here.close);

  it('of validate', async () => {
    const few = await peakOf(here, ['validate', await writeRows(here, 'few.csv', 8_000)]);
    const many = await peakOf(here, ['validate', await writeRows(here, 'many.csv', 80_000)]);
    sameMemory(few, many);
  });
});

describe('a command that only looks at an embedded ledger', async () => {
  const here = await openPlace({}, { ledger: true });
  after(here.close);

  it('is over before V8 takes 600 MB to optimise one function of the database', async () => {
    // As users start it: other tests forbid V8 to optimise.
    const kib = await peakOf(here, ['status'], { program: [process.execPath, LAUNCHER] });
    assert.ok(kib < 500 * 1024, `${kib} KiB`);
  });
});
