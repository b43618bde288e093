import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, lastLine } from '../cli.ts';
import { csvOf, csvRow } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('a manifest that is run again', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);
  const sent = async (): Promise<number> => (await simulator.stats()).creates;
  const prompts = (start: string): string[] =>
    simulator
      .accepted()
      .map(({ body }) => body.prompt)
      .filter((prompt) => prompt.startsWith(start))
      .sort();

  it('sends the one row that was added', async () => {
    const file = await cli.write('shots.csv', csvOf(2));
    exits(await cli.run(['run', file]), 0);
    await cli.write('shots.csv', csvOf(2) + csvRow('new', 'the new one'));
    const before = await sent();
    const again = exits(await cli.run(['run', file]), 0);
    assert.match(again.stdout, /^shots: 3 rows · 1 new · 2 known\n/);
    assert.equal(lastLine(again), '3 rows · 3 task ids · paid twice: none known');
    assert.equal(await sent(), before + 1);
    assert.equal(simulator.accepted().at(-1)?.body.prompt, 'the new one');
  });

  it('is refused when a row was edited after it was sent, and shows both versions', async () => {
    const file = await cli.write(
      'shots.csv',
      csvOf(2) + csvRow('new', 'the new one edited') + csvRow('more', 'one more'),
    );
    const before = await sent();
    const refused = exits(await cli.run(['run', file]), 3);
    assert.match(
      refused.stderr,
      /^vidbatch: 1 row of batch shots changed after it was sent; nothing was sent now \[CHANGED_AFTER_SENT\]$/m,
    );
    assert.match(refused.stderr, /ledger: .*"prompt":"the new one"/);
    assert.match(refused.stderr, /manifest: .*"prompt":"the new one edited"/);
    assert.equal(await sent(), before);
  });

  it("takes the manifest's version of a row that was not sent yet", async () => {
    const file = await cli.write('draft.csv', csvOf(1, 'draft'));
    exits(await cli.run(['submit', file]), 0);
    await cli.write('draft.csv', `id,model,prompt\n${csvRow('draft-1', 'drafted anew')}`);
    assert.match(exits(await cli.run(['run', file]), 0).stdout, /1 updated/);
    assert.deepEqual(prompts('drafted'), ['drafted anew']);
  });

  it('asks what to do with pending rows that are gone from the file', async () => {
    const file = await cli.write('later.csv', csvOf(3, 'later'));
    exits(await cli.run(['submit', file]), 0);
    await cli.write('later.csv', csvOf(2, 'later'));
    const before = await sent();
    const refused = exits(await cli.run(['run', file]), 3);
    assert.match(refused.stderr, /\[ROWS_VANISHED\]/);
    assert.match(refused.stderr, /--prune cancels them; --keep sends them, and pays for them/);
    assert.equal(await sent(), before);

    assert.match(exits(await cli.run(['submit', file, '--prune']), 0).stdout, /1 cancelled/);
    await cli.write('later.csv', csvOf(1, 'later'));
    exits(await cli.run(['run', file, '--keep']), 0);
    const counts = countsOf(await cli.run(['status', 'later', '--json']));
    assert.deepEqual([counts['submitted'], counts['cancelled'], counts['pending']], [2, 1, 0]);
    assert.deepEqual(prompts('the shot later'), ['the shot later-1', 'the shot later-2']);
  });

  it('does not send what another batch has sent without --again', async () => {
    const copy = await cli.write('copy.csv', csvOf(1));
    const before = await sent();
    assert.match(
      exits(await cli.run(['run', copy]), 3).stderr,
      /^vidbatch: 1 row of batch copy was sent in another batch already; nothing was sent now \[SENT_ELSEWHERE\]\n.* in batch shots /,
    );
    const env = { VIDBATCH_AGAIN: '1', VIDBATCH_ADD: '1', VIDBATCH_YES: '1' };
    exits(await cli.run(['run', copy], { env }), 3);
    assert.equal(await sent(), before, 'a variable agrees to nothing');
    exits(await cli.run(['run', copy, '--again']), 0);
    assert.equal(await sent(), before + 1);
  });

  it('names what waits in another batch, before it asks and when it imports', async () => {
    const one = await cli.write('one.csv', csvOf(2, 'in two files'));
    const two = await cli.write('two.csv', csvOf(2, 'in two files'));
    exits(await cli.run(['submit', one]), 0);
    const named = /2 rows also wait in another batch, such as one: both batches send them, and both pay/;
    assert.match(exits(await cli.run(['plan', two]), 0).stdout, named);
    assert.match(exits(await cli.run(['submit', two]), 0).stdout, named);
    exits(await cli.run(['cancel', 'one', '--yes']), 0);
    exits(await cli.run(['cancel', 'two', '--yes']), 0);
  });

  it('cannot take the name of a batch from another file', async () => {
    const other = await cli.write('elsewhere/shots.csv', csvOf(1, 'other'));
    const refused = exits(await cli.run(['submit', other]), 2);
    assert.match(refused.stderr, /^vidbatch: batch shots was made from \S+shots\.csv, not from \S+elsewhere/);
    assert.match(refused.stderr, /\[BATCH_OF_OTHER_FILE\]/);
  });
});
