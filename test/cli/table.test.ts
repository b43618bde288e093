import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain, Styled } from '../../src/cli/output/style.ts';
import { formatTable, type Column } from '../../src/cli/output/table.ts';
import { widthOf } from '../../src/core/width.ts';

interface Batch {
  name: string;
  state: string;
  rows: number;
  rate: string;
}

const COLUMNS: readonly Column<Batch>[] = [
  { title: 'batch', least: 8, of: ({ name }) => name },
  { title: 'state', of: ({ state }) => new Styled('good', state) },
  { title: 'rows', right: true, of: ({ rows }) => String(rows) },
  { title: 'rate', right: true, drop: 1, of: ({ rate }) => rate },
];
const ROWS: readonly Batch[] = [
  { name: 'spring-campaign', state: 'sending', rows: 12_000, rate: '4/s' },
  { name: '年货促销', state: 'done', rows: 5, rate: '' },
];

function table(rows: readonly Batch[], width?: number): string[] {
  return formatTable(COLUMNS, rows, width).map(plain);
}

describe('a table', () => {
  it('aligns its columns, also beside Chinese, and numbers at the right', () => {
    assert.deepEqual(table(ROWS), [
      'batch            state     rows  rate',
      'spring-campaign  sending  12000   4/s',
      '年货促销         done         5',
    ]);
  });

  it('leaves out a column that is empty in each row', () => {
    assert.equal(table(ROWS.slice(1))[0], 'batch     state  rows');
  });

  it('is never wider than the terminal: long names are cut first', () => {
    assert.deepEqual(table(ROWS, 30), [
      'batch     state     rows  rate',
      'spring-…  sending  12000   4/s',
      '年货促销  done         5',
    ]);
  });

  it('then leaves out the columns that may be missing, and names them', () => {
    const lines = table(ROWS, 29);
    assert.deepEqual(lines, [
      'batch          state     rows',
      'spring-campa…  sending  12000',
      '年货促销       done         5',
      'in a wider terminal also: rate',
    ]);
    for (const line of lines.slice(0, 3)) assert.ok(widthOf(line) <= 29, line);
  });
});
