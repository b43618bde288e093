import { after, describe, it } from 'node:test';
import { peakOf, sameMemory, writeRows } from './peak.ts';
import { openDesk } from './storage.ts';

describe('memory does not follow the number of rows', async () => {
  const desk = await openDesk();
  after(desk.close);

  it('of submit and of export', async () => {
    const few = await writeRows(desk, 'few.csv', 20_000);
    const many = await writeRows(desk, 'many.csv', 60_000);
    const submit = [await peakOf(desk, ['submit', few]), await peakOf(desk, ['submit', many])] as const;
    sameMemory(...submit);
    const again = [await peakOf(desk, ['submit', few]), await peakOf(desk, ['submit', many])] as const;
    sameMemory(...again);
    sameMemory(await peakOf(desk, ['export', 'few']), await peakOf(desk, ['export', 'many']));
  });
});
