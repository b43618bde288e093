import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { link, lstat, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { Video } from '../../../src/simulator/video.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { fault, openDownload, SIZE, type DownloadFixture } from './fixture.ts';

/** The bytes that the simulator has for a task. */
function bytesOf(taskId: string | null, size = SIZE): Buffer {
  return Buffer.concat([...new Video(taskId ?? '', size).bytes()]);
}

async function fileOf(fixture: DownloadFixture, name: string): Promise<Buffer> {
  return readFile(join(fixture.folder, name));
}

/** What each fault leaves behind: a whole video, or a clear word. */
const GOOD = [
  'result-chunked result-unframed result-gzip result-no-validator result-octets result-redirect',
  'result-slow',
]
  .join(' ')
  .split(' ');
const GOOD_IN_THE_END = [
  'result-truncated result-reset result-stall result-throttle result-503 result-empty result-cut',
  'result-unframed-truncated',
]
  .join(' ')
  .split(' ');
const BAD: readonly [fault: string, state: 'failed' | 'expired', code: string, reason: RegExp][] = [
  [
    'result-dead',
    'expired',
    'DEAD_URL',
    /^127\.0\.0\.1:\d+: HTTP 403; the provider gives the same URL again$/,
  ],
  ['result-missing', 'expired', 'DEAD_URL', /HTTP 404/],
  ['result-gone', 'expired', 'DEAD_URL', /HTTP 410/],
  ['result-html', 'failed', 'NOT_A_VIDEO', /not a video: a web page/],
  ['result-long', 'failed', 'BROKEN', /closed in the middle|another length|another range|416/],
  ['result-cut', 'failed', 'CUT_SHORT', /cut short/],
  ['result-truncated', 'failed', 'BROKEN', /closed in the middle/],
  ['result-unframed-truncated', 'failed', 'CUT_SHORT', /cut short/],
  ['result-endless', 'failed', 'TOO_LARGE', /more than 1000000 bytes/],
  ['result-huge', 'failed', 'TOO_LARGE', /10000000200000 bytes/],
  ['result-stall', 'failed', 'BROKEN', /no more bytes arrived/],
  ['result-empty', 'failed', 'EMPTY', /empty/],
  ['result-503', 'failed', 'UNAVAILABLE', /HTTP 503/],
  ['result-redirect-loop', 'failed', 'TOO_MANY_REDIRECTS', /more than 5/],
  ['result-redirect-private', 'failed', 'PRIVATE_ADDRESS', /10\.255\.255\.1 is no public address/],
  ['result-redirect-metadata', 'failed', 'PRIVATE_ADDRESS', /169\.254\.169\.254/],
  ['result-redirect-file', 'failed', 'BAD_URL', /file:/],
];

onEvery(SQL_LEDGERS, (storage) => {
  describe('a video', () => {
    test('comes from the provider itself with the key, if the provider gives no URL', async (t) => {
      const settings = { profile: 'openai-videos', apiKey: 'sk-test' };
      const fixture = await openDownload(t, storage(), ['a'], settings);
      assert.equal((await fixture.download())['a']?.download, 'downloaded');
      fixture.options = { provider: undefined };
      await rm(join(fixture.folder, 'a.mp4'));
      assert.equal((await fixture.download())['a']?.code, 'DEAD_URL');
    });

    test('has its name, its size and its checksum when all of it is there', async (t) => {
      const fixture = await openDownload(t, storage(), ['one', 'One', '../two']);
      const rows = await fixture.download();
      const files = ['_._two.mp4', 'one.mp4', rows['One']?.file ?? ''];
      assert.deepEqual(await fixture.files(), files.sort());
      for (const row of Object.values(rows)) {
        const bytes = bytesOf(row.taskId);
        assert.deepEqual(await fileOf(fixture, row.file ?? ''), bytes);
        assert.deepEqual(
          [row.download, row.bytes, row.type, row.sha256],
          ['downloaded', SIZE, 'video/mp4', createHash('sha256').update(bytes).digest('hex')],
        );
      }
    });

    test('is not fetched again, unless its file is gone; a file that was changed is left alone', async (t) => {
      const fixture = await openDownload(t, storage(), ['kept', 'gone', 'changed']);
      await fixture.download();
      await rm(join(fixture.folder, 'gone.mp4'));
      await writeFile(join(fixture.folder, 'changed.mp4'), 'mine');
      const { results } = fixture.simulator.stats();
      const rows = await fixture.download();
      assert.equal(fixture.simulator.stats().results, results + 1);
      assert.deepEqual(
        ['kept', 'gone', 'changed'].map((key) => rows[key]?.code ?? rows[key]?.download),
        ['downloaded', 'downloaded', 'FILE_CHANGED'],
      );
      assert.equal((await fileOf(fixture, 'changed.mp4')).toString(), 'mine');
      await writeFile(join(fixture.folder, 'changed.mp4'), bytesOf(rows['changed']?.taskId ?? null));
      assert.equal((await fixture.download())['changed']?.download, 'downloaded');
      assert.equal(fixture.simulator.stats().results, results + 1);
    });

    test('takes no name from a file that is there, unless it is the same', async (t) => {
      const fixture = await openDownload(t, storage(), ['mine', 'same']);
      const same = fixture.simulator.record.find(({ body }) => body.prompt === '[same]');
      await writeFile(join(fixture.folder, 'mine.mp4'), 'mine');
      await writeFile(join(fixture.folder, 'same.mp4'), bytesOf(same?.taskId ?? null));
      const rows = await fixture.download();
      assert.equal(rows['mine']?.code, 'FILE_EXISTS');
      assert.equal((await fileOf(fixture, 'mine.mp4')).toString(), 'mine');
      assert.equal(rows['same']?.download, 'downloaded');
      assert.deepEqual(await fixture.files(), ['mine.mp4', 'same.mp4']);
    });
  });

  describe('a symbolic link in the folder', () => {
    test('is never written or read through, and fails one video alone', async (t) => {
      const keys = ['fine', 'part', 'named', 'dangling', 'folder'];
      const fixture = await openDownload(t, storage(), keys);
      const victim = join(fixture.folder, '..', `${basename(fixture.folder)}.victim`);
      t.after(() => rm(victim, { force: true }));
      const named = fixture.simulator.record.find(({ body }) => body.prompt === '[named]');
      // The very video: read through the link, it would count as downloaded.
      await writeFile(victim, bytesOf(named?.taskId ?? null));
      await symlink(victim, join(fixture.folder, 'part.part'));
      await symlink(victim, join(fixture.folder, 'named.mp4'));
      await symlink(join(fixture.folder, 'nowhere'), join(fixture.folder, 'dangling.mp4'));
      await mkdir(join(fixture.folder, 'folder.part'));
      const rows = await fixture.download();
      assert.deepEqual(
        keys.map((key) => rows[key]?.code ?? rows[key]?.download),
        ['downloaded', 'FILE_UNUSABLE', 'FILE_UNUSABLE', 'FILE_UNUSABLE', 'FILE_UNUSABLE'],
      );
      assert.match(
        rows['part']?.reason ?? '',
        /^part\.part: is a symbolic link, and `download` follows none; move it away/,
      );
      assert.match(rows['folder']?.reason ?? '', /^folder\.part: is not a file; move it away/);
      assert.deepEqual(await readFile(victim), bytesOf(named?.taskId ?? null));
      await assert.rejects(lstat(join(fixture.folder, 'nowhere')), { code: 'ENOENT' });
      for (const name of ['part.part', 'named.mp4', 'dangling.mp4']) await rm(join(fixture.folder, name));
      await rm(join(fixture.folder, 'folder.part'), { recursive: true });
      assert.deepEqual(
        Object.values(await fixture.download()).map(({ download }) => download),
        keys.map(() => 'downloaded'),
      );
      // What was downloaded is a link by now: the others are there all the same.
      await rm(join(fixture.folder, 'fine.mp4'));
      await symlink(victim, join(fixture.folder, 'fine.mp4'));
      const later = await fixture.download();
      assert.equal(later['fine']?.code, 'FILE_UNUSABLE');
      assert.equal(later['part']?.download, 'downloaded');
    });

    test('does not become a second name of another file: a part begins as a file of its own', async (t) => {
      const fixture = await openDownload(t, storage(), ['a']);
      const victim = join(fixture.folder, 'victim');
      await writeFile(victim, 'KEEP');
      await link(victim, join(fixture.folder, 'a.part'));
      assert.equal((await fixture.download())['a']?.download, 'downloaded');
      assert.equal(await readFile(victim, 'utf8'), 'KEEP');
    });
  });

  describe('any answer', () => {
    test('is a whole video under its name, or no file at all and the reason', async (t) => {
      const fixture = await openDownload(t, storage(), [
        'fine',
        ...GOOD,
        ...BAD.map(([name]) => `bad ${name}`),
      ]);
      for (const name of GOOD) fault(fixture.simulator, name, name);
      for (const [name] of BAD) fault(fixture.simulator, `bad ${name}`, name);
      const rows = await fixture.download();
      for (const name of ['fine', ...GOOD])
        assert.equal(rows[name]?.download, 'downloaded', `${name}: ${rows[name]?.reason}`);
      for (const [name, state, code, reason] of BAD) {
        const row = rows[`bad ${name}`];
        assert.deepEqual([row?.download, row?.code], [state, code], `${name}: ${row?.reason}`);
        assert.match(row?.reason ?? '', reason, name);
        assert.doesNotMatch(row?.reason ?? '', /Signature/);
      }
      const named = (await fixture.files()).filter((name) => !name.endsWith('.part'));
      assert.deepEqual(named, ['fine', ...GOOD].map((name) => `${name}.mp4`).sort());
      for (const name of ['fine', ...GOOD]) {
        assert.deepEqual(await fileOf(fixture, `${name}.mp4`), bytesOf(rows[name]?.taskId ?? null), name);
      }
    });

    test('is downloaded at last, if it fails once', async (t) => {
      const fixture = await openDownload(t, storage(), GOOD_IN_THE_END);
      for (const name of GOOD_IN_THE_END) fault(fixture.simulator, name, name, 1);
      const rows = await fixture.download();
      for (const name of GOOD_IN_THE_END) {
        assert.equal(rows[name]?.download, 'downloaded', `${name}: ${rows[name]?.reason}`);
        assert.deepEqual(await fileOf(fixture, `${name}.mp4`), bytesOf(rows[name]?.taskId ?? null), name);
      }
      assert.ok((await fixture.files()).every((name) => name.endsWith('.mp4')));
    });
  });

  describe('a part', () => {
    test('is continued by the next command, and only what is missing travels', async (t) => {
      const keys = ['half', 'changed', 'ignored', 'wrong'];
      // Half of it is less than what allows any number of tries.
      const size = 1_800_000;
      const fixture = await openDownload(t, storage(), keys, { task: { resultBytes: size } });
      fixture.options = { tries: 1, maxBytes: size };
      for (const key of keys) fault(fixture.simulator, key, 'result-truncated', 1);
      await fixture.download();
      assert.deepEqual(await fixture.files(), ['changed.part', 'half.part', 'ignored.part', 'wrong.part']);
      const part = (await stat(join(fixture.folder, 'half.part'))).size;
      assert.ok(part > 0 && part <= size / 2, String(part));
      fault(fixture.simulator, 'changed', 'result-changes');
      fault(fixture.simulator, 'ignored', 'result-ignores-range');
      fault(fixture.simulator, 'wrong', 'result-wrong-range', 1);
      let travelled = 0;
      fixture.options = { maxBytes: size, onBytes: (bytes) => (travelled += bytes) };
      const rows = await fixture.download();
      for (const key of keys) assert.equal(rows[key]?.download, 'downloaded', `${key}: ${rows[key]?.reason}`);
      assert.equal(travelled, size - part + 3 * size);
      for (const key of ['half', 'ignored', 'wrong']) {
        assert.deepEqual(await fileOf(fixture, `${key}.mp4`), bytesOf(rows[key]?.taskId ?? null, size), key);
      }
      const [other, first] = [
        await fileOf(fixture, 'changed.mp4'),
        bytesOf(rows['changed']?.taskId ?? null, size),
      ];
      assert.deepEqual(
        [other.length, other.subarray(200, 999).equals(first.subarray(200, 999))],
        [size, false],
      );
    });

    test('that is whole gets its name, though its URL is dead by now', async (t) => {
      const fixture = await openDownload(t, storage(), ['whole']);
      const taskId = fixture.simulator.record[0]?.taskId ?? '';
      fault(fixture.simulator, 'whole', 'result-truncated', 1);
      fixture.options = { tries: 1 };
      await fixture.download();
      await writeFile(join(fixture.folder, 'whole.part'), bytesOf(taskId));
      fault(fixture.simulator, 'whole', 'result-gone');
      assert.equal((await fixture.download())['whole']?.download, 'downloaded');
      assert.deepEqual(await fixture.files(), ['whole.mp4']);
    });
  });

  describe('a process that died', () => {
    test('after a file had its name, and before that was recorded, fetches nothing again', async (t) => {
      const { db } = storage();
      const fixture = await openDownload(t, storage(), ['named', 'other']);
      await fixture.download();
      await db.query(
        `update vidbatch.download d set state = 'fetching' from vidbatch.submission s
          where s.id = d.submission_id and s.batch_id = $1`,
        [fixture.batchId],
      );
      await link(join(fixture.folder, 'named.mp4'), join(fixture.folder, 'named.part'));
      await writeFile(join(fixture.folder, 'other.mp4'), Buffer.alloc(SIZE));
      const { results } = fixture.simulator.stats();
      const rows = await fixture.download();
      assert.deepEqual([rows['named']?.download, rows['other']?.code], ['downloaded', 'FILE_CHANGED']);
      assert.deepEqual(await fixture.files(), ['named.mp4', 'other.mp4']);
      assert.equal(fixture.simulator.stats().results, results);
    });
  });

  describe('a URL that has died', () => {
    test('is renewed once', async (t) => {
      let now = Date.now();
      const fixture = await openDownload(t, storage(), ['renewed'], {
        task: { resultMs: 5_000 },
        now: () => now,
      });
      now += 60_000;
      fixture.simulator.configure({ task: { resultRenewed: true } });
      const { queries } = fixture.simulator.stats();
      assert.equal((await fixture.download())['renewed']?.download, 'downloaded');
      assert.equal(fixture.simulator.stats().queries, queries + 1);
    });

    test('is not called expired when no provider can be asked', async (t) => {
      const fixture = await openDownload(t, storage(), ['dead']);
      fault(fixture.simulator, 'dead', 'result-dead');
      fixture.options = { provider: undefined };
      const row = (await fixture.download())['dead'];
      assert.deepEqual([row?.download, row?.code], ['failed', 'DEAD_URL']);
      assert.match(row?.reason ?? '', /VIDBATCH_API_KEY is not set/);
    });
  });
});
