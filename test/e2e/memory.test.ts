import { after, describe, it } from 'node:test';
import { openPlace } from '../cli.ts';
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
