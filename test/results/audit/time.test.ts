import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { readTime } from '../../../src/results/audit/time.ts';

const at = (text: string): number => Date.parse(text);

describe('a time of a provider’s file', () => {
  test('is read as files write it', () => {
    const cases: [text: string, zone: string | undefined, iso: string][] = [
      ['1700000000', undefined, '2023-11-14T22:13:20Z'],
      ['1700000000.5', undefined, '2023-11-14T22:13:20.5Z'],
      ['1700000000123', undefined, '2023-11-14T22:13:20.123Z'],
      ['2026-03-01T18:00:00Z', undefined, '2026-03-01T18:00:00Z'],
      ['2026-03-01 18:00:00.25 +08:00', undefined, '2026-03-01T10:00:00.25Z'],
      ['2026-03-01T18:00+0800', 'UTC', '2026-03-01T10:00:00Z'],
      ['2026/3/1 18:00', 'Asia/Shanghai', '2026-03-01T10:00:00Z'],
      ['2026年3月1日 8:05:09', 'Asia/Shanghai', '2026-03-01T00:05:09Z'],
      ['2026-07-01 12:00:00', 'America/New_York', '2026-07-01T16:00:00Z'],
    ];
    for (const [text, zone, iso] of cases) {
      const read = readTime(text, zone);
      assert.equal(read.kind === 'time' ? read.at : read.kind, at(iso), text);
      assert.equal(read.kind === 'time' && read.absolute, !/^2026(?!.*(?:Z|\+))/.test(text), text);
    }
  });

  test('is not read if it would be a guess', () => {
    assert.equal(readTime('2026-03-01 18:00:00', undefined).kind, 'zoneless');
    assert.equal(readTime('2026-11-01 01:30:00', 'America/New_York').kind, 'ambiguous');
    assert.equal(readTime('2026-03-08 02:30:00', 'America/New_York').kind, 'ambiguous');
    assert.equal(readTime('2026-03-01', 'UTC').kind, 'date');
    for (const text of [
      '',
      'yesterday',
      '17000',
      '20260301',
      '2026-02-30 10:00',
      '2026-01-01 25:00',
      '1.7E+09',
    ]) {
      assert.equal(readTime(text, 'UTC').kind, 'unreadable', text);
    }
  });

  test('comes back from any zone, unless its clocks showed it twice', () => {
    const moment = fc.integer({ min: 1_600_000_000, max: 1_900_000_000 });
    fc.assert(
      fc.property(
        moment,
        fc.constantFrom('Asia/Shanghai', 'Europe/London', 'Australia/Lord_Howe'),
        (seconds, zone) => {
          const wall = new Date(seconds * 1000).toLocaleString('sv-SE', { timeZone: zone });
          const read = readTime(wall, zone);
          assert.ok(read.kind === 'ambiguous' || (read.kind === 'time' && read.at === seconds * 1000), wall);
        },
      ),
    );
  });
});
