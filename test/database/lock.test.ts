import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, readdir, realpath, rm, stat, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { lockFile, lockFolder, readHolder, type FolderLock } from '../../src/database/lock.ts';
import { startChild } from './child.ts';

let root: string;
before(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'vidbatch-lock-')));
});
after(() => rm(root, { recursive: true }));

function take(dir: string): FolderLock {
  const lock = lockFolder(dir);
  assert.ok(lock.held);
  return lock;
}

const HOLD = (dir: string): string => `
  const { lockFolder } = await import(src + 'lock.ts');
  const lock = lockFolder(${JSON.stringify(dir)});
  console.log(lock.held ? 'held' : 'held by ' + lock.heldBy);
  if (lock.held) process.stdin.on('data', () => { lock.release(); process.exit(); });
`;

function refusedWith(dir: string, words: RegExp): void {
  assert.throws(
    () => lockFolder(dir),
    (error) => error instanceof VidbatchError && error.code === 'DATA_DIR' && words.test(error.message),
  );
}

test('the folder is made for this user alone, and names its holder while it is held', async () => {
  const dir = join(root, 'made', 'here');
  const lock = take(dir);
  assert.equal((await stat(dir)).mode & 0o777, 0o700);
  const holder = readHolder(dir);
  assert.equal(holder?.pid, process.pid);
  assert.ok(!Number.isNaN(Date.parse(holder.startedAt)));
  assert.equal(holder.command, process.argv.join(' '));
  lock.announce('/elsewhere/door.sock');
  assert.equal(readHolder(dir)?.door, '/elsewhere/door.sock');
  lock.release();
  lock.release();
  assert.equal(readHolder(dir), undefined);
  assert.deepEqual(await readdir(dir), ['lock.db']);
});

test('a second process that wants the folder gets the pid of its holder', async () => {
  const dir = join(root, 'twice');
  const lock = take(dir);
  assert.deepEqual(lockFolder(dir), { held: false, heldBy: process.pid });
  const other = startChild(HOLD(dir));
  assert.equal(await other.line(), `held by ${process.pid}`);
  assert.equal(await other.ended(), '', 'and nothing is printed about SQLite being experimental');
  assert.deepEqual(lockFolder(dir), { held: false, heldBy: process.pid }, 'asking does not take it away');
  lock.release();
  take(dir).release();
});

test('the lock lasts as long as the process, also when all else has forgotten it', async () => {
  const dir = join(root, 'forgotten');
  const holder = startChild(`
    const { setFlagsFromString } = await import('node:v8');
    setFlagsFromString('--expose-gc');
    const gc = (await import('node:vm')).runInNewContext('gc');
    const { lockFile, lockFolder } = await import(src + 'lock.ts');
    console.log(lockFolder(${JSON.stringify(dir)}).held && lockFile(${JSON.stringify(join(dir, 'other.lock'))}) !== undefined);
    setInterval(() => { gc(); console.log('collected'); }, 50);
  `);
  assert.equal(await holder.line(), 'true');
  for (let n = 0; n < 3; n += 1) assert.equal(await holder.line(), 'collected');
  assert.deepEqual(lockFolder(dir), { held: false, heldBy: holder.pid });
  assert.equal(lockFile(join(dir, 'other.lock')), undefined);
  await holder.kill();
});

test('the lock ends with the process, also when it is killed', async () => {
  const dir = join(root, 'killed');
  const holder = startChild(HOLD(dir));
  assert.equal(await holder.line(), 'held');
  assert.deepEqual(lockFolder(dir), { held: false, heldBy: holder.pid });
  await holder.kill();
  assert.equal(readHolder(dir)?.pid, holder.pid, 'the note of the dead stays');
  const lock = take(dir);
  assert.equal(readHolder(dir)?.pid, process.pid);
  lock.release();
});

test('an unreadable note counts as no holder, and the folder can be locked', async () => {
  const dir = join(root, 'garbled');
  await mkdir(dir);
  for (const note of ['', '{', 'null', '{"pid":"1"}', '[]']) {
    await writeFile(join(dir, 'holder.json'), note);
    assert.equal(readHolder(dir), undefined);
  }
  take(dir).release();
});

test('a warning that is not about SQLite is still printed', async () => {
  const dir = join(root, 'warning');
  const child = startChild(`${HOLD(dir)}\nprocess.emitWarning('mind the gap'); process.stdin.destroy();`);
  await child.line();
  assert.match(await child.ended(), /mind the gap/);
});

test('what cannot be a data folder is refused with its path', async () => {
  const file = join(root, 'file');
  await writeFile(file, 'a file');
  refusedWith(file, /file: a file is where a folder should be \(EEXIST\)|file: .*\(E[A-Z]+\)/);
  refusedWith(join(file, 'below'), /below: a file is where a folder should be \(ENOTDIR\)/);
  assert.equal(await readFile(file, 'utf8'), 'a file');

  const noLock = join(root, 'no-lock');
  await mkdir(join(noLock, 'lock.db'), { recursive: true });
  refusedWith(noLock, /lock\.db: [^\n]+$/);

  const garbage = join(root, 'garbage');
  await mkdir(garbage);
  await writeFile(
    join(garbage, 'lock.db'),
    'this is not a database, and long enough to be seen as none. '.repeat(20),
  );
  refusedWith(garbage, /lock\.db: [^\n]+$/);
});

test('a folder that this user cannot write is refused with its path', async () => {
  const dir = join(root, 'read-only');
  await mkdir(dir);
  await chmod(dir, 0o555);
  await chmod(root, 0o755);
  // Root may write everywhere: then the child becomes nobody. It starts as root, and loads what it needs as root, because
  // this checkout may lie in a folder that is for root alone.
  const child = startChild(
    `const { lockFolder } = await import(src + 'lock.ts');
     if (process.getuid() === 0) {
       process.setgroups([]);
       process.setgid(65534);
       process.setuid(65534);
     }
     try { lockFolder(${JSON.stringify(dir)}); } catch (error) { console.log(error.code + ' ' + error.message); }`,
  );
  assert.match(await child.line(), /^DATA_DIR .*read-only.*: this user may not use it \(EACCES\)$/);
  await child.ended();
});
