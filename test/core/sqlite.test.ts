import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { openIdIndex } from '../../src/core/sqlite.ts';

test('ids are remembered on disk, and the files are gone at the end', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-seen-'));
  t.after(() => rm(folder, { recursive: true }));
  t.after(setTemporaryFolder(folder));
  const seen = openIdIndex();
  assert.equal(seen.add('a', { line: 2, text: 'A' }), undefined);
  assert.partialDeepStrictEqual(seen.add('a', { line: 3, text: 'a' }), { line: 2, text: 'A' });
  seen.close();
  assert.deepEqual(readdirSync(folder), []);
});

test('a temporary folder that cannot be used is named, with what to do', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-seen-'));
  t.after(() => rm(folder, { recursive: true }));
  const missing = join(folder, 'missing');
  t.after(setTemporaryFolder(missing));
  assert.throws(openIdIndex, (error) => {
    assert.ok(error instanceof VidbatchError, String(error));
    assert.equal(error.code, 'SCRATCH_FILES');
    assert.ok(error.message.startsWith(`${missing}: `), error.message);
    assert.match(error.hint ?? '', /TMPDIR.*ulimit -n/);
    return true;
  });
});

/** Returns what puts it back. */
function setTemporaryFolder(path: string): () => void {
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = path;
  return () => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  };
}
