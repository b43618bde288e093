import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import { until } from '../until.ts';
import { BASIC, EMBEDDED, get, openBoardFixture, vidbatch, type Command } from './fixture.ts';

async function firstLine({ stdout }: Command): Promise<string> {
  for await (const line of createInterface({ input: stdout })) return line;
  throw new Error('it ended without a word');
}

async function end(command: Command, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(command, 'close');
  command.kill(signal);
  return ((await ended) as [number | null])[0];
}

/** How often the board is asked at once while its ledger is away. */
const ASKED = 50;

suite('vidbatch board', () => {
  test('runs beside the process that holds the folder, opens the folder when that process ends, and yields to a worker', async () => {
    const fixture = await openBoardFixture(EMBEDDED);
    await fixture.submit('text', { a: 'a harbour' }, 'paused');
    const command = vidbatch(fixture, {}, 'board', '--port', '0', '--json');
    try {
      const told = JSON.parse(await firstLine(command)) as { url: string; token: string; open: string };
      const { url, token, open } = told;
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.equal(open, `${url}/?token=${token}`);
      assert.equal(
        (await get({ url }, '/api/batches')).status,
        401,
        'who was not told the token is not answered',
      );
      assert.match((await get({ url, token }, '/')).text, /waiting 1/);
      assert.match((await get({ url, token }, '/queues/api/queues')).text, /all batches/);
      assert.match((await get({ url, token }, '/doctor?run=1')).text, /<code>ledger<\/code> at version \d/);
      // Looked at from before the holder goes: the board may be quick to take over.
      const away = untilAway(url);
      await fixture.board.close();
      await fixture.app.close();
      await away;
      await Promise.all(Array.from({ length: ASKED }, () => get({ url }, '/healthz')));
      // The next healthy answer comes from the board's own hold on the folder.
      await until(async () => (await get({ url }, '/healthz')).status === 200);
      const log = text(command.stderr);
      assert.match((await get({ url, token }, '/')).text, /waiting 1/);
      assert.match((await get({ url, token }, '/queues/api/queues')).text, /all batches/);

      // Now that it holds the folder, a worker comes, and later is gone again: the board makes room, and is there after.
      const file = join(fixture.config.dataDir, 'later.json');
      await writeFile(file, JSON.stringify([{ model: 'viduq3p-720p', prompt: 'a lighthouse' }]));
      const provider = { VIDBATCH_BASE_URL: fixture.simulator.url, VIDBATCH_API_KEY: 'sk-later' };
      const worker = vidbatch(fixture, provider, 'run', file);
      const [code] = (await once(worker, 'close')) as [number];
      assert.equal(code, 0);
      await until(async () => (await get({ url }, '/healthz')).status === 200);
      assert.match((await get({ url, token }, '/')).text, /later.*(sent|rendering|completed) 1/s);
      assert.equal(await end(command, 'SIGTERM'), 0);
      const times = (await log).match(/"event":"board-health"/g)?.length ?? 0;
      // Once each time that the folder moves; a busy machine adds a few answers that come too late.
      assert.ok(times >= 1 && times < ASKED / 2, `told ${times} times`);
    } finally {
      command.kill('SIGKILL');
      await fixture.close();
    }
  });

  test('an address that others can reach needs credentials, and says so before anything is opened', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vidbatch-board-'));
    const at = { config: { dataDir: join(folder, 'data') } };
    try {
      const refused = async (env: Record<string, string>, ...args: string[]): Promise<string> => {
        const command = vidbatch(at, env, 'board', '--host', '0.0.0.0', ...args);
        const [message, [code]] = await Promise.all([text(command.stderr), once(command, 'close')]);
        assert.equal(code, 2);
        return message;
      };
      const [open, half, weak] = await Promise.all([
        refused({}),
        refused({}, '--board-user', 'anna'),
        refused({ VIDBATCH_BOARD_PASSWORD: 'secret' }, '--board-user', 'anna'),
      ]);
      assert.match(open, /--host 0\.0\.0\.0: the board listens on this machine only.*\[BOARD_NOT_LOCAL\]/);
      assert.match(open, /Set VIDBATCH_BOARD_USER and VIDBATCH_BOARD_PASSWORD/);
      assert.match(half, /VIDBATCH_BOARD_PASSWORD is not set.*\[BOARD_CREDENTIALS\]/);
      assert.match(weak, /\[BOARD_PASSWORD_WEAK\]/);
      assert.doesNotMatch(weak, /secret/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('with a password from a file it listens everywhere, under any name', async () => {
    const fixture = await openBoardFixture(EMBEDDED);
    const file = join(fixture.config.dataDir, 'password');
    await writeFile(file, 'correct horse\n');
    const env = { VIDBATCH_BOARD_PASSWORD_FILE: file, VIDBATCH_BOARD_USER: 'anna' };
    const command = vidbatch(fixture, env, 'board', '--host', '0.0.0.0', '--port', '0');
    try {
      const line = await firstLine(command);
      const port = /^listening on http:\/\/0\.0\.0\.0:(\d+)$/.exec(line)?.[1];
      assert.ok(port, line);
      for (const host of ['127.0.0.1', '0.0.0.0']) {
        assert.equal((await get({ url: `http://${host}:${port}` }, '/healthz')).status, 200);
        assert.equal((await get({ url: `http://${host}:${port}` }, '/')).status, 401);
        assert.equal((await fetch(`http://${host}:${port}/`, { headers: BASIC })).status, 200);
      }
      assert.equal(await end(command, 'SIGINT'), 0);
    } finally {
      command.kill('SIGKILL');
      await fixture.close();
    }
  });
});

async function untilAway(url: string): Promise<void> {
  while ((await get({ url }, '/healthz')).status === 200);
}
