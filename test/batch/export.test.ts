import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { exportCsv, exportJsonl } from '../../src/batch/export.ts';
import type { SubmissionView } from '../../src/ledger/read/rows.ts';
import { readCell } from '../../src/manifest/export-format.ts';
import { exportColumns } from '../../src/manifest/request/field-names.ts';

function view(input: Record<string, unknown>, more: Partial<SubmissionView> = {}): SubmissionView {
  return {
    id: 1,
    batch: 'b',
    key: 'k',
    line: 2,
    state: 'submitted',
    input: JSON.stringify(input),
    request: '{"model":"m"}',
    model: 'm',
    mode: 'text',
    priority: 0,
    taskId: 'task_1',
    providerStatus: 'queued',
    resultUrl: null,
    httpStatus: 200,
    errorCode: null,
    error: null,
    attempts: 1,
    spent: 0,
    submittedAt: new Date('2026-03-04T05:06:07.089Z'),
    notBefore: null,
    deadline: null,
    price: null,
    earlierTaskIds: [],
    updatedAt: new Date(0),
    ...more,
  };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

async function csv(
  batch: { columns: string[] | null; delimiter: string | null; format?: string },
  rows: readonly SubmissionView[],
): Promise<string> {
  let text = '';
  for await (const line of exportCsv(
    { format: 'csv', ...batch },
    each(rows.map(({ input }) => input)),
    each(rows),
  ))
    text += line;
  return text;
}

const OURS = exportColumns.join(',');

describe('CSV', () => {
  test('gives the input columns in their order, then the export columns', async () => {
    const batch = { columns: ['prompt', 'model', 'note'], delimiter: null };
    assert.equal(
      await csv(batch, [view({ model: 'm', prompt: 'p', note: 'kept' })]),
      `prompt,model,note,${OURS}\r\np,m,kept,b,k,2,submitted,task_1,queued,,200,,,1,2026-03-04T05:06:07.089Z\r\n`,
    );
  });

  test('keeps the delimiter of the manifest', async () => {
    const text = await csv({ columns: ['a', 'b'], delimiter: ';' }, [view({ a: 'x;y', b: 'x,y' })]);
    assert.match(text, /^a;b;batch;.*\r\n"x;y";x,y;b;k;/);
  });

  test('renames an input column with the name of an export column', async () => {
    const text = await csv({ columns: ['state', 'line', 'id'], delimiter: null }, [
      view({ state: 'mine', line: '7', id: '1' }),
    ]);
    assert.ok(text.startsWith(`input.state,input.line,id,${OURS}\r\nmine,7,1,b,k,2,submitted,`));
  });

  test('takes the columns of a JSON manifest from its rows, in order of appearance, values as JSON', async () => {
    const rows = [
      view({ id: 'a', extra_body: { seed: 1 } }, { request: null }),
      view({ id: 'b', tags: ['x', 'y'], duration: 5, flag: true }, { request: null }),
    ];
    const text = await csv({ columns: null, delimiter: null }, rows);
    const [header, first, second] = parse(text, { relax_column_count: false });
    assert.deepEqual(header?.slice(0, 5), ['id', 'extra_body', 'tags', 'duration', 'flag']);
    assert.deepEqual(first?.slice(0, 5), ['a', '{"seed":1}', '', '', '']);
    assert.deepEqual(second?.slice(0, 5), ['b', '', '["x","y"]', '5', 'true']);
  });

  test('does not take an inherited property for a column', async () => {
    const text = await csv({ columns: ['constructor', 'toString'], delimiter: null }, [view({})]);
    assert.ok(text.includes('\r\n,,b,k,2'));
  });

  test('leaves unknown values empty', async () => {
    const empty = { taskId: null, providerStatus: null, httpStatus: null, submittedAt: null, attempts: 0 };
    const text = await csv({ columns: ['a'], delimiter: null }, [
      view({ a: '' }, { ...empty, state: 'pending' }),
    ]);
    assert.ok(text.endsWith('\r\n,b,k,2,pending,,,,,,,0,\r\n'), text);
  });

  test('comes back unchanged with any cells', async () => {
    const cell = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('"', ',', '\n', '\r\n', ' x', 'x ', '""', ';', '\t', '', 'a"b,c\nd'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(',', ';', '\t', '|'),
        async (cells, delimiter) => {
          const rows = cells.map(([a, error]) => view({ a }, { error }));
          const text = await csv({ columns: ['a'], delimiter }, rows);
          const read = parse(text, { delimiter, columns: true, record_delimiter: '\r\n' }) as Record<
            string,
            string
          >[];
          assert.deepEqual(
            read.map((row) => [readCell(row['a'] ?? '').value, readCell(row['error'] ?? '').value]),
            cells,
          );
        },
      ),
    );
  });
});

test('JSONL gives the export columns, the row as read, and the request', async () => {
  const rows = [
    view({ id: '1', nested: { a: [1, 'ü'] } }),
    view(
      { id: '2' },
      { state: 'invalid', request: null, taskId: null, submittedAt: null, error: 'bad', errorCode: 'rule' },
    ),
  ];
  const lines: string[] = [];
  for await (const line of exportJsonl(each(rows))) lines.push(line);
  assert.ok(lines.every((line) => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1));
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(Object.keys(first ?? {}), [...exportColumns, 'input', 'request']);
  assert.deepEqual(first?.['input'], { id: '1', nested: { a: [1, 'ü'] } });
  assert.deepEqual(first['request'], { model: 'm' });
  assert.equal(first['submitted_at'], '2026-03-04T05:06:07.089Z');
  assert.deepEqual(
    [second?.['request'], second?.['task_id'], second?.['error'], second?.['error_code']],
    [null, null, 'bad', 'rule'],
  );
});
