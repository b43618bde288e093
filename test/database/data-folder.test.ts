import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { VidbatchError } from '../../src/core/errors.ts';
import { socketPath, openFolder } from '../../src/database/data-folder.ts';
import { lockFolder } from '../../src/database/lock.ts';
import { copyTemplate } from '../servers.ts';

// Tests that need a database are in ipc.test.ts.

let root: string;
before(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'vidbatch-folder-')));
});
after(() => rm(root, { recursive: true }));

test('a folder whose holder does not answer is refused with the pid of the holder', async () => {
  const held = join(root, 'held');
  const lock = lockFolder(held);
  assert.ok(lock.held);
  await assert.rejects(
    openFolder(held, { timeoutMs: 1 }),
    (error) =>
      error instanceof VidbatchError &&
      error.code === 'FOLDER_HELD' &&
      error.message.includes(`held by process ${process.pid},`),
  );
  lock.release();
});

test('a folder that cannot be opened is unlocked again', async () => {
  const broken = join(root, 'broken');
  await mkdir(broken);
  await writeFile(join(broken, 'database'), 'a file');
  await assert.rejects(openFolder(broken), { name: 'VidbatchError', code: 'DATABASE_FILES' });
  const lock = lockFolder(broken);
  assert.ok(lock.held);
  lock.release();
});

test('a socket outside of the folder is in a folder of this user alone', async (t) => {
  const { TMPDIR } = process.env;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
  });
  process.env['TMPDIR'] = root;
  const deep = join(root, 'long-'.repeat(25));
  await mkdir(deep);
  const path = socketPath(deep);
  assert.equal(socketPath(deep), path);
  await chmod(dirname(path), 0o755);
  assert.throws(() => socketPath(deep), { name: 'VidbatchError', code: 'DOOR' });
});

test('a worker waits for a holder that yields; a holder that stays is named, and so is a worker', async () => {
  const dir = join(root, 'room');
  await copyTemplate(dir);
  const board = await openFolder(dir, { onYield: () => void board.close() });
  const client = await openFolder(dir);
  assert.equal(client.role, 'client');
  const working = openFolder(dir, { alone: true });
  // Not while somebody else is in the middle of something.
  await client.database.query('select 1');
  await client.close();
  const worker = await working;
  assert.equal(worker.role, 'holder');
  await assert.rejects(
    openFolder(dir, { alone: true }),
    (error) =>
      error instanceof VidbatchError && error.message.includes(`held by process ${process.pid}, and`),
  );
  await worker.close();
});

/**
 * How many functions of the database V8 compiles, and how many of them it optimises, in a process that counts rows. Node
 * has a smaller module of its own, which takes the types out of a source.
 */
async function compiled(dir: string, needs: string): Promise<{ all: number; optimised: number }> {
  const folder = new URL('../../src/database/data-folder.ts', import.meta.url).href;
  const code = `
    import { openFolder } from ${JSON.stringify(folder)};
    const { database, close } = await openFolder(${JSON.stringify(dir)}, ${needs});
    await database.query('select count(*) from generate_series(1, 200000) as n where length(n::text) > 3');
    await close();`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--trace-wasm-compilation-times', '--input-type=module', '--eval', code],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const modules = new Map<string, string[]>();
  for (const [, module = '', compiler = ''] of stdout.matchAll(/^Compiled function (\w+)#\d+ using (\w+),/gm))
    modules.set(module, [...(modules.get(module) ?? []), compiler]);
  const [compilers = []] = [...modules.values()].sort((one, other) => other.length - one.length);
  return {
    all: compilers.length,
    optimised: compilers.filter((compiler) => compiler === 'TurboFan').length,
  };
}

test('only a worker has the code of the database optimised, which takes 600 MB', async () => {
  const dir = join(root, 'compiled');
  await copyTemplate(dir);
  for (const needs of ['{ mayMake: false }', '{}']) {
    const { all, optimised } = await compiled(dir, needs);
    assert.ok(all > 1000, `${all} functions were compiled`);
    assert.equal(optimised, 0, needs);
  }
  assert.ok((await compiled(dir, '{ alone: true }')).optimised > 0);
});
