import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { messageOf, VidbatchError } from '../../src/core/errors.ts';
import { diskError, isThere, systemError } from '../../src/database/disk-errors.ts';

const NAMES = [
  'EACCES',
  'EPERM',
  'EIO',
  'ESTALE',
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'ENOTDIR',
];

function failing(code: string): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: something`), { code });
  };
}

test('only ENOENT means that nothing is there; every other error is reported with its name and path', () => {
  assert.equal(isThere('/data/database', failing('ENOENT')), false);
  for (const code of [...NAMES, 'EBUSY', 'ELOOP']) {
    assert.throws(
      () => isThere('/data/database', failing(code)),
      (error) =>
        error instanceof VidbatchError &&
        error.message.startsWith('/data/database: ') &&
        error.message.endsWith(`(${code})`) &&
        error.hint !== undefined,
      code,
    );
  }
});

test('a link to a disk that is not mounted counts as there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-there-'));
  await symlink('/nowhere/at/all', join(folder, 'database'));
  assert.equal(isThere(join(folder, 'database')), true);
  assert.equal(isThere(join(folder, 'other')), false);
  await rm(folder, { recursive: true });
});

const said: readonly (readonly [string, unknown, readonly string[]])[] = [
  ['ENOSPC', { name: 'ErrnoError', errno: 51 }, []],
  ['EACCES', { name: 'ErrnoError', errno: 2 }, []],
  [
    'EMFILE',
    new Error('failed'),
    ['FATAL:  could not read directory "pg_notify": No file descriptors available'],
  ],
  ['EROFS', new Error('failed'), ['PANIC:  could not open file "x": Read-only file system']],
  ['EIO', new Error('failed'), ['FATAL:  could not read file "x": I/O error']],
  ['EPERM', { code: 'EPERM' }, []],
];
for (const [name, cause, lines] of said) {
  test(`${name} is recognised in the output of the database`, () =>
    assert.equal(systemError(cause, lines), name));
}

test('damage is not a system error', () => {
  assert.equal(
    systemError(new Error('failed'), ['FATAL:  database files are incompatible with server']),
    undefined,
  );
});

test('no hint for any error leads to another ledger', () => {
  for (const code of [...NAMES, 'ENOENT', 'EBUSY']) {
    const { hint = '' } = diskError('DATABASE_FILES', '/data', { code });
    assert.doesNotMatch(hint, /move|empty|another|remove|delete/i, code);
  }
});

test('an error without a message is reported by its text', () => {
  assert.match(messageOf({ name: 'ErrnoError', errno: 51 }), /errno: 51/);
  assert.equal(messageOf({ message: 'so' }), 'so');
  assert.equal(messageOf(null), 'null');
});
