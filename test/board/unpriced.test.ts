import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { get, openBoardFixture, type BoardFixture } from './fixture.ts';

const ROWS = { a: 'a harbour', b: 'a tea hill', c: 'a market', d: 'a bridge' };
const LATE = 'a lighthouse';

/** The text of a page, without its markup. */
function textOf(markup: string): string {
  return markup
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll(/\s+/g, ' ');
}

suite('money whose price is not known', () => {
  let fixture: BoardFixture;
  const read = async (path: string): Promise<string> => textOf((await get(fixture.board, path)).text);

  /** In each batch two rows were accepted and two are uncertain. In `mixed` one of each has a price; in `bare` none has. */
  before(async () => {
    fixture = await openBoardFixture();
    const { app, simulator } = fixture;
    for (const prompt of [ROWS.c, ROWS.d, LATE])
      simulator.faults.add({ match: { prompt }, fault: 'status-502:created' });
    await fixture.submit('mixed', ROWS);
    await app.db.query(
      `update vidbatch.row_state set price = 1.2, currency = 'CNY'
        where id in (select id from vidbatch.row where row_key in ('a', 'c'))`,
    );
    await fixture.send(4);
    await fixture.submit('bare', { e: 'a garden', f: LATE });
    await fixture.send(2);
  });
  after(() => fixture.close());

  test('is named on the page of cost, in the sums and beside each batch', async () => {
    const text = await read('/cost');
    assert.match(text, /spent 1\.20 CNY, and an unknown amount for 2 rows /);
    assert.match(text, /at risk 1\.20 CNY, and an unknown amount for 2 rows /);
    assert.match(text, /bare viduq3p-720p 2 the price is not known the price is not known/);
    assert.doesNotMatch(text, /\b0\.00/);
  });

  test('is named where rows are uncertain, and before they are settled', async () => {
    const told = /at most 1\.20 CNY, and an unknown amount for 1 row\b/;
    const text = await read('/batches/mixed/uncertain');
    assert.match(text, told);
    const path = /href="(\/batches\/mixed\/uncertain\/rows\?[^"]+)"/.exec(
      (await get(fixture.board, '/uncertain')).text,
    );
    const group = await read((path?.[1] ?? '').replaceAll('&amp;', '&'));
    assert.match(group, told);
    assert.match(group, /not known a bridge/);
    assert.match(await read('/batches/bare/uncertain'), /the price is not known/);
    assert.match(
      await read('/'),
      /3 rows may have been paid, at most 1\.20 CNY, and an unknown amount for 2 rows/,
    );
  });

  test('is named in the rows and the chart of a batch, and before an act', async () => {
    const batch = await read('/batches/mixed');
    assert.match(batch, /spent, CNY, without 1 row of unknown price 1\.20/);
    assert.match(batch, /1 1\.20 CNY \d+s ago/);
    assert.match(batch, /1 not known \d+s ago/);
    const act = await read('/act/cancel?batch=mixed');
    assert.match(act, /may have been paid: held 2 1\.20 CNY, and an unknown amount for 1 row/);
    assert.match(act, /accepted: spent 2 1\.20 CNY, and an unknown amount for 1 row/);
    assert.match(await read('/act/cancel?batch=bare'), /accepted: spent 1 not known/);
    for (const path of ['/batches/bare', '/act/cancel?batch=bare'])
      assert.doesNotMatch(await read(path), /\b0\.00/);
  });
});
