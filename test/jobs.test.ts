import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import type { Fault, RawRow } from '../src/manifest/entry.ts';
import { isOffPeak } from '../src/core/model.ts';
import { readRequest, type ReadRequest } from '../src/manifest/request/read-request.ts';

function textOf(name: string, encoding = 'utf-8'): string {
  const bytes = readFileSync(new URL(`../jobs/${name}`, import.meta.url));
  return new TextDecoder(encoding, { fatal: true }).decode(bytes);
}

/** The rows of a CSV file; one of another width than the header is undefined. */
function csvRows(text: string, delimiter = ',', names: Record<string, string> = {}): (RawRow | undefined)[] {
  const [header = [], ...records] = parse(text, { delimiter, relax_column_count: true });
  const columns = header.map((column) => names[column] ?? column);
  return records.map((record) =>
    record.length === columns.length
      ? Object.fromEntries(columns.map((column, i) => [column, record[i]]))
      : undefined,
  );
}

function readAll(rows: readonly (RawRow | undefined)[], source: 'csv' | 'json'): ReadRequest[] {
  return rows.map((row, i) => readRequest(row ?? assert.fail(`row ${i + 1}`), { source, line: i + 1 }));
}

function errorsOf({ faults }: ReadRequest): Fault[] {
  return faults.filter(({ severity }) => severity === 'error');
}

const offPeakNames = {
  编号: 'id',
  模型: 'model',
  提示词: 'prompt',
  画幅: 'aspect_ratio',
  时长: 'duration',
  种子: 'extra_body.seed',
};

describe('the sample manifests', () => {
  for (const [name, mode, count, rows] of [
    ['text.csv', 'text', 12, () => readAll(csvRows(textOf('text.csv')), 'csv')],
    ['start-end.csv', 'start-end', 6, () => readAll(csvRows(textOf('start-end.csv'), ';'), 'csv')],
    [
      'offpeak.csv',
      'text',
      8,
      () => readAll(csvRows(textOf('offpeak.csv', 'gb18030'), ',', offPeakNames), 'csv'),
    ],
    ['image.jsonl', 'image', 8, () => readAll(jsonLines(textOf('image.jsonl')), 'json')],
    [
      'reference.json',
      'reference',
      6,
      () => readAll(JSON.parse(textOf('reference.json')) as RawRow[], 'json'),
    ],
    ['storyboard.json', 'text', 8, () => readAll(storyboard(textOf('storyboard.json')), 'json')],
  ] as const) {
    it(`${name} has ${count} rows of the mode ${mode}, without a fault`, () => {
      const results = rows();
      assert.equal(results.length, count);
      for (const { request, mode: found, faults } of results) {
        assert.deepEqual(faults, []);
        assert.equal(found, mode);
        assert.ok(request !== undefined);
      }
      const ids = results.flatMap(({ id }) => id ?? []);
      assert.equal(new Set(ids).size, name === 'storyboard.json' ? 0 : count);
    });
  }

  it('offpeak.csv is off-peak, and is no UTF-8', () => {
    const results = readAll(csvRows(textOf('offpeak.csv', 'gb18030'), ',', offPeakNames), 'csv');
    assert.ok(results.every(({ request }) => isOffPeak(request?.model ?? '')));
    assert.throws(() => textOf('offpeak.csv'), TypeError);
  });

  it('contract.json has one row of each mode', () => {
    const results = readAll(JSON.parse(textOf('contract.json')) as RawRow[], 'json');
    assert.deepEqual(
      results.map(({ mode }) => mode),
      ['text', 'image', 'start-end', 'reference'],
    );
  });

  it('faults.csv has four rows that are fine, a ragged one, and ten that break one rule each', () => {
    const found = csvRows(textOf('faults.csv')).map((row, i) => {
      if (row === undefined) return 'ragged';
      const errors = errorsOf(readRequest(row, { source: 'csv', line: i + 2 }));
      return errors.map(({ column, rule, message }) => `${column} ${rule}: ${message}`).join('\n') || 'fine';
    });
    const expected = [
      /^fine$/,
      /^duration duration-range: 20 is not between 1 and 16$/,
      /^model model-unknown: "viduq3-720p" is not a known model; did you mean viduq3p-720p\?.*$/,
      /^prompt prompt-blank: .*$/,
      /^last_image last-image-without-image: .*$/,
      /^fine$/,
      /^reference_image_urls mix-without-reference: .*$/,
      /^aspect_ratio aspect-ratio-unknown: .* did you mean 16:9\?$/,
      /^image url-not-http: "C:\\Users\\mara\\Desktop\\cat.png" .*$/,
      /^ragged$/,
      /^extra_body.seed seed-range: -1 is not between 0 and 2147483647$/,
      /^extra_body.audio audio-type: .*$/,
      /^reference_image_urls reference-with-image: .*$/,
      /^fine$/,
      /^fine$/,
    ];
    assert.equal(found.length, expected.length);
    for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? '', pattern);
  });
});

function jsonLines(text: string): RawRow[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RawRow);
}

function storyboard(text: string): RawRow[] {
  const { defaults, rows } = JSON.parse(text) as { defaults: RawRow; rows: RawRow[] };
  return rows.map((row) => ({ ...defaults, ...row }));
}
