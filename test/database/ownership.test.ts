import assert from 'node:assert/strict';
import { chmodSync, chownSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openLedger } from '../../src/worker/app.ts';
import { readConfig } from '../../src/core/config.ts';
import { readFolderFacts, judgeFolder } from '../../src/operate/doctor/folder.ts';
import { VidbatchError } from '../../src/core/errors.ts';
import { connectToHolder } from '../../src/database/ipc-client.ts';
import { lockFolder } from '../../src/database/lock.ts';
import { distrust } from '../../src/database/ownership.ts';
import { createLog } from '../../src/core/log.ts';

const IS_ROOT = process.getuid?.() === 0;
const [OWNER, STRANGER] = [65_533, 65_534];

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'vidbatch-ownership-'));
  chmodSync(root, 0o755);
});
after(() => rm(root, { recursive: true }));

let folders = 0;
async function folder(mode: number): Promise<string> {
  folders += 1;
  const dir = join(root, String(folders));
  await mkdir(dir);
  chmodSync(dir, mode);
  return dir;
}

/** What a reader and a writer are told; that nothing is changed is part of it. */
async function refusalOf(dataDir: string): Promise<VidbatchError> {
  const found = readdirSync(dataDir);
  const refusals = await Promise.all(
    (['reader', 'writer'] as const).map((role) =>
      openLedger(readConfig({}, { dataDir }), role, createLog('fatal')).then(
        async (app) => app.close().then(() => assert.fail(`${role}: it was opened`)),
        (error: unknown) => error,
      ),
    ),
  );
  assert.deepEqual(readdirSync(dataDir), found);
  const [first, second] = refusals;
  assert.ok(first instanceof VidbatchError && second instanceof VidbatchError);
  assert.equal(first.message, second.message);
  const [check] = judgeFolder(await readFolderFacts(dataDir, true));
  assert.deepEqual(check, { check: 'data-folder', status: 'failed', what: first.message, hint: first.hint });
  return first;
}

describe('a data folder', () => {
  const me = { uid: 1000, gids: [1000, 2000] };
  const cases: [string, [uid: number, gid: number, mode: number], ReturnType<typeof distrust>, typeof me?][] =
    [
      ['of this user alone', [1000, 1000, 0o700], undefined],
      ['that others may read', [1000, 100, 0o755], undefined],
      ['that the group of this user alone may write', [1000, 1000, 0o775], undefined],
      ['that a group of several users may write', [1000, 2000, 0o770], 'writable by its group'],
      ['that all may write', [1000, 1000, 0o777], 'writable by all'],
      ['that all may write, with the sticky bit', [0, 0, 0o1777], 'writable by all'],
      ['of another user', [1001, 1000, 0o700], 'of another user'],
      ['of root, given to a group of this process', [0, 2000, 0o2775], undefined],
      ['of root, given to another group', [0, 3000, 0o2775], 'writable by its group'],
      ['of root, to read', [0, 0, 0o755], undefined],
      ['of a user, for root', [1000, 1000, 0o700], 'of another user', { uid: 0, gids: [0] }],
      ['of root, for root', [0, 0, 0o770], undefined, { uid: 0, gids: [0] }],
    ];
  for (const [what, [uid, gid, mode], expected, user = me] of cases) {
    it(`${what}: ${expected ?? 'is trusted'}`, () => {
      assert.equal(distrust({ uid, gid, mode: 0o40000 | mode }, user), expected);
    });
  }

  it('that others can write is refused, also behind a link, and nothing is sent to its socket', async () => {
    const dir = await folder(0o777);
    const link = join(root, 'link');
    symlinkSync(dir, link);
    const socket = join(dir, 'evil.sock');
    let spokenTo = 0;
    const evil = createServer((socket) => {
      spokenTo += 1;
      socket.destroy();
    });
    await new Promise<void>((done) => evil.listen(socket, done));
    const { pid } = process;
    await writeFile(
      join(dir, 'holder.json'),
      JSON.stringify({ pid, startedAt: '', command: '', door: socket }),
    );
    for (const named of [dir, link]) {
      const { code, message, hint } = await refusalOf(named);
      assert.equal(code, 'UNSAFE_FOLDER');
      assert.match(message, /: all users can write in it \(mode 0777\)/);
      assert.match(hint ?? '', /`chmod go-w /);
    }
    assert.throws(() => lockFolder(dir), { code: 'UNSAFE_FOLDER' });
    await new Promise((done) => evil.close(done));
    assert.equal(spokenTo, 0);
  });

  it('of a user is refused to root, and to other users', { skip: !IS_ROOT }, async () => {
    const dir = await folder(0o755);
    chownSync(dir, OWNER, OWNER);
    const { code, message, hint } = await refusalOf(dir);
    assert.equal(code, 'UNSAFE_FOLDER');
    assert.match(message, /: belongs to user 65533, and vidbatch runs as root; nothing was changed$/);
    assert.match(hint ?? '', /`sudo -E -u '#65533' vidbatch …`/);
    process.seteuid?.(STRANGER);
    try {
      assert.match(
        (await refusalOf(dir)).message,
        /: belongs to user 65533, and vidbatch runs as user 65534;/,
      );
    } finally {
      process.seteuid?.(0);
    }
  });

  it('has a lock that no other user can hold, also one of an earlier version', async () => {
    const dir = await folder(0o755);
    const path = join(dir, 'lock.db');
    for (const before of [0o600, 0o644]) {
      const lock = lockFolder(dir);
      assert.ok(lock.held);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      chmodSync(path, before);
      assert.equal(lockFolder(dir).held, false, 'the lock is still held');
      lock.release();
    }
  });

  it('has a lock that is not a link, and not of another user', async () => {
    const dir = await folder(0o700);
    const elsewhere = join(root, 'elsewhere');
    symlinkSync(elsewhere, join(dir, 'lock.db'));
    assert.throws(() => lockFolder(dir), /lock\.db: is not a file/);
    await rm(join(dir, 'lock.db'));
    if (!IS_ROOT) return;
    await writeFile(join(dir, 'lock.db'), '');
    chownSync(join(dir, 'lock.db'), STRANGER, STRANGER);
    assert.throws(() => lockFolder(dir), /lock\.db: belongs to user 65534/);
  });

  it(
    'has a socket to which nothing is sent when it belongs to another user',
    { skip: !IS_ROOT },
    async () => {
      const socket = join(await folder(0o700), 'door.sock');
      let spokenTo = 0;
      const evil = createServer((socket) => {
        spokenTo += 1;
        socket.destroy();
      });
      await new Promise<void>((done) => evil.listen(socket, done));
      chownSync(socket, STRANGER, STRANGER);
      await assert.rejects(connectToHolder(socket, 1_000), /door\.sock: belongs to user 65534/);
      await new Promise((done) => evil.close(done));
      assert.equal(spokenTo, 0);
    },
  );
});
