import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, json, jsonLines, lastLine } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

describe('an operator', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);
  const counts = async (batch: string): Promise<Record<string, number>> =>
    countsOf(exits(await cli.run(['status', batch, '--json']), 0));

  it('can run migrate repeatedly', async () => {
    assert.match(exits(await cli.run(['status']), 2).stderr, /has no ledger of this version \[NO_LEDGER\]/);
    const first = json(exits(await cli.run(['migrate', '--json']), 0));
    const second = json(exits(await cli.run(['migrate', '--json']), 0));
    assert.deepEqual(second, first);
    const none = exits(await cli.run(['status']), 0);
    assert.equal(none.stdout, '');
    assert.match(none.stderr, /no batches yet/);
  });

  it('cancels a batch: no row of it is sent until retry', async () => {
    const file = await cli.write('shots.csv', csvOf(3));
    const why =
      'one row at a time is queued and sent until the first one is accepted; then the others follow';
    assert.ok(exits(await cli.run(['submit', file]), 0).stderr.includes(`shots: ${why}\n`));
    assert.ok(exits(await cli.run(['status', 'shots']), 0).stdout.includes(`\n  ${why}\n`));
    const asked = exits(await cli.run(['cancel', 'shots']), 2).stderr;
    assert.match(
      asked,
      /shots: 3 pending rows, which would cost an unknown amount\. Cancel\? \[NOT_CONFIRMED\]/,
    );
    assert.equal((await counts('shots'))['pending'], 3, 'a script cancels nothing without --yes');
    assert.match(exits(await cli.run(['cancel', 'shots', '--yes']), 0).stdout, /^shots: 3 rows cancelled/m);
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal((await simulator.stats()).creates, 0);
    assert.equal((await counts('shots'))['cancelled'], 3);
    assert.match(exits(await cli.run(['resume', 'shots']), 2).stderr, /was cancelled \[CANCELLED\]/);
    assert.match(
      exits(await cli.run(['retry', 'shots']), 2).stderr,
      /shots: 3 rows again: 3 cancelled; sending them costs an unknown amount\. Continue\? \[NOT_CONFIRMED\]/,
    );
    const [first] = csvOf(1).split('\n')[1]?.split(',') ?? [];
    const named = exits(await cli.run(['retry', 'shots', '--key', String(first)]), 0).stdout;
    assert.match(named, /^shots: 1 row is pending again/m, 'a row that is named is not asked about');
    assert.match(
      exits(await cli.run(['retry', 'shots', '--yes']), 0).stdout,
      /^shots: 2 rows are pending again/m,
    );
    exits(await cli.run(['work', '--drain']), 0);
    assert.equal((await counts('shots'))['submitted'], 3);
  });

  it('pauses everything, and resumes it', async () => {
    const file = await cli.write('later.csv', csvOf(2, 'later'));
    exits(await cli.run(['submit', file]), 0);
    assert.match(exits(await cli.run(['pause']), 0).stdout, /^everything: paused/m);
    const status = exits(await cli.run(['status', 'later']), 0).stdout;
    assert.doesNotMatch(status, /one row at a time/, 'what is paused waits for something else');
    assert.match(status, /^ {2}no worker feeds these rows: start `vidbatch work`/m);
    assert.doesNotMatch(status, /ETA/);
    const before = (await simulator.stats()).creates;
    const held = exits(await cli.run(['run', file, '--no-wait']), 6);
    assert.match(
      held.stderr,
      /paused: everything is paused; `vidbatch resume` continues \(\S+@\S+, \S+ \S+ UTC\S* \(\d+s ago\)\)/,
    );
    assert.equal((await simulator.stats()).creates, before);
    assert.match(exits(await cli.run(['resume']), 0).stdout, /^everything: resumed/m);
    exits(await cli.run(['run', file]), 0);
    assert.equal((await counts('later'))['submitted'], 2);
  });

  it('learns from resume that nothing was paused, and what still waits', async () => {
    const file = await cli.write('still.csv', csvOf(2, 'still'));
    exits(await cli.run(['submit', file]), 0);
    exits(await cli.run(['pause', 'still']), 0);
    const all = exits(await cli.run(['resume']), 0).stdout;
    assert.match(all, /^there was no pause of all batches$/m);
    assert.match(all, /^still waiting: still: the batch is paused; `vidbatch resume still` continues/m);
    assert.match(exits(await cli.run(['resume', 'still']), 0).stdout, /^still: resumed$/m);
    assert.match(exits(await cli.run(['resume', 'still']), 0).stdout, /^still: was not paused$/m);
    assert.match(exits(await cli.run(['cancel', 'still', '--yes']), 0).stdout, /^still: 2 rows cancelled/m);
  });

  it('pauses one model: the other rows are sent, and resume says what still waits', async () => {
    const slow = 'viduq3p-1080p';
    const rows = `${csvOf(2, 'models')}models-3,${slow},the shot models-3\n`;
    const file = await cli.write('models.csv', rows);
    const typo = exits(await cli.run(['pause', '--model', 'viduq3p-108p']), 2).stderr;
    assert.match(
      typo,
      /no row of the ledger has the model viduq3p-108p, .*nothing was paused \[NO_SUCH_MODEL\]/,
    );
    assert.match(typo, /Did you mean viduq3p-1080p\?/);
    const why = ['--reason', 'faces are blurred'];
    assert.equal(
      exits(await cli.run(['pause', '--model', slow, ...why]), 0).stdout,
      `model ${slow}: paused; open calls finish\n`,
    );
    const run = exits(await cli.run(['run', file, '--no-wait']), 6);
    const gate = new RegExp(
      `paused: model ${slow} is paused in all batches, and 1 row waits for it; ` +
        `\`vidbatch resume --model ${slow}\` continues \\(\\S+@\\S+, [^(]+\\([^)]+\\): faces are blurred\\)`,
    );
    assert.match(run.stderr + run.stdout, gate);
    assert.match(exits(await cli.run(['status', 'models']), 0).stdout, gate);
    assert.match(exits(await cli.run(['explain', 'models', 'models-3']), 0).stdout, gate);
    const [seen] = jsonLines(exits(await cli.run(['status', 'models', '--json']), 0).stdout);
    const { counts: by, gates } = seen as { counts: Record<string, number>; gates: { model: string }[] };
    assert.deepEqual([by['submitted'], by['pending']], [2, 1]);
    assert.deepEqual(
      gates.map(({ model }) => model),
      [slow],
    );
    const all = exits(await cli.run(['resume']), 0).stdout;
    assert.match(all, /^there was no pause of all batches$/m);
    assert.match(all, new RegExp(`^still waiting: models: model ${slow} is paused in all batches`, 'm'));
    const inBatch = exits(await cli.run(['resume', 'models', '--model', slow]), 0).stdout;
    assert.match(inBatch, new RegExp(`^models: model ${slow}: was not paused in this batch$`, 'm'));
    assert.match(inBatch, /^still waiting: models: model /m);
    assert.equal(exits(await cli.run(['resume', '--model', slow]), 0).stdout, `model ${slow}: resumed\n`);
    exits(await cli.run(['run', file]), 0);
    assert.equal((await counts('models'))['submitted'], 3);
  });

  it('does not cancel everything without being asked, or --yes', async () => {
    assert.match(exits(await cli.run(['cancel']), 2).stderr, /\[NOT_CONFIRMED\]/);
    const many = ['resolve', 'later', '--all', '--abandon', '--reason', 'over'];
    assert.match(exits(await cli.run(many), 0).stdout, /no uncertain row matches/, 'nothing to ask about');
    assert.match(exits(await cli.run(['cancel', '--yes']), 0).stdout, /^everything: 0 rows cancelled/m);
    assert.equal((await counts('later'))['submitted'], 2);
  });

  it('retries what was rejected, once its cause is gone', async () => {
    await simulator.addRule({ fault: 'invalid-request', match: { prompt: 'again-2' } });
    const file = await cli.write('again.csv', csvOf(2, 'again'));
    exits(await cli.run(['run', file]), 4);
    await simulator.clearRules();
    assert.match(
      exits(await cli.run(['retry', 'again', '--yes']), 0).stdout,
      /^again: 1 row is pending again; .* sends it$/m,
    );
    const ended = exits(await cli.run(['run', file]), 0);
    assert.equal(lastLine(ended), '2 rows · 2 task ids · paid twice: none known');
  });

  it('corrects what was rejected from another file, and the old one does not undo it', async () => {
    await simulator.addRule({ fault: 'invalid-request', match: { prompt: 'wrong-1' } });
    const file = await cli.write('wrong.csv', csvOf(1, 'wrong'));
    exits(await cli.run(['run', file]), 4);
    const right = await cli.write('right.csv', csvOf(1, 'wrong').replace('the shot wrong-1', 'right'));
    assert.match(
      exits(await cli.run(['retry', 'wrong', '--changed', right, '--yes']), 0).stdout,
      /^wrong: 1 row took .*; `vidbatch work --drain` sends it; make the change in \S+wrong\.csv, too, before/,
    );
    const more = await cli.write('more.csv', csvOf(2, 'wrong'));
    assert.ok(
      exits(await cli.run(['retry', 'wrong', '--changed', more, '--yes']), 0).stdout.includes(
        `1 row is not in the batch by its id: \`vidbatch submit ${more} --batch wrong\` adds it as a new row`,
      ),
    );
    const { stderr } = exits(await cli.run(['run', file]), 3);
    assert.match(stderr, /\[NEWER_IN_LEDGER\]\n.*\n {4}ledger: .*"right".*\n {4}manifest: .*wrong-1"/);
    exits(
      await cli.run([
        'run',
        await cli.write('wrong.csv', csvOf(1, 'wrong').replace('the shot wrong-1', 'right')),
      ]),
      0,
    );
    await simulator.clearRules();
  });

  it('sees status with exit code 0 for every state of the batches', async () => {
    await simulator.addRule({ fault: 'timeout:created', match: { prompt: 'murky' } });
    const file = await cli.write('murky.csv', csvOf(1, 'murky'));
    exits(await cli.run(['run', file, '--timeout', '300ms']), 5);
    const all = exits(await cli.run(['status', '--json']), 0);
    assert.equal(jsonLines(all.stdout).length, 7);
    const many = ['resolve', 'murky', '--all', '--abandon', '--reason', 'over'];
    const asked = exits(await cli.run(many), 2).stderr;
    assert.match(
      asked,
      /murky: 1 uncertain row matches\. Abandon it\? \[NOT_CONFIRMED\]/,
      'many at once want --yes',
    );
    const text = exits(await cli.run(['status', 'murky']), 0).stdout;
    assert.match(text, /^murky {2}1 row · 0 task ids · 1 uncertain · paid twice: none known$/m);
  });

  it('is told by cost of rows that may have been paid, and sent to `uncertain` only while one is uncertain', async () => {
    const cost = async (): Promise<string> => exits(await cli.run(['cost', 'murky']), 0).stdout;
    assert.match(
      await cost(),
      /^1 row may have been paid, and is not sent again: `vidbatch uncertain` lists it$/m,
    );
    exits(await cli.run(['resolve', 'murky', '--all', '--abandon', '--reason', 'over', '--yes']), 0);
    const after = await cost();
    assert.match(after, /^1 row may have been paid: a person gave it up, or an earlier attempt /m);
    assert.doesNotMatch(after, /vidbatch uncertain/);
  });
});
