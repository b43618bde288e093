import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkRows, type RowOptions } from '../../src/manifest/check-rows.ts';
import { openManifest } from '../../src/manifest/manifest.ts';

const folder = mkdtempSync(join(tmpdir(), 'vidbatch-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const MODEL = 'viduq3p-720p';
const row = (prompt: string, more: object = {}): object => ({ model: MODEL, prompt, ...more });
const lines = (...rows: (object | string)[]): string =>
  rows.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('');

/** Of each row its key without the hash, or the rules that it breaks. */
async function keysOf(extension: string, content: string, options: RowOptions = {}): Promise<string[]> {
  const path = join(folder, `manifest.${extension}`);
  writeFileSync(path, content);
  const keys: string[] = [];
  for await (const { request, keyBasis, faults } of checkRows(await openManifest(path), options).rows)
    keys.push(
      request === undefined
        ? faults.map(({ rule }) => rule).join(' ')
        : keyBasis.replace(/^h1:[0-9a-f]{64}$/, 'by content'),
    );
  return keys;
}

describe('a manifest has an id in every row or in no row', () => {
  test('a row with an id is refused after one without', async () => {
    const content = lines(row('a'), row('b', { id: 'x' }), row('c', { id: 7 }), row('d', { id: ' ' }));
    assert.deepEqual(await keysOf('jsonl', content), ['by content', 'id-mixed', 'id-mixed', 'by content']);
  });

  test('a row without an id is refused after one with', async () => {
    const content = lines(row('a', { id: 'x' }), row('b'), row('c', { id: null }));
    assert.deepEqual(await keysOf('jsonl', content), ['x', 'id-missing', 'id-missing']);
  });

  test('a line that cannot be read does not decide which', async () => {
    const content = lines('{"model": 1,', '5', row('a', { id: 'x' }), row('b', { id: 'y' }));
    assert.deepEqual(await keysOf('jsonl', content), ['bad-json', 'row-not-object', 'x', 'y']);
  });

  test('the header of a CSV decides for all rows', async () => {
    const content = `id,model,prompt\n,${MODEL},a\nx,${MODEL},b\n`;
    assert.deepEqual(await keysOf('csv', content), ['id-missing', 'x']);
  });
});

describe('an export that is submitted to another batch', () => {
  const HEADER = 'id,model,prompt,batch,row_key,line,state,task_id,error_code,error';
  const exported = (...rows: string[]): string => `${HEADER}\n${rows.join('\n')}\n`;
  const refused = ',1,invalid,,id-mixed,refused';

  test('has rows without ids, also beside an id that was refused', async () => {
    const rows = [`x,${MODEL},a,other,invalid:0#1${refused}`, `,${MODEL},b,other,h1:0#1,2,pending,,,`];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['id-mixed', 'by content']);
    assert.deepEqual(await keysOf('csv', exported(...rows.toReversed())), ['by content', 'id-mixed']);
  });

  test('has rows with ids, also after one that lacked its id', async () => {
    const rows = [
      `,${MODEL},a,other,invalid:0#1,1,invalid,,id-missing,refused`,
      `x,${MODEL},b,other,x,2,pending,,,`,
    ];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['id-missing', 'x']);
  });

  test('has rows with ids, also if it is JSON and the only row with an id is broken', async () => {
    const known = {
      batch: 'other',
      line: 1,
      state: 'invalid',
      task_id: null,
      error: 'refused',
      request: null,
    };
    const content = lines(
      { ...known, row_key: 'invalid:0#1', error_code: 'nul-character', input: row('\0', { id: [] }) },
      { ...known, row_key: 'invalid:1#1', error_code: 'id-missing', input: row('b') },
    );
    const [, second] = await keysOf('jsonl', content);
    assert.equal(second, 'id-missing');
  });

  test('has rows without ids, also after one that no rule allowed', async () => {
    const rows = [
      `,none,a,other,invalid:0#1,1,invalid,,model-unknown,refused`,
      `,${MODEL},b,other,h1:0#1,2,pending,,,`,
    ];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['model-unknown', 'by content']);
  });

  test('wants the id of a first row that was refused, and may be sent now', async () => {
    const rows = [
      `,${MODEL},a,other,invalid:0#1,1,invalid,,model-unknown,refused`,
      `x,${MODEL},b,other,x,2,pending,,,`,
    ];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['id-missing', 'x']);
  });

  test('has rows with ids that begin like a key of content', async () => {
    const rows = [`h1:x,${MODEL},a,other,h1:x,1,pending,,,`, `y,${MODEL},b,other,y,2,pending,,,`];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['h1:x', 'y']);
  });

  test('wants an id of a row that was added by hand beside rows with ids', async () => {
    const rows = [`,${MODEL},a,,,,,,,`, `x,${MODEL},b,other,x,1,pending,,,`];
    assert.deepEqual(await keysOf('csv', exported(...rows)), ['id-missing', 'x']);
  });
});

test('rows of a batch without ids may get ids in its export, and keep their keys', async () => {
  const content = `id,model,prompt,batch,row_key,line,state,task_id,error_code,error
x,${MODEL},a,mine,h1:0#1,1,pending,,,
y,${MODEL},b,,,,,,,
z,${MODEL},c,mine,invalid:0#1,3,invalid,,id-mixed,refused
`;
  const into = { name: 'mine', keyScheme: 'h1' } as const;
  assert.deepEqual(await keysOf('csv', content, { into }), ['by content', 'id-mixed', 'id-mixed']);
});
