import * as fc from 'fast-check';

/** A manifest as people and their programs leave it: hardly a row is right. */
export interface Dirty {
  extension: 'csv' | 'json' | 'jsonl';
  content: string;
  delimiter?: string;
}

const MODEL = 'viduq3p-720p';

// prettier-ignore
const DIRT = [
  '', ' ', '=1+1', "'=1", "''", "'", '-5', '+x', '@a', '＝x', 'a,b', 'a;b', 'a\tb', '"', 'q"q', 'l\nm', 'l\r\n=m', '\r',
  '🎬', '画', "':1", "'':x", ';=x', ',"-1"', 'null', '5', '{}', '[1,-2]', '\u00A0', 'a|b',
];

// prettier-ignore
const NAMES = [
  'id', 'image', 'duration', 'extra_body.seed', 'extra_body.foo', 'state', 'line', 'row_key', 'batch', 'input.state',
  'note', '=cmd', "'x", '', 'a;b', 'a,b',
];

const text = fc.oneof(fc.constantFrom(...DIRT), fc.string({ unit: 'grapheme', maxLength: 6 }));

const columns = fc
  .tuple(fc.subarray(NAMES), fc.constantFrom([], ['', '']))
  .chain(([some, twice]) => fc.shuffledSubarray(['model', 'prompt', ...some, ...twice], { minLength: 2 }))
  .filter((header) => header.some((name) => name !== ''));

function cellOf(column: string): fc.Arbitrary<string> {
  switch (column) {
    case 'model':
      return fc.constantFrom(MODEL, MODEL, MODEL, 'x', '');
    case 'prompt':
      return fc.oneof(fc.constantFrom('p', 'q'), text);
    case 'duration':
      return fc.constantFrom('', '5', ' 5 ', '99');
    case 'extra_body.seed':
      return fc.constantFrom('', '42', '-5');
    case 'id':
      return fc.constantFrom('1', '2', '3', '=4', '', '-5', 'a b');
    case 'image':
      return fc.constantFrom('', '', 'https://x.example/a.png', 'no');
    default:
      return text;
  }
}

const quoted = (cell: string): string =>
  /["\r\n,;\t|]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;

/** Ragged rows, blank lines, columns without a name, names of ours. */
export const dirtyCsv: fc.Arbitrary<Dirty> = columns
  .chain((header) =>
    fc.record({
      header: fc.constant(header),
      delimiter: fc.constantFrom(',', ';', '\t'),
      bom: fc.boolean(),
      rows: fc.array(
        fc.record({
          cells: fc.tuple(...header.map(cellOf)),
          end: fc.constantFrom('whole', 'whole', 'whole', 'whole', 'cut', 'beyond', 'blank'),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    }),
  )
  .map(({ header, delimiter, bom, rows }) => {
    const lines = rows.map(({ cells, end }) => {
      const line = end === 'cut' ? cells.slice(0, -1) : end === 'beyond' ? [...cells, 'b', '', '=x'] : cells;
      return `${line.map(quoted).join(delimiter)}${end === 'blank' ? '\r\n' : ''}`;
    });
    // So that there is one row at least.
    const last = header.map((name) => (name === 'model' ? MODEL : 'last')).join(delimiter);
    const head = header.map(quoted).join(delimiter);
    const content = `${bom ? '\uFEFF' : ''}${[head, ...lines, last].join('\r\n')}\r\n`;
    return { extension: 'csv', content, delimiter };
  });

const jsonText = fc.oneof(text, fc.constantFrom('\0', 'a\u0001', '\uD800', 'true'));

const anything = fc.oneof(
  { maxDepth: 2 },
  jsonText,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.integer({ min: -3, max: 3 })),
  fc.dictionary(jsonText, fc.oneof(jsonText, fc.integer())),
);

const jsonRow = fc
  .record(
    {
      id: fc.oneof(fc.constantFrom('1', '2', 3, 4, '=x'), anything),
      model: fc.oneof({ weight: 6, arbitrary: fc.constant(MODEL) }, { weight: 1, arbitrary: anything }),
      prompt: fc.oneof({ weight: 6, arbitrary: jsonText }, { weight: 1, arbitrary: anything }),
      duration: fc.oneof(fc.constantFrom(5, '5', 5.5, 99, ''), anything),
      image: fc.constantFrom('', null, 'https://x.example/a.png', 5),
      reference_image_urls: fc.oneof(fc.constantFrom([], ['https://x.example/a.png'], 'a|b'), anything),
      extra_body: fc.oneof(
        fc.constantFrom({}, { seed: 5 }, { x: -1, y: '=z', audio: true }, '{"seed":1}'),
        anything,
      ),
      'extra_body.audio': fc.constantFrom(true, 'true', '1', 1),
      'extra_body.foo': fc.oneof(fc.constantFrom(5, '5', -5), anything),
      state: anything,
      'input.line': anything,
      ' padded ': anything,
      '=f': anything,
    },
    { requiredKeys: ['model', 'prompt'] },
  )
  .chain((row) => fc.shuffledSubarray(Object.entries(row), { minLength: Object.keys(row).length }))
  .map((entries) => Object.fromEntries(entries));

const BROKEN = ['{"model": 1,', '{"model":"viduq3p-720p","prompt":"a","prompt":"b"}', '{}', '5'];

/** Values of every type in every field, fields in every order, lines that are no rows. */
export const dirtyJson: fc.Arbitrary<Dirty> = fc
  .record({
    rows: fc.array(jsonRow, { minLength: 1, maxLength: 6 }),
    ids: fc.boolean(),
    extension: fc.constantFrom('json' as const, 'jsonl' as const),
    broken: fc.subarray(BROKEN),
  })
  .map(({ rows, ids, extension, broken }) => {
    const texts = rows.map(({ id, ...row }) =>
      JSON.stringify(ids && id !== undefined ? { id, ...row } : row),
    );
    return extension === 'json'
      ? { extension, content: `[${texts.join(',\n')}]` }
      : { extension, content: `${[...texts, ...broken].join('\n')}\n` };
  });
