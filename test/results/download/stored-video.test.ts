import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { StoredVideo } from '../../../src/ledger/tasks/stored-videos.ts';
import { holdFolder } from '../../../src/results/download/folder.ts';
import { isHere, openStoredVideo } from '../../../src/results/download/stored-video.ts';

const SECRET = 'SECRET';

suite('a downloaded video that is opened again', () => {
  let root: string;
  let video: StoredVideo;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'vidbatch-stored-'));
    const folder = holdFolder(join(root, 'videos'), 'ledger', { id: 1, name: 'spring' });
    folder.release();
    writeFileSync(join(folder.path, 'a.mp4'), 'movie!');
    writeFileSync(join(root, 'outside.mp4'), SECRET);
    video = {
      id: 1,
      folderId: folder.id,
      host: folder.host,
      path: folder.path,
      file: 'a.mp4',
      bytes: 6,
      sha256: 'aa',
      type: 'video/mp4',
      at: new Date(),
    };
  });
  after(() => rmSync(root, { recursive: true }));

  test('gives its bytes', async () => {
    const opened = (await openStoredVideo(video)) ?? assert.fail('it is there');
    assert.equal(await opened.handle.readFile('utf8'), 'movie!');
    await opened.handle.close();
  });

  test('is found at a folder that a link leads to, because its note is there', async () => {
    symlinkSync(video.path, join(root, 'link'));
    assert.ok(await isHere({ ...video, path: join(root, 'link') }));
  });

  test('a record with a path out of the folder opens nothing', async () => {
    assert.ok(!(await isHere({ ...video, file: '../outside.mp4' })));
    assert.ok(!(await isHere({ ...video, file: join(root, 'outside.mp4') })));
    assert.ok(!(await isHere({ ...video, file: '..' })));
    assert.ok(!(await isHere({ ...video, file: '' })));
    assert.ok(!(await isHere({ ...video, file: 'a.mp4\0.txt' })));
    assert.ok(!(await isHere({ ...video, path: `${video.path}/../videos` })));
    assert.ok(!(await isHere({ ...video, path: 'videos' })));
    // The note of the folder itself names its ledger.
    assert.ok(!(await isHere({ ...video, file: '.vidbatch-download.json' })));
  });

  test('a link, a folder, a named pipe or a file of another size in its place opens nothing', async () => {
    const place = (name: string): string => join(video.path, name);
    symlinkSync(join(root, 'outside.mp4'), place('link.mp4'));
    symlinkSync('a.mp4', place('near.mp4'));
    mkdirSync(place('folder.mp4'));
    execFileSync('mkfifo', [place('pipe.mp4')]);
    writeFileSync(place('longer.mp4'), 'movie!!');
    for (const name of ['link', 'near', 'folder', 'pipe', 'longer', 'missing']) {
      assert.ok(!(await isHere({ ...video, file: `${name}.mp4` })), name);
    }
  });

  test('another folder in the place of the recorded one opens nothing', async () => {
    const other = holdFolder(join(root, 'other'), 'ledger', { id: 2, name: 'autumn' });
    other.release();
    linkSync(join(root, 'outside.mp4'), join(other.path, 'a.mp4'));
    assert.ok(!(await isHere({ ...video, path: other.path })));
    renameSync(video.path, join(root, 'moved'));
    symlinkSync(root, video.path);
    assert.ok(!(await isHere({ ...video, file: 'outside.mp4' })));
    rmSync(video.path);
    renameSync(join(root, 'moved'), video.path);
    assert.ok(await isHere(video));
  });

  test('only a type of video is served as one', async () => {
    for (const type of [
      null,
      'text/html',
      'video/',
      'video/mp4; charset=x',
      'video/mp4\r\nx: y',
      'image/svg+xml',
    ]) {
      assert.ok(!(await isHere({ ...video, type })), String(type));
    }
  });
});
