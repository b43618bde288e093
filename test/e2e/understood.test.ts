import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const NAMED = ['--map', 'model=模型', '--map', 'prompt=提示词'];

describe('headers that are understood', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);
  const sent = async (): Promise<number> => (await cli.simulator.stats()).creates;

  it('send their fields, and are named once, beside the columns that are kept', async () => {
    const file = await cli.write(
      'plain.csv',
      '编号,模型,提示词,时长（秒）,备注\na,viduq3p-720p,清晨,7,draft\n',
    );
    const ran = exits(await cli.run(['run', file]), 0);
    assert.equal(cli.simulator.accepted().at(-1)?.body.duration, 7);
    const told = ran.stdout + ran.stderr;
    assert.equal([...told.matchAll(/1 column is kept and not sent: "备注"/g)].length, 1);
    assert.equal([...told.matchAll(/4 columns are understood: /g)].length, 1);
    const { keptColumns, understoodColumns } = JSON.parse(
      exits(await cli.run(['run', file, '--json']), 0).stdout,
    ) as Record<string, unknown>;
    assert.deepEqual(keptColumns, ['备注']);
    assert.deepEqual(understoodColumns, {
      编号: 'id',
      模型: 'model',
      提示词: 'prompt',
      '时长（秒）': 'duration',
    });
  });

  const cases = [
    {
      what: 'an id and a duration',
      name: 'with-ids',
      header: '编号,模型,提示词,时长',
      rows: ['1,viduq3p-720p,晨,5', '2,viduq3p-720p,昏,6'],
      flags: NAMED,
      code: 'KEYS_CHANGED',
      unsent: ['--map', '编号=编号', '--map', '时长=时长'],
    },
    {
      what: 'a duration in a manifest without ids',
      name: 'without-ids',
      header: '模型,提示词,时长',
      rows: ['viduq3p-720p,夜,5', 'viduq3p-720p,雨,6'],
      flags: NAMED,
      code: 'LOOKS_LIKE_EDITS',
      unsent: ['--map', '时长=时长'],
    },
    {
      what: 'a duration in a manifest with ids',
      name: 'mapped-ids',
      header: '编号,模型,提示词,时长',
      rows: ['1,viduq3p-720p,海,5', '2,viduq3p-720p,山,6'],
      flags: [...NAMED, '--map', 'id=编号'],
      code: 'CHANGED_AFTER_SENT',
      unsent: ['--map', '时长=时长'],
    },
  ];
  for (const { what, name, header, rows, flags, code, unsent } of cases) {
    it(`never pay again for rows that were sent without ${what}: ${code}, and how to continue`, async () => {
      const file = await cli.write(`${name}.csv`, `${[header, ...rows].join('\n')}\n`);
      const asBefore = header
        .split(',')
        .filter((one) => ['编号', '时长'].includes(one) && !flags.includes(`id=${one}`))
        .flatMap((one) => ['--map', `${one}=${one}`]);
      exits(await cli.run(['run', file, ...flags, ...asBefore]), 0);
      const before = await sent();
      for (const again of [
        ['plan', file],
        ['run', file],
        ['run', file, ...flags],
      ]) {
        const { stderr } = exits(await cli.run(again), 3);
        assert.match(stderr, new RegExp(`\\[${code}\\]`));
        assert.ok(
          stderr.replaceAll("'", '').includes(unsent.join(' ')),
          `${stderr} names ${unsent.join(' ')}`,
        );
      }
      assert.equal(await sent(), before);
      const onward = exits(await cli.run(['run', file, ...unsent]), 0);
      assert.match(onward.stdout, new RegExp(`^${name}: 2 rows · 0 new · 2 known\n`));
      assert.equal(await sent(), before);
    });
  }

  it('are missed in a manifest from standard input, too, before any row is read', async () => {
    const stdin = 'id,text\n1,a kite\n';
    for (const command of ['plan', 'submit', 'run']) {
      const { stderr } = exits(
        await cli.run([command, '-', '--format', 'csv', '--batch', 'piped'], { stdin }),
        3,
      );
      assert.match(stderr, /the header has no prompt and no model, .*--map prompt=text.* \[HEADER_MISSING\]/);
      assert.doesNotMatch(stderr, /-required/);
    }
  });

  it('are told apart by a delimiter that must be named, because cells may hold it', async () => {
    const file = await cli.write('bars.csv', 'id|model|prompt\n1|viduq3p-720p|a kite\n');
    const { stderr } = exits(await cli.run(['validate', file]), 3);
    assert.match(stderr, /because "\|" separates its cells: say so with --delimiter '\|' \[header-missing\]/);
    exits(await cli.run(['validate', file, '--delimiter', '|']), 0);
  });
});
