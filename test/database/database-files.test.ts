import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { openEmbedded } from '../../src/database/embedded.ts';
import { unpackImage } from '../../src/database/database-files.ts';

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'vidbatch-image-'));
});
after(() => rm(root, { recursive: true }));

async function unpacked(name: string): Promise<string> {
  const dir = join(root, name);
  await mkdir(dir);
  await unpackImage(dir);
  return dir;
}

/** Of the log, which is empty in the image, and what tells where it begins. */
const OF_THE_LOG = /^pg_wal\/[0-9A-F]{24}$|^global\/pg_control$/;
/** Of the first start: addresses of its process. */
const CACHE = 'pg_internal.init';

async function contents(dir: string): Promise<Map<string, Buffer | undefined>> {
  const names = await readdir(dir, { recursive: true });
  const compared = names.filter((name) => !OF_THE_LOG.test(name) && !name.endsWith(CACHE)).sort();
  const found = new Map<string, Buffer | undefined>();
  for (const name of compared) {
    const path = join(dir, name);
    found.set(name, (await stat(path)).isDirectory() ? undefined : await readFile(path));
  }
  return found;
}

test('a new database has the files that initdb makes, byte for byte', async () => {
  const made = join(root, 'made');
  await (await PGlite.create(made)).close();
  const [ours, theirs] = [await contents(await unpacked('whole')), await contents(made)];
  assert.deepEqual([...ours.keys()], [...theirs.keys()], 'after an update of PGlite: npm run image');
  for (const [name, bytes] of theirs) {
    const same = bytes === undefined ? ours.get(name) === undefined : ours.get(name)?.equals(bytes);
    assert.ok(same, `${name}: after an update of PGlite: npm run image`);
  }
});

test('a first start unpacks them, and no other user can read one', async () => {
  for (const name of await readdir(await unpacked('private'), { recursive: true })) {
    const { mode } = await stat(join(root, 'private', name));
    assert.equal(mode & 0o077, 0, name);
  }
  const dir = join(root, 'first');
  await (await openEmbedded(dir)).end();
  for (const name of ['.', 'base', 'global', 'pg_wal']) {
    const { mode } = await stat(join(dir, name));
    assert.equal(mode & 0o777, 0o700, `${name}: made by initdb`);
  }
});

test('each database has an identifier of its own, so the log of another is refused', async () => {
  const [mine, other] = [await unpacked('mine'), await unpacked('other')];
  const log = join(mine, 'pg_wal');
  await cp(log, join(root, 'log'), { recursive: true });
  await rm(log, { recursive: true });
  await cp(join(other, 'pg_wal'), log, { recursive: true });
  await assert.rejects(openEmbedded(mine), { name: 'VidbatchError', code: 'DATABASE_DAMAGED' });
  await rm(log, { recursive: true });
  await cp(join(root, 'log'), log, { recursive: true });
  const database = await openEmbedded(mine);
  assert.deepEqual((await database.query('select 1 as one')).rows, [{ one: 1 }]);
  await database.end();
});
