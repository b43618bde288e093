import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync, watch } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openApp } from '../../../src/worker/app.ts';
import { readConfig } from '../../../src/core/config.ts';
import { Video } from '../../../src/simulator/video.ts';
import { exits, json, lastLine, openCli, type Cli } from '../../cli.ts';
import { copyTemplate } from '../../servers.ts';
import { fault, openDownload, type DownloadFixture } from './fixture.ts';

const MEGABYTE = 1_048_576;

/** Completed tasks in an embedded ledger that nobody has open. */
async function openBatch(
  t: TestContext,
  keys: readonly string[],
  resultBytes: number,
): Promise<{ cli: Cli; fixture: DownloadFixture; args: string[] }> {
  const cli = await openCli({ VIDBATCH_API_KEY: 'sk-test' });
  t.after(cli.close);
  const dataDir = join(cli.folder, '.vidbatch');
  await copyTemplate(dataDir);
  const app = await openApp({ ...readConfig({}), dataDir }, 'worker');
  const fixture = await openDownload(t, app, keys, { task: { resultBytes } });
  const { rows } = await app.db.query<{ name: string }>('select name from vidbatch.batch');
  await app.close();
  cli.env['VIDBATCH_BASE_URL'] = fixture.simulator.url;
  const args = ['download', rows[0]?.name ?? '', '--folder', 'videos'];
  return { cli, fixture, args };
}

/** Resolves when the file has so many bytes. */
async function grown(folder: string, file: string, bytes: number): Promise<void> {
  const watcher = watch(folder);
  try {
    const size = (): number => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0;
    while (size() < bytes) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

describe('download', () => {
  it('continues where it was killed, and leaves no incomplete file', async (t) => {
    const { cli, fixture, args } = await openBatch(t, ['a', 'b'], 8 * MEGABYTE);
    const folder = join(cli.folder, 'videos');
    for (const key of ['a', 'b']) fault(fixture.simulator, key, 'result-stall', 1);
    const allowed = [...args, '--allow-private'];
    const killed = cli.start(allowed);
    await fixture.simulator.reached({ results: 2 });
    await Promise.all([grown(folder, 'a.part', 2 * MEGABYTE), grown(folder, 'b.part', 2 * MEGABYTE)]);
    const busy = exits(await cli.run(allowed), 1);
    assert.match(busy.stderr, /\[FOLDER_BUSY\]/);
    killed.kill('SIGKILL');
    await killed.ended;
    assert.deepEqual((await readdir(folder)).filter((name) => !name.startsWith('.')).sort(), [
      'a.part',
      'b.part',
    ]);
    await writeFile(join(folder, 'other.txt'), 'mine');

    const again = exits(await cli.run(allowed), 0);
    assert.match(lastLine(again), /^2 downloaded \(16 MB\) · in videos$/);
    for (const create of fixture.simulator.record) {
      const bytes = await readFile(join(folder, `${create.body.prompt.slice(1, -1)}.mp4`));
      assert.ok(bytes.equals(Buffer.concat([...new Video(create.taskId, 8 * MEGABYTE).bytes()])));
    }
    assert.deepEqual((await readdir(folder)).sort(), [
      '.vidbatch-download.json',
      '.vidbatch-download.lock',
      'a.mp4',
      'b.mp4',
      'other.txt',
      'vidbatch-videos.csv',
    ]);
    assert.equal(fixture.simulator.stats().results, 4);
  });

  it('does not connect to a private address, and names the flag that allows it', async (t) => {
    const { cli, fixture, args } = await openBatch(t, ['a'], 1000);
    const { stdout, stderr } = exits(await cli.run(args), 4);
    assert.match(
      stderr,
      /^1 video: PRIVATE_ADDRESS\n {2}a: 127\.0\.0\.1 is no public address; --allow-private/m,
    );
    assert.match(stdout, /^0 downloaded \(0 bytes\) · 1 failed · in /);
    assert.equal(fixture.simulator.stats().results, 0);
    const host = new URL(fixture.simulator.url).host;
    const told = json(exits(await cli.run([...args, '--allow-host', host, '--json', '--watch']), 0));
    assert.partialDeepStrictEqual(told, {
      counts: { downloaded: 1 },
      rows: [{ row_key: 'a', file: 'a.mp4' }],
    });
    const again = exits(await cli.run([...args, '--allow-host', host]), 0);
    assert.match(lastLine(again), /^1 downloaded \(1000 bytes\), 0 of them now · in /);
    const explained = exits(await cli.run(['explain', args[1] ?? '', 'a']), 0).stdout;
    assert.match(explained, /^video {4}downloaded · .*\/videos\/a\.mp4 · 1000 bytes · sha256 [\da-f]{64}/m);
    assert.match(explained, /^next {5}nothing: its video is downloaded$/m);
    const status = exits(await cli.run(['status', args[1] ?? '']), 0).stdout;
    assert.match(status, /^ {2}videos: 1 downloaded$/m);
    assert.match(exits(await cli.run(['status']), 0).stdout, /^batch .* downloaded/m);
    assert.match(exits(await cli.run(['download', 'none', '--folder', 'videos']), 2).stderr, /NO_SUCH_BATCH/);
  });

  it('follows a link to the folder and no link in it, and says which other users can write there', async (t) => {
    const { cli, args } = await openBatch(t, ['a', 'b'], 1000);
    const folder = join(cli.folder, 'real');
    const victim = join(cli.folder, 'victim.txt');
    await mkdir(folder);
    await chmod(folder, 0o777);
    await symlink(folder, join(cli.folder, 'videos'));
    await writeFile(victim, 'KEEP');
    for (const name of [
      'vidbatch-videos.csv.new',
      'vidbatch-videos.csv',
      'a.part',
      '.vidbatch-download.json.new',
    ]) {
      await symlink(victim, join(folder, name));
    }
    const { stdout, stderr } = exits(await cli.run([...args, '--allow-private']), 4);
    assert.match(stderr, /videos: other users can write it: .*chmod go-w/);
    assert.match(stderr, /^1 video: FILE_UNUSABLE\n {2}a: a\.part: is a symbolic link/m);
    assert.match(stdout, /^1 downloaded \(1000 bytes\) · 1 failed/);
    assert.equal(await readFile(victim, 'utf8'), 'KEEP');
    assert.ok((await lstat(join(folder, 'vidbatch-videos.csv'))).isFile());
    assert.match(
      await readFile(join(folder, 'vidbatch-videos.csv'), 'utf8'),
      /^a,failed,.*FILE_UNUSABLE.*\r\nb,downloaded,/m,
    );
    await rm(join(folder, 'a.part'));
    await chmod(folder, 0o755);
    assert.equal(exits(await cli.run([...args, '--allow-private']), 0).stderr.includes('can write'), false);

    for (const name of ['.vidbatch-download.json', '.vidbatch-download.lock']) {
      await rm(join(folder, name));
      await symlink(join(cli.folder, 'victim2.txt'), join(folder, name));
      const refused = exits(await cli.run([...args, '--allow-private']), 2);
      assert.match(
        refused.stderr,
        new RegExp(`${name.replaceAll('.', '\\.')}: is a symbolic link.*\\[FOLDER_LINK\\]`),
      );
      await rm(join(folder, name));
    }
    await assert.rejects(lstat(join(cli.folder, 'victim2.txt')), { code: 'ENOENT' });
  });
});
