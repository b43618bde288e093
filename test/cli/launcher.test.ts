import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { LAUNCHER } from '../cli.ts';

const IS_ROOT = process.getuid?.() === 0;
const STRANGER = 65534;
const PROGRAM = "const version: string = '1.2.3';\nprocess.stdout.write(version);\n";
const ALARM = 'code out of the cache ran';

let root: string;
/** The launcher, before a program of one line. */
let launcher: string;
/** A home whose cache holds the program with a line of a stranger in it. */
let poisoned: string;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'vidbatch-launcher-'));
  launcher = join(root, 'app', 'bin', 'vidbatch.js');
  mkdirSync(join(root, 'app', 'src', 'cli'), { recursive: true });
  cpSync(LAUNCHER, launcher);
  writeFileSync(join(root, 'app', 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'app', 'src', 'cli', 'start.ts'), PROGRAM);
  poisoned = join(root, 'poisoned');
  mkdirSync(poisoned);
  run({ HOME: poisoned });
  const files = readdirSync(compiledOf(poisoned), { recursive: true, encoding: 'utf8' });
  assert.ok(files.length > 0, 'a home of our own has a cache');
  const injected = files.filter((name) => poison(join(compiledOf(poisoned), name)));
  assert.equal(injected.length, 1);
});
after(() => rmSync(root, { recursive: true }));

function compiledOf(home: string): string {
  return join(home, '.cache', 'vidbatch', 'compiled');
}

/** Two words of Node's header are sizes, and the last is a checksum: nothing in it says who wrote the file. */
function poison(path: string): boolean {
  if (statSync(path).isDirectory()) return false;
  const HEADER = 20;
  const bytes = readFileSync(path);
  const text = bytes.subarray(HEADER).toString();
  // The program as Node keeps it: its types are stripped, it is text.
  if (!text.includes('process.stdout.write(version)')) return false;
  const code = Buffer.from(`${text}\nprocess.stderr.write(${JSON.stringify(ALARM)});`);
  bytes.writeUInt32LE(code.length, 8);
  bytes.writeUInt32LE(crc32(code), 16);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, HEADER), code]));
  return true;
}

function run(env: Record<string, string>, cwd = root): string {
  const { PATH = '' } = process.env;
  const ended = spawnSync(process.execPath, [launcher], {
    cwd,
    env: { PATH, ...env },
    encoding: 'utf8',
  });
  assert.equal(ended.status, 0, ended.stderr);
  assert.equal(ended.stdout, '1.2.3');
  return ended.stderr;
}

let homes = 0;

function homeWith(change: (home: string) => void): string {
  homes += 1;
  const home = join(root, `home-${homes}`);
  cpSync(poisoned, home, { recursive: true });
  for (let path = compiledOf(home); path !== root; path = dirname(path)) chmodSync(path, 0o700);
  change(home);
  return home;
}

const belongsTo = (path: (home: string) => string) => (home: string) =>
  chownSync(path(home), STRANGER, STRANGER);

describe('the launcher runs compiled code', () => {
  it('out of a folder that only its user can write', () => {
    assert.equal(run({ HOME: homeWith(() => undefined) }), ALARM);
  });

  const others: Record<string, (home: string) => void> = {
    'that its group can write': (home) => chmodSync(compiledOf(home), 0o770),
    'that all can write': (home) => chmodSync(compiledOf(home), 0o777),
    'that all can write, with the sticky bit': (home) => chmodSync(compiledOf(home), 0o1777),
    'in a folder that all can write': (home) => chmodSync(dirname(compiledOf(home)), 0o777),
    'in a home that all can write': (home) => chmodSync(home, 0o777),
    'behind a symbolic link': (home) => {
      renameSync(compiledOf(home), join(home, 'elsewhere'));
      symlinkSync(join(home, 'elsewhere'), compiledOf(home));
    },
    'in a folder behind a symbolic link': (home) => {
      renameSync(join(home, '.cache'), join(home, 'elsewhere'));
      symlinkSync(join(home, 'elsewhere'), join(home, '.cache'));
    },
    ...(IS_ROOT
      ? {
          'of another user': belongsTo(compiledOf),
          'in a folder of another user': belongsTo((home) => join(home, '.cache')),
          'in the home of another user': belongsTo((home) => home),
        }
      : {}),
  };
  for (const [where, change] of Object.entries(others)) {
    it(`and none out of a folder ${where}`, () => assert.equal(run({ HOME: homeWith(change) }), ''));
  }

  it('and none out of the shared folder for temporary files, or the current one', () => {
    const shared = homeWith(() => undefined);
    cpSync(compiledOf(shared), join(shared, 'node-compile-cache'), { recursive: true });
    for (const home of ['', '.', '/dev/null']) {
      assert.equal(run({ TMPDIR: shared, HOME: home }, shared), '');
    }
  });

  it('and makes nothing in the home of another user', { skip: !IS_ROOT }, () => {
    const home = join(root, 'theirs');
    mkdirSync(home);
    chownSync(home, STRANGER, STRANGER);
    assert.equal(run({ HOME: home }), '');
    assert.ok(!existsSync(join(home, '.cache')));
  });
});
