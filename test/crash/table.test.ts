import assert from 'node:assert/strict';
import { readFileSync, globSync } from 'node:fs';
import { test } from 'node:test';
import { POINTS } from '../../src/core/crash-points.ts';
import { COPYING, OPERATING, PRODUCING, REPLAYING, SENDING, SETTLING } from './table.ts';

test('a process dies at every point that has a name', () => {
  const tables = [...PRODUCING, ...SENDING, ...SETTLING, ...REPLAYING, ...OPERATING];
  assert.deepEqual(new Set([...tables.map(({ point }) => point), ...COPYING]), new Set(POINTS));
});

test('every point that has a name is somewhere in the source', () => {
  const root = new URL('../../src/', import.meta.url);
  const source = globSync('**/*.ts', { cwd: root }).map((file) => readFileSync(new URL(file, root), 'utf8'));
  const placed = source.flatMap((text) =>
    [...text.matchAll(/\bcrashPoint\('([a-z-]+)'/g)].map(([, point]) => point),
  );
  assert.deepEqual(new Set(placed), new Set(POINTS));
});
