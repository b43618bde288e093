import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const HEADER = 'id,model,prompt,duration';
const ROW = 'a,viduq3p-720p,a kite,5';
const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

describe('faults of a manifest', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);
  const sent = async (): Promise<number> => (await cli.simulator.stats()).creates;

  const wholeFile = [
    ['twice.csv', `${HEADER},duration\n${ROW},5\n`, /duplicate-header/],
    ['understood.csv', '编号,模型,提示词,时长,时长\na,viduq3p-720p,风筝,5,5\n', /duplicate-header/],
    ['open.csv', `${HEADER}\n${ROW}\nb,viduq3p-720p,"a kite,5\n`, /never closed/],
    ['after.csv', `prompt,model\n"a "kite" "high\nup",viduq3p-720p\n`, /after the closing quote/],
    ['cut.json', '[{"id":"a","model":"viduq3p-720p","prompt":"a kite"},{"id":', /bad-json/],
    ['two.json', '[{"id":"a","model":"viduq3p-720p","prompt":"a kite"}] []', /bad-json/],
  ] as const;
  for (const [name, text, says] of wholeFile) {
    it(`that may be about every row stop all of them, also with --keep-going: ${name}`, async () => {
      const file = await cli.write(name, text);
      const before = await sent();
      for (const command of ['plan', 'submit', 'run']) {
        const { stderr } = exits(await cli.run([command, file, '--keep-going']), 3);
        assert.match(stderr, says);
        assert.match(stderr, /\[BROKEN_MANIFEST\]/);
      }
      assert.equal(await sent(), before);
    });
  }

  it('name the row and its id where rows share a line, and their line elsewhere', async () => {
    const rows = [
      { id: 'a1', model: 'viduq3p-720p', prompt: 'x' },
      { id: 'a2', model: 'viduq3p-720p', prompt: 'y', duration: 99 },
      { id: 'a1', model: 'viduq3p-720p', prompt: 'z' },
    ];
    const one = await cli.write('min.json', JSON.stringify(rows));
    const { stderr } = exits(await cli.run(['validate', one]), 3);
    assert.match(stderr, /min\.json row 2 \(id a2\) duration: 99 is not between 1 and 16/);
    assert.match(stderr, /min\.json row 3 \(id a1\) id: is the id of row 1 already/);
    assert.match(
      exits(await cli.run(['run', one]), 3).stderr,
      /min\.json row 2 \(id a2\) duration: .*2 of 3 rows are invalid/s,
    );
    for (const [name, text] of [
      ['lines.json', JSON.stringify(rows, null, 2)],
      ['lines.jsonl', rows.map((row) => JSON.stringify(row)).join('\n')],
    ] as const) {
      const file = await cli.write(name, text);
      assert.match(exits(await cli.run(['validate', file]), 3).stderr, /lines\.jsonl?:\d+ duration: 99/);
    }
  });

  it('are a list for a program, warnings too', async () => {
    const file = await cli.write('list.csv', `${HEADER}\nq,viduq3p-720p,a 5" lens,5\nr,viduq3p-720p,b,99\n`);
    const { errors, warnings, faults } = JSON.parse(
      exits(await cli.run(['validate', file, '--json']), 3).stdout,
    ) as { errors: number; warnings: number; faults: { message: string }[] };
    assert.deepEqual([errors, warnings], [1, 1]);
    assert.deepEqual(
      faults.map(({ message: _message, ...fault }) => fault),
      [
        { severity: 'warning', file, line: 2, row: 1, id: 'q', column: null, rule: 'quote-in-cell' },
        { severity: 'error', file, line: 3, row: 2, id: 'r', column: 'duration', rule: 'duration-range' },
      ],
    );
  });

  it('are the same for validate and run, also for deeply nested columns that are kept', async () => {
    const good = '{"id":"g","model":"viduq3p-720p","prompt":"good"}';
    const file = await cli.write(
      'deep.jsonl',
      `${good}\n{"id":"d","model":"viduq3p-720p","prompt":"deep","note":${deep(5000)}}\n`,
    );
    const before = await sent();
    const validated = exits(await cli.run(['validate', file]), 3).stderr;
    const ran = exits(await cli.run(['run', file]), 3).stderr;
    for (const stderr of [validated, ran]) assert.match(stderr, /deep\.jsonl:2.*nest/);
    assert.equal(await sent(), before);
    exits(await cli.run(['run', file, '--keep-going']), 4);
    assert.equal(await sent(), before + 1);
  });

  it('that a person insists on are sent with --as-written, and warnings are errors with --strict', async () => {
    const before = await sent();
    const insist = await cli.write('insist.csv', 'id,model,prompt\ny1,viduq3p-720p,None\n');
    assert.match(exits(await cli.run(['run', insist]), 3).stderr, /1 of 1 row is invalid; nothing was sent/);
    exits(await cli.run(['run', insist, '--as-written']), 0);
    assert.equal(cli.simulator.accepted().at(-1)?.body.prompt, 'None');
    const lens = await cli.write('lens.csv', 'id,model,prompt\nl1,viduq3p-720p,a 5" lens\n');
    assert.match(exits(await cli.run(['run', lens, '--strict']), 3).stderr, /lens\.csv:2.*quote-in-cell/);
    assert.match(
      exits(await cli.run(['validate', lens, '--strict']), 3).stderr,
      /lens\.csv:2.*quote-in-cell/,
    );
    assert.equal(await sent(), before + 1);
    exits(await cli.run(['run', lens]), 0);
    assert.equal(cli.simulator.accepted().at(-1)?.body.prompt, 'a 5" lens');
  });
});
