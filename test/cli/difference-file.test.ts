import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openDifferences } from '../../src/cli/difference-file.ts';

describe('the file of differences', () => {
  let folder = '';
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'vidbatch-differences-'))));
  after(() => rm(folder, { recursive: true }));
  const open = (path: string, files: string[] = []): ReturnType<typeof openDifferences> =>
    openDifferences(path, files, (text) => text);

  test('is not there, and the one of an earlier look stays, until all is written', async () => {
    const path = join(folder, 'differ.csv');
    const refused = await open(path);
    await refused.drop();
    assert.deepEqual(await readdir(folder), []);
    await writeFile(path, 'earlier');
    const again = await open(path);
    assert.equal(await readFile(path, 'utf8'), 'earlier');
    await again.drop();
    assert.equal(await readFile(path, 'utf8'), 'earlier');
    const whole = await open(path);
    await whole.keep();
    await whole.drop();
    assert.match(await readFile(path, 'utf8'), /^kind,task_id,.+\r?\n$/);
    assert.equal((await stat(path)).mode & 0o777, 0o600, 'it holds prompts');
    assert.deepEqual(await readdir(folder), ['differ.csv']);
  });

  test('is opened at once, and is none of the files that are read', async () => {
    const bill = join(folder, 'bill.csv');
    await writeFile(bill, 'theirs');
    await assert.rejects(open(bill, [bill]), { code: 'WRITES_WHAT_IT_READS', exitCode: 2 });
    await assert.rejects(open(join(folder, 'nowhere', 'differ.csv')), { code: 'BAD_DIFFERENCES' });
    await assert.rejects(open(folder), { code: 'BAD_DIFFERENCES' });
    assert.equal(await readFile(bill, 'utf8'), 'theirs');
  });

  test('may be no file at all', async () => {
    const out = await open('/dev/null');
    await out.keep();
    assert.ok((await stat('/dev/null')).isCharacterDevice());
  });
});
