import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

/** Rows in the queue at a time. */
const DEPTH = 20;
/** What may go before others: the jobs that wait, and those that the worker has in hand, of as many rows at most. */
const CONCURRENCY = 4;
const BEFORE = DEPTH + CONCURRENCY * DEPTH;

describe('batches beside each other', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  /** At which places of the simulator's own record the rows of a batch were accepted. */
  function placesOf(batch: string): number[] {
    return cli.simulator
      .accepted()
      .flatMap(({ body }, place) => (body.prompt.startsWith(`the shot ${batch}-`) ? [place] : []));
  }

  it('a small batch does not wait for a large one, and an urgent batch waits for no other', async () => {
    const large = await cli.write('large.csv', csvOf(300, 'large'));
    const small = await cli.write('small.csv', csvOf(10, 'small'));
    const urgent = await cli.write('urgent.csv', csvOf(60, 'urgent'));
    for (const file of [large, small]) exits(await cli.run(['submit', file, '--queue-depth', '20']), 0);
    exits(await cli.run(['submit', urgent, '--priority', '10', '--queue-depth', '20']), 0);
    const work = ['work', '--drain', '--queue-depth', String(DEPTH), '--concurrency', String(CONCURRENCY)];
    exits(await cli.run(work), 0);
    const [first = 0, last = 0] = [placesOf('urgent')[0], placesOf('urgent').at(-1)];
    assert.equal(placesOf('urgent').length, 60);
    // What was queued or in hand before its first accept opened it, and a row of each batch beside.
    assert.ok(last - first < 60 + BEFORE, `urgent: ${first} to ${last}`);
    const end = placesOf('small').at(-1) ?? 0;
    assert.equal(placesOf('small').length, 10);
    assert.ok(end < last + BEFORE, `small ends at ${end}, urgent at ${last}`);
    const status = exits(await cli.run(['status', 'urgent']), 0).stdout;
    assert.match(status, /^ {2}priority 10$/m);
  });
});
