/** The imports that a command loads first. A short command spends most of its time on loading. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const CLI = new URL('../../src/cli/', import.meta.url);
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)[^;]*?\bfrom\s+'([^']+)';/gm;
/** The queue, its Redis, the HTTP client and the embedded database: each is loaded where it is used. */
const ENGINES = ['bullmq', 'ioredis', 'undici', '@electric-sql/pglite'];

/** The packages that a source file loads, by itself or by what it imports. */
function packagesOf(file: URL, seen = new Set<string>()): string[] {
  if (seen.has(file.href)) return [];
  seen.add(file.href);
  const imported = [...readFileSync(fileURLToPath(file), 'utf8').matchAll(STATIC_IMPORT)];
  return imported.flatMap(([, name = '']) =>
    name.startsWith('.') ? packagesOf(new URL(name, file), seen) : [name],
  );
}

for (const command of [
  'cost',
  'status',
  'explain',
  'export',
  'failures',
  'find',
  'pause',
  'priority',
  'report',
  'resolve',
  'retry',
  'uncertain',
  'workers',
]) {
  test(`${command} needs the ledger alone, and loads no queue, no engine and no HTTP client before`, () => {
    const [file = ''] = globSync(`*/${command}.ts`, { cwd: CLI });
    const loaded = packagesOf(new URL(file, CLI));
    assert.ok(loaded.includes('commander'));
    assert.deepEqual(
      ENGINES.filter((name) => loaded.includes(name)),
      [],
    );
  });
}

test('run sends rows, and loads what it takes', () => {
  const loaded = packagesOf(new URL('daily/run.ts', CLI));
  assert.ok(loaded.includes('bullmq') && loaded.includes('undici'));
});
