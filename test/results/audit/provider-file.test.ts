import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatAmount } from '../../../src/core/money/money.ts';
import { openProviderFile, type FileOptions } from '../../../src/results/audit/provider-file.ts';
import type { FileLine, ProviderRecord } from '../../../src/ledger/audit/provider-lines.ts';
import { VidbatchError } from '../../../src/core/errors.ts';
import { parseMap } from '../../../src/manifest/columns.ts';
import { defaultProfile } from '../../../src/provider/profile/load.ts';
import { TaskWords } from '../../../src/provider/task-words.ts';
import { profileWith } from '../../provider/answers.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vidbatch-files-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const NONE: FileOptions = { map: new Map(), zone: undefined, currency: undefined, negative: undefined };

async function linesOf(
  name: string,
  text: string | Buffer,
  options: Partial<FileOptions> = {},
): Promise<FileLine[]> {
  const path = join(folder, name);
  await writeFile(path, text);
  const lines: FileLine[] = [];
  const file = await openProviderFile(path, { ...NONE, ...options });
  for await (const line of file.lines) lines.push(line);
  return lines;
}

/** What was read, without what is null. */
async function read(
  name: string,
  text: string | Buffer,
  options: Partial<FileOptions> = {},
): Promise<object[]> {
  return (await linesOf(name, text, options)).map(({ read: line }) => said(line));
}

function said({ amount, ...rest }: ProviderRecord): object {
  const all = { ...rest, amount: amount === null ? null : formatAmount(amount, 2) };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== false));
}

const refused = (code: string) => (error: unknown) =>
  error instanceof VidbatchError && error.code === code && error.exitCode === 2;

