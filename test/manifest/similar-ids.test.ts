import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { assert as hold, property, string } from 'fast-check';
import { likenessOf } from '../../src/core/identity.ts';
import { openManifest } from '../../src/manifest/manifest.ts';
import { checkRows } from '../../src/manifest/check-rows.ts';
import type { Row } from '../../src/manifest/checked-row.ts';

const folder = mkdtempSync(join(tmpdir(), 'vidbatch-likeness-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('two ids look the same', () => {
  const same: [string, string, string][] = [
    ['case', 'Shot-1', 'shot-1'],
    ['width', 'Ａ１', 'A1'],
    ['normal form', 'caf\u00e9', 'cafe\u0301'],
    ['an invisible character', 'a1', 'a1\u200b'],
    ['a soft hyphen', 'ab', 'a\u00adb'],
    ['a byte order mark', 'a1', '\ufeffa1'],
    ['a space without a break', 'a 1', 'a\u00a01'],
    ['leading zeros', '1', '001'],
    ['a decimal point', '1', '1.0'],
    ['zero', '0', '000'],
  ];
  for (const [what, a, b] of same) {
    test(`when ${what} is the difference`, () => assert.equal(likenessOf(a), likenessOf(b)));
  }

  const other: [string, string][] = [
    ['1', '10'],
    ['1.5', '15'],
    ['shot-01', 'shot-1'],
    ['a', 'b'],
    ['1.0', '1.01'],
  ];
  for (const [a, b] of other) {
    test(`but not ${a} and ${b}`, () => assert.notEqual(likenessOf(a), likenessOf(b)));
  }

  test('and a likeness looks like itself', () => {
    hold(property(string({ unit: 'binary' }), (id) => likenessOf(likenessOf(id)) === likenessOf(id)));
  });
});

describe('ids of a manifest that look the same', () => {
  async function rowsOf(ids: readonly string[], strict = false): Promise<Row[]> {
    const path = join(folder, 'ids.jsonl');
    const lines = ids.map((id) => JSON.stringify({ id, model: 'viduq3p-720p', prompt: `for ${id}` }));
    writeFileSync(path, `${lines.join('\n')}\n`);
    const rows: Row[] = [];
    for await (const row of checkRows(await openManifest(path), { strict }).rows) rows.push(row);
    return rows;
  }

  test('are two rows, with a warning that names both', async () => {
    const rows = await rowsOf(['a1', 'b', 'A1', 'a1\u200b']);
    assert.ok(rows.every(({ request }) => request !== undefined));
    assert.deepEqual(
      rows.flatMap(({ faults }) =>
        faults.map(({ severity, line, rule, message }) => [severity, line, rule, message]),
      ),
      [
        ['warning', 3, 'id-lookalike', '"A1" looks like the id "a1" of line 1; both are sent, as two videos'],
        [
          'warning',
          4,
          'id-lookalike',
          '"a1<U+200B>" looks like the id "a1" of line 1; both are sent, as two videos',
        ],
      ],
    );
  });

  test('are errors with --strict, and not sent', async () => {
    const rows = await rowsOf(['001', '1.0'], true);
    assert.deepEqual(
      rows.map(({ request }) => request !== undefined),
      [true, false],
    );
    assert.equal(rows[1]?.faults[0]?.severity, 'error');
  });
});
