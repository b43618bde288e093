import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { exits, job, json, jsonLines } from '../cli.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const OURS =
  'batch,row_key,line,state,task_id,provider_status,result_url,http_status,error_code,error,attempts,submitted_at';

const HEADER = 'id;model;prompt;state;note;line';
const QUOTED = '"first line\nsecond ""quoted""; line"';
const MANIFEST = `${HEADER}
b;viduq3p-720p;${QUOTED};Bavaria;=SUM(A1:A9);17
a;viduq3p-720p;plain;Hesse; padded ;
`;

describe('export', async () => {
  const cli = await openCliOnPostgres('--task-time', '1ms');
  const { simulator } = cli;
  after(cli.close);
  let csv: string;

  before(async () => {
    await simulator.configure({ task: { queuedMs: 0, runningMs: 1 } });
    const file = await cli.write('laender.csv', MANIFEST);
    exits(await cli.run(['run', file]), 0);
    csv = exits(await cli.run(['export', 'laender']), 0).stdout;
  });

  it("appends its columns to those of the input, in input order, with the input's delimiter", () => {
    const [header, ...records] = parse(csv, { delimiter: ';', bom: true });
    assert.deepEqual(header, `id,model,prompt,input.state,note,input.line,${OURS}`.split(','));
    assert.deepEqual(
      records.map((record) => record[0]),
      ['b', 'a'],
    );
  });

  it('keeps what the cells say: line breaks, quotes and blanks; and no spreadsheet runs a formula', () => {
    const rows: Record<string, string>[] = parse(csv, { delimiter: ';', columns: true });
    assert.equal(rows[0]?.['prompt'], 'first line\nsecond "quoted"; line');
    assert.equal(rows[0]?.['note'], "'=SUM(A1:A9)");
    assert.equal(rows[1]?.['note'], ' padded ');
    assert.deepEqual([rows[0]?.['input.state'], rows[0]?.['input.line']], ['Bavaria', '17']);
  });

  it('shows the result of each row', () => {
    const rows: Record<string, string>[] = parse(csv, { delimiter: ';', columns: true });
    const ids = new Map(simulator.accepted().map(({ body, taskId }) => [body.prompt, taskId]));
    for (const row of rows) {
      assert.equal(row['batch'], 'laender');
      assert.equal(row['row_key'], row['id']);
      assert.equal(row['state'], 'submitted');
      assert.equal(row['task_id'], ids.get(row['prompt'] ?? ''));
      assert.equal(row['http_status'], '200');
      assert.equal(row['attempts'], '1');
      assert.match(row['submitted_at'] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    assert.deepEqual(
      rows.map((row) => row['line']),
      ['2', '4'],
    );
  });

  it('has, as JSONL, the same keys, the row as read and what was sent', async () => {
    const { stdout } = exits(await cli.run(['export', 'laender', '--format', 'jsonl']), 0);
    const [first] = jsonLines<Record<string, unknown>>(stdout);
    assert.deepEqual(Object.keys(first ?? {}), [...OURS.split(','), 'input', 'request']);
    assert.deepEqual(first?.['input'], {
      id: 'b',
      model: 'viduq3p-720p',
      prompt: 'first line\nsecond "quoted"; line',
      state: 'Bavaria',
      note: '=SUM(A1:A9)',
      line: '17',
    });
    assert.deepEqual(first?.['request'], {
      model: 'viduq3p-720p',
      prompt: 'first line\nsecond "quoted"; line',
    });
  });

  it('is submitted again to its batch as the same rows', async () => {
    const copy = await cli.write('laender.results.csv', csv);
    const valid = exits(await cli.run(['validate', copy, '--json']), 0);
    const { rows, errors } = json(valid) as { rows: number; errors: number };
    assert.deepEqual([rows, errors], [2, 0]);
    const before = simulator.accepted().length;
    const again = exits(await cli.run(['run', copy, '--batch', 'laender', '--json']), 0);
    assert.equal((json(again) as { rows: number }).rows, 2);
    assert.equal(simulator.accepted().length, before);
    assert.equal(exits(await cli.run(['export', 'laender', '--bom']), 0).stdout, `\uFEFF${csv}`);
  });

  it('shows, after reconcile, how the tasks ended and where the videos are', async () => {
    const reconciled = exits(await cli.run(['reconcile', 'laender', '--json']), 0);
    assert.equal((json(reconciled) as { completed: number }).completed, 2);
    const { stdout } = exits(await cli.run(['export', 'laender', '--format', 'jsonl']), 0);
    for (const row of jsonLines<Record<string, unknown>>(stdout)) {
      assert.equal(row['provider_status'], 'completed');
      assert.match(String(row['result_url']), /^https?:\/\//);
      assert.equal(row['state'], 'submitted');
    }
  });

  it('has, for a manifest in JSON, the columns of its rows in order of appearance', async () => {
    exits(await cli.run(['submit', job('image.jsonl')]), 0);
    const { stdout } = exits(await cli.run(['export', 'image']), 0);
    assert.ok(
      stdout.startsWith(`id,model,prompt,image,duration,extra_body,usage,${OURS}\r\n`),
      stdout.slice(0, 200),
    );
    const rows: Record<string, string>[] = parse(stdout, { columns: true });
    assert.equal(rows.length, 8);
    assert.equal(rows[0]?.['extra_body'], '{"seed":42}');
  });
});

describe('export to a workbook', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('has the same rows again when it is submitted, and is refused where a file is', async () => {
    const rows = [
      '007,viduq3p-720p,清晨的渔港,=1+1',
      '12345678901234567890,viduq3p-720p,"two\nlines",\'=quoted',
    ];
    const file = await cli.write('sheet.csv', `id,model,prompt,note\n${rows.join('\n')}\n`);
    exits(await cli.run(['run', file]), 0);
    const path = `${cli.folder}/sheet.results.xlsx`;
    assert.equal(exits(await cli.run(['export', 'sheet', '--output', path]), 0).stdout, `wrote ${path}\n`);
    const before = simulator.accepted().length;
    const again = exits(await cli.run(['run', path, '--batch', 'sheet', '--json']), 0);
    const { counts } = json(again) as { counts: Record<string, number> };
    assert.equal(counts['submitted'], 2);
    assert.equal(simulator.accepted().length, before);
    assert.match(exits(await cli.run(['export', 'sheet', '--output', path]), 2).stderr, /\[FILE_EXISTS\]/);
    assert.match(
      exits(await cli.run(['export', 'sheet', '--format', 'xlsx']), 2).stderr,
      /\[OUTPUT_NEEDED\]/,
    );
  });

  it('writes CSV into a file, too', async () => {
    const path = `${cli.folder}/out.csv`;
    exits(await cli.run(['export', 'sheet', '--output', path]), 0);
    assert.equal(await readFile(path, 'utf8'), exits(await cli.run(['export', 'sheet']), 0).stdout);
  });
});
