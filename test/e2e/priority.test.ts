import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const LARGE = 200;
const SMALL = 10;
/** Batches beside the urgent one, and the rows of each. */
const OTHERS = 8;
const ROWS = 40;

describe('batches beside each other', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  /** At which places of the simulator's own record the rows of a batch were accepted. */
  function placesOf(batch: string): number[] {
    return cli.simulator
      .accepted()
      .flatMap(({ body }, place) => (body.prompt.startsWith(`the shot ${batch}-`) ? [place] : []));
  }

  async function submit(batch: string, rows: number, ...flags: string[]): Promise<void> {
    const file = await cli.write(`${batch}.csv`, csvOf(rows, batch));
    exits(await cli.run(['submit', file, '--queue-depth', '20', ...flags]), 0);
  }

  async function drain(): Promise<void> {
    exits(await cli.run(['work', '--drain', '--queue-depth', '20', '--concurrency', '1']), 0);
  }

  it('a small batch does not wait for a large one', async () => {
    await submit('large', LARGE);
    await submit('small', SMALL);
    await drain();
    assert.deepEqual([placesOf('large').length, placesOf('small').length], [LARGE, SMALL]);
    // Behind the large one, which was submitted earlier, it would end after all of its rows.
    const end = placesOf('small').at(-1) ?? Infinity;
    assert.ok(end < LARGE, `small ends at ${end}`);
  });

  it('an urgent batch waits for no other', async () => {
    for (let other = 1; other <= OTHERS; other++) await submit(`other${other}`, ROWS);
    await submit('urgent', ROWS, '--priority', '10');
    await drain();
    const places = placesOf('urgent');
    assert.equal(places.length, ROWS);
    const [first = 0, last = Infinity] = [places[0], places.at(-1)];
    // A busy machine fills the queue late, after the worker has turned to what else waits. Batches that share equally
    // would take twice as many places.
    assert.ok(last - first < ROWS + (ROWS * OTHERS) / 2, `urgent: ${first} to ${last}`);
    assert.match(exits(await cli.run(['status', 'urgent']), 0).stdout, /^ {2}priority 10$/m);
  });

  it('the priority of a batch is changed without its manifest', async () => {
    assert.equal(exits(await cli.run(['priority', 'small', '-7']), 0).stdout, 'small: priority 0 → -7\n');
    assert.match(exits(await cli.run(['status', 'small']), 0).stdout, /^ {2}priority -7$/m);
    assert.match(
      exits(await cli.run(['priority', 'small', '101']), 2).stderr,
      /from -100 to 100 \[BAD_NUMBER\]/,
    );
    assert.match(exits(await cli.run(['priority', 'smal', '1']), 2).stderr, /Did you mean small\?/);
  });
});
