import { after, describe, it } from 'node:test';
import { peakOf, sameMemory, writeRows } from './peak.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('memory does not follow the number of rows', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  it('of submit and of export', async () => {
    const few = await writeRows(cli, 'few.csv', 20_000);
    const many = await writeRows(cli, 'many.csv', 60_000);
    const submit = [await peakOf(cli, ['submit', few]), await peakOf(cli, ['submit', many])] as const;
    sameMemory(...submit);
    const again = [await peakOf(cli, ['submit', few]), await peakOf(cli, ['submit', many])] as const;
    sameMemory(...again);
    sameMemory(await peakOf(cli, ['export', 'few']), await peakOf(cli, ['export', 'many']));
  });
});
