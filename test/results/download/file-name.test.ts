import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { baseNameOf, BaseNames } from '../../../src/results/download/file-name.ts';

describe('a file name', () => {
  const cases: [key: string, name: string][] = [
    ['shot-007', 'shot-007'],
    ['Shot 7 (final)', 'Shot 7 (final)'],
    ['名字', '名字'],
    ['🎬', '🎬'],
    ['a/b\\c:d', 'a_b_c_d'],
    ['..', '__'],
    ['../../etc/passwd', '_._.._etc_passwd'],
    ['.hidden', '_hidden'],
    ['-rf', '_rf'],
    ['con', 'con_'],
    ['COM1.final', 'COM1_.final'],
    ['trailing. ', 'trailing__'],
    ['', '_'],
    ['a\0b\nc', 'a_b_c'],
    ['a~b', 'a_b'],
    ['h1:0123#1', 'h1_0123_1'],
  ];
  for (const [key, name] of cases) {
    test(`of ${JSON.stringify(key)} is ${name}`, () => assert.equal(baseNameOf(key), name));
  }

  test('is cut between characters, and stays short enough for any file system', () => {
    const family = '👨‍👩‍👧‍👦';
    assert.equal(baseNameOf(family.repeat(30)).replaceAll('_', '').length % 2, 0);
    assert.ok(Buffer.byteLength(baseNameOf('名'.repeat(300))) <= 100);
    assert.equal(baseNameOf('名'.repeat(300)), '名'.repeat(33));
  });
});

const keys = fc.uniqueArray(
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom(
      'a',
      'A',
      'ä',
      'a\u0308',
      'Ä',
      'a/b',
      'a_b',
      'A_B',
      'ﬁ',
      'fi',
      'x'.repeat(120),
      'x'.repeat(121),
    ),
  ),
  { minLength: 1, maxLength: 30 },
);

function named(all: readonly string[]): string[] {
  const names = new BaseNames();
  all.forEach((key, id) => names.add({ id, key }));
  return all.map((key, id) => names.of({ id, key }));
}

test('no two rows have one name, also on file systems that ignore case and accents', () => {
  fc.assert(
    fc.property(keys, (all) => {
      const names = named(all);
      const folded = new Set(names.map((name) => name.normalize('NFKC').toLowerCase()));
      assert.equal(folded.size, all.length);
      for (const name of names) {
        assert.ok(name !== '' && !/^[.\- ]|[/\\\0]|[. ]$/.test(name), name);
        assert.ok(Buffer.byteLength(name) <= 115 && name.isWellFormed(), name);
      }
    }),
  );
});

test('rows that are added later change no earlier name', () => {
  fc.assert(
    fc.property(keys, fc.nat(), (all, some) => {
      const first = all.slice(0, some % all.length);
      assert.deepEqual(named(all).slice(0, first.length), named(first));
    }),
  );
});