describe('a file of the provider', () => {
  test('may be a workbook whose times are dates, and a date as a task id is a fault', async () => {
    const workbook = await readFile(new URL('tasks.xlsx', import.meta.url));
    const [first, second] = await linesOf('tasks.xlsx', workbook, { zone: 'Asia/Shanghai' });
    assert.deepEqual(
      [first?.read.taskId, first?.read.createdAt, first?.read.fault],
      ['task_1', Date.parse('2026-12-03T14:30:00+08:00'), null],
    );
    assert.match(second?.read.fault ?? '', /^A3 is a date/);
  });

  test('has the words of the profiles for the status of a task', async () => {
    const { task } = profileWith('task: { words: { completed: [ready] } }');
    const words = [new TaskWords(task), new TaskWords(defaultProfile().task)];
    const list = 'task_id,status\na,READY\nb,success\nc,strange\n';
    const statuses = (await linesOf('words.csv', list, { words })).map(({ read: line }) => line.status);
    assert.deepEqual(statuses, ['completed', 'completed', 'unknown']);
  });

  test('has its columns under their usual names', async () => {
    const list = 'Task ID,Status,Model,Seconds,createdAt\nt1,SUCCESS,m,5,1700000000\n';
    assert.deepEqual(await read('list.csv', list), [
      { taskId: 't1', status: 'completed', model: 'm', duration: 5, createdAt: 1_700_000_000_000 },
    ]);
    const bill =
      'id,time,type,task_id,cost (CNY)\n7,1700000000,消费,t1,"1,234.50"\n8,1700000001,退款,t1,¥3\n';
    assert.deepEqual(await read('bill.csv', bill, { currency: 'CNY' }), [
      {
        taskId: 't1',
        chargeId: '7',
        entry: 'charge',
        amount: '1234.50',
        currency: 'CNY',
        billedAt: 1_700_000_000_000,
      },
      {
        taskId: 't1',
        chargeId: '8',
        entry: 'refund',
        amount: '3.00',
        currency: 'CNY',
        billedAt: 1_700_000_001_000,
      },
    ]);
  });

  test('is a list where it says how tasks are, and a bill where it names amounts', async () => {
    const first = async (header: string): Promise<unknown> =>
      (await linesOf('kind.csv', `${header}\nt,1,1\n`, { currency: 'CNY' }))[0]?.listed;
    assert.deepEqual(await first('task_id,status,duration'), true);
    assert.deepEqual(await first('task_id,amount,duration'), false);
    assert.deepEqual(await first('task_id,amount,status'), true);
    assert.deepEqual(await first('task_id,model,duration'), true);
  });

  test('may be JSON as gateways wrap it, JSON lines, or CSV in GB18030 with headers of its own', async () => {
    const rows = [{ task_id: 't1', properties: { input: 'a kite' } }, { task_id: 't2' }];
    const expected = [{ taskId: 't1', prompt: 'a kite' }, { taskId: 't2' }];
    assert.deepEqual(await read('a.json', JSON.stringify(rows)), expected);
    const wrapped = { code: 'success', total: 2, data: { page: 1, items: rows }, message: '' };
    assert.deepEqual(await read('b.json', JSON.stringify(wrapped)), expected);
    assert.deepEqual(await read('c.jsonl', rows.map((row) => JSON.stringify(row)).join('\n')), expected);
    // 单号;模型 and t1;m in GB18030.
    const chinese = Buffer.concat([Buffer.from('b5a5bac53bc4a3d0cd0a', 'hex'), Buffer.from('t1;m\n')]);
    assert.deepEqual(await read('d.csv', chinese, { map: parseMap(['task_id=单号']) }), [
      { taskId: 't1', model: 'm' },
    ]);
  });

  test('is read except for the lines that cannot be read', async () => {
    const text = [
      'task_id,amount,currency,created_at,status,type',
      't1,1.00,CNY,1700000000,completed,charge',
      't2,n/a,CNY,1700000000,completed,charge',
      't3,1.00,CNY,soon,completed,charge',
      ',1.00,CNY,1700000000,completed,charge',
      't5,1.00',
      't6,1.00,?,1700000000,completed,charge',
      't7,"1,5",CNY,1700000000,completed,charge',
      't8,1.00 USD,CNY,1700000000,completed,charge',
      't9,1.00,CNY,1700000000,completed,bonus',
      ',9.00,CNY,1700000000,,top-up',
    ].join('\n');
    const faults = (await linesOf('bad.csv', text)).map(({ line, read: one }) => [
      line,
      one.fault,
      one.aside,
    ]);
    assert.deepEqual(
      faults.map(([line, fault, aside]) => [line, fault !== null, aside]),
      [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((line) => [line, line !== 2 && line !== 11, line === 11]),
    );
    assert.match(String(faults[1]?.[1]), /^amount: "n\/a" is not a decimal/);
    assert.match(String(faults[3]?.[1]), /no task id/);
  });

  test('is refused where all of it would be a guess', async () => {
    const cases: [code: string, text: string, options?: Partial<FileOptions>][] = [
      ['NO_TASK_IDS', 'when,what\n1,2\n'],
      ['NO_TASK_IDS', 'id,prompt,model,duration\nkite,a kite,m,5\n'],
      ['NO_ENTRIES', ''],
      ['NO_ENTRIES', 'task_id,status\n'],
      ['NO_ZONE', 'task_id,created_at\nt,2026-03-01 10:00:00\n'],
      ['NO_CURRENCY', 'task_id,amount\nt,1.00\n'],
      ['NO_CURRENCY', 'task_id,amount\nt,$1.00\n'],
      ['NO_CURRENCY', 'task_id,amount,currency\nt,1.00,¥\n'],
      ['TWO_COLUMNS', 'task_id,cost,fee\nt,1,2\n'],
      ['NO_SUCH_FIELD', 'task_id\nt\n', { map: parseMap(['price=x']) }],
      ['FILE_UNREADABLE', 'task_id,task_id\nt,u\n'],
    ];
    for (const [code, text, options] of cases) {
      await assert.rejects(linesOf('refused.csv', text, options), refused(code), code);
    }
  });

  test('is refused if it is about something else, or is empty', async () => {
    const cases: [code: string, name: string, text: string][] = [
      ['NO_ENTRIES', 'prices.json', '{"m": {"perSecond": "0.40", "currency": "CNY"}}'],
      ['NO_ENTRIES', 'none.json', '[]'],
      ['NO_ENTRIES', 'page.json', '{"code": "error", "data": {"items": []}}'],
      ['NO_TASK_IDS', 'rows.json', '[{"prompt": "a kite"}, {"prompt": "a boat", "size": 1}]'],
      ['NO_TASK_IDS', 'manifest.jsonl', '{"id": "kite", "prompt": "a kite", "model": "m"}'],
    ];
    for (const [code, name, text] of cases) await assert.rejects(linesOf(name, text), refused(code), name);
    const path = join(folder, 'not-there.csv');
    await assert.rejects(openProviderFile(path, NONE), refused('FILE_NOT_FOUND'));
    assert.deepEqual(await linesOf('quiet.json', '[]', { mayBeEmpty: true }), []);
    // A fault of a line is told with the line.
    assert.equal((await linesOf('broken.json', '[{"task_id"')).length, 1);
    assert.equal(
      (await linesOf('top-up.json', '[{"type": "top-up", "amount": 5, "currency": "CNY"}]')).length,
      1,
    );
  });

  test('keeps amounts that a float would change', async () => {
    const [line] = await linesOf('exact.jsonl', '{"task_id":"t","amount":0.1,"currency":"CNY"}');
    assert.equal(line && said(line.read)['amount' as never], '0.10');
    const [long] = await linesOf(
      'long.jsonl',
      '{"task_id":"t","amount":1234567890.1234567,"currency":"CNY"}',
    );
    assert.match(long?.read.fault ?? '', /more digits than a JSON number keeps/);
  });
});
