import assert from 'node:assert/strict';
import type { Database } from '../../src/database/database.ts';

const date = new Date('2026-03-04T05:06:07.089Z');
const bytes = Buffer.from([0, 1, 92, 127, 128, 255]);
const words = [
  '',
  'NULL',
  'a"b',
  "it's",
  'back\\slash',
  '{braces}',
  'com,ma',
  '提示词 😀',
  'line\nbreak',
  null,
];

/** Statement, its parameters, and the value that every driver gives for its one row's `x`. */
const values: [sql: string, params: unknown[], x: unknown][] = [
  ['select 2147483647::int4 as x', [], 2147483647],
  ['select $1::int4 as x', [-1], -1],
  ['select $1::int8 as x', [Number.MAX_SAFE_INTEGER], Number.MAX_SAFE_INTEGER],
  ['select $1::int8 as x', ['42'], 42],
  ['select count(*) as x from generate_series(1, 3)', [], 3],
  ['select sum(n) as x from unnest($1::bigint[]) n', [[1, 2]], 3],
  ['select 1.5::numeric as x', [], 1.5],
  ['select $1::float8 as x', [0.1], 0.1],
  ['select $1::float8 as x', [1e300], 1e300],
  ['select $1::text as x', ['提示词 \' " \\ 😀'], '提示词 \' " \\ 😀'],
  ['select $1::text as x', [7], '7'],
  ['select $1::bool as x', [true], true],
  ['select $1::bool as x', [false], false],
  ['select $1::timestamptz as x', [date], date],
  ['select $1::timestamptz as x', ['2026-03-04T05:06:07.089Z'], date],
  ['select $1::jsonb as x', ['{"a":[1,null,"ü"]}'], { a: [1, null, 'ü'] }],
  ['select $1::jsonb as x', [{ a: { b: 1 } }], { a: { b: 1 } }],
  ['select $1::jsonb as x', ['"text"'], 'text'],
  ['select null::jsonb as x', [], null],
  ['select $1::bytea as x', [bytes], bytes],
  ['select $1::bytea as x', [new Uint8Array(bytes)], bytes],
  ['select $1::uuid as x', ['A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['select $1::text[] as x', [words], words],
  ['select $1::text[] as x', [[]], []],
  [
    'select $1::text[] as x',
    [
      [
        ['a', null],
        ['b', 'c'],
      ],
    ],
    [
      ['a', null],
      ['b', 'c'],
    ],
  ],
  ['select $1::bigint[] as x', [[1, null, 9007199254740991]], [1, null, 9007199254740991]],
  ['select $1::int[] as x', [[1, -2]], [1, -2]],
  ['select $1::bool[] as x', [[true, false, null]], [true, false, null]],
  ['select $1::timestamptz[] as x', [[date, null]], [date, null]],
  ['select $1::text as x', [null], null],
  ['select $1::int as x', [undefined], null],
  ['select 1 as y, 2 as x', [], 2],
];

const counts: [sql: string, rowCount: number | null, rows: unknown[]][] = [
  ['create temp table contract (id int primary key, body text)', null, []],
  ["insert into contract select n, 'a' from generate_series(1, 5) n", 5, []],
  ["insert into contract values (1, 'b') on conflict do nothing", 0, []],
  ["update contract set body = 'c' where id > 2 returning id", 3, [{ id: 3 }, { id: 4 }, { id: 5 }]],
  ['select id from contract where id < 3 order by id', 2, [{ id: 1 }, { id: 2 }]],
  ['delete from contract', 5, []],
  ['drop table contract', null, []],
];

/** What the ledger may rely on, whichever driver is behind the shape. */
export async function assertContract(database: Database): Promise<void> {
  for (const [sql, params, x] of values) {
    const { rows } = await database.query<{ x: unknown }>(sql, params);
    assert.deepEqual(rows[0]?.x, x, `${sql} with ${JSON.stringify(params)}`);
  }
  await assert.rejects(database.query('select 9007199254740993 as x'), /does not fit a JavaScript number/);
  const session = await database.connect();
  for (const [sql, rowCount, rows] of counts) {
    const result = await session.query(sql);
    assert.deepEqual([result.rowCount, result.rows], [rowCount, rows], sql);
  }
  session.release();
  await assert.rejects(database.query('select $1::int', ['a']), { code: '22P02' });
  await assert.rejects(database.query('select * from nowhere'), { code: '42P01' });
}
