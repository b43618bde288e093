import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { LAUNCHER, openCli } from '../cli.ts';
import { peakOf, sameMemory, writeRows } from './peak.ts';

describe('memory does not follow the number of rows', async () => {
  const cli = await openCli();
  after(cli.close);

  it('of validate', async () => {
    const few = await peakOf(cli, ['validate', await writeRows(cli, 'few.csv', 8_000)]);
    const many = await peakOf(cli, ['validate', await writeRows(cli, 'many.csv', 80_000)]);
    // How much garbage there is at the peak depends on when V8 collects: 1.37 times was seen. What is alive is measured by
    // test/manifest/memory.test.ts.
    sameMemory(few, many, 1.5);
  });
});

describe('a command that only looks at an embedded ledger', async () => {
  const cli = await openCli({}, { ledger: true });
  after(cli.close);

  it('is over before V8 takes 600 MB to optimise one function of the database', async () => {
    // As users start it: other tests forbid V8 to optimise.
    const kib = await peakOf(cli, ['status'], { program: [process.execPath, LAUNCHER] });
    assert.ok(kib < 500 * 1024, `${kib} KiB`);
  });
});
