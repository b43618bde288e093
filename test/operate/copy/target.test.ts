import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import { asFullDisk } from '../../../src/operate/copy/target.ts';

test('a full disk is named in words, and any other error stays as it is', () => {
  const full = Object.assign(new Error('could not extend file "base/5/1": No space left on device'), {
    code: '53100',
  });
  const told = asFullDisk(full, 'Postgres at h:5432/d');
  assert.ok(told instanceof VidbatchError);
  assert.equal(told.message, 'Postgres at h:5432/d: there is no space left on its disk (ENOSPC)');
  assert.match(told.hint ?? '', /run the same command again/);
  for (const other of [
    new VidbatchError('X', 'No space left on device'),
    new Error('x'),
    { code: 'ECONNRESET' },
  ])
    assert.equal(asFullDisk(other, 'x'), other);
});
