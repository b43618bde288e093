import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { exits, json, lastLine } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { countByPrompt } from './manifest.ts';

const MODEL = 'viduq3p-720p';

describe('--variants and --template', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('show the number of rows and their cost in the plan, and make that many videos', async () => {
    const file = await cli.write(
      'cats.csv',
      `id,model,prompt,color\na,${MODEL},a {{color}} cat,red\nb,${MODEL},a {{color}} cat,blue\n`,
    );
    const prices = await cli.write('prices.json', `{"${MODEL}": {"perSecond": "0.10", "currency": "CNY"}}`);
    const flags = ['--template', '--variants', '4', '--prices', prices];
    const plan = exits(await cli.run(['plan', file, ...flags]), 0).stdout;
    assert.match(plan, /^cats: 8 rows · 8 new$/m);
    assert.match(plan, /4\.00 CNY/);
    assert.doesNotMatch(plan, /not sent: color/);
    assert.match(
      exits(await cli.run(['validate', file, ...flags.slice(0, 3)]), 0).stdout,
      /: 8 rows · valid/,
    );
    assert.equal(
      lastLine(exits(await cli.run(['run', file, ...flags]), 0)),
      '8 rows · 8 task ids · paid twice: none known',
    );
    assert.deepEqual(
      [...countByPrompt(simulator.accepted())].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      [
        ['a blue cat', 4],
        ['a red cat', 4],
      ],
    );
    const again = exits(await cli.run(['run', file, ...flags]), 0);
    assert.match(again.stdout, /cats: 8 rows · 0 new · 8 known/);
    assert.equal(simulator.accepted().length, 8);
  });

  it('leave the cells of the export as they were, with all variants of a row together', async () => {
    const { stdout } = exits(await cli.run(['export', 'cats']), 0);
    const rows: Record<string, string>[] = parse(stdout, { columns: true });
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['a', 'a#2', 'a#3', 'a#4', 'b', 'b#2', 'b#3', 'b#4'],
    );
    assert.ok(rows.every(({ prompt }) => prompt === 'a {{color}} cat'));
    const copy = await cli.write('copy.csv', stdout);
    exits(await cli.run(['run', copy, '--batch', 'cats', '--template']), 0);
    assert.match(exits(await cli.run(['run', copy, '--batch', 'cats']), 3).stderr, /\[CHANGED_AFTER_SENT\]/);
    assert.equal(simulator.accepted().length, 8);
  });

  it('change nothing without the flags: a prompt with {{ is sent as it is', async () => {
    const file = await cli.write('plain.csv', `id,model,prompt,color\nz,${MODEL},{{color}} as it is,red\n`);
    exits(await cli.run(['run', file], { env: { VIDBATCH_TEMPLATE: 'true', VIDBATCH_VARIANTS: '9' } }), 0);
    assert.equal(countByPrompt(simulator.accepted()).get('{{color}} as it is'), 1);
    assert.match(exits(await cli.run(['run', file, '--template']), 3).stderr, /\[CHANGED_AFTER_SENT\]/);
  });

  it('name an unknown column and a wrong number', async () => {
    const file = await cli.write('typo.csv', `id,model,prompt,color\na,${MODEL},a {{colr}} cat,red\n`);
    const ended = exits(await cli.run(['validate', file, '--template', '--json']), 3);
    assert.match(ended.stdout, /template-column/);
    assert.equal((json(ended) as { rows: number }).rows, 1);
    assert.match(
      exits(await cli.run(['run', file, '--variants', '0']), 2).stderr,
      /--variants: "0" is not a whole number from 1 to 100/,
    );
  });

  it('warn of a seed that all variants share', async () => {
    const file = await cli.write('seed.csv', `id,model,prompt,extra_body.seed\na,${MODEL},a cat,5\n`);
    assert.match(exits(await cli.run(['validate', file, '--variants', '2']), 0).stderr, /\[variant-seed\]/);
  });
});
