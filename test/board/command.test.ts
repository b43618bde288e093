import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { get, openTheatre } from './fixture.ts';
import type { Theatre } from './fixture.ts';

const CLI = fileURLToPath(new URL('../../bin/vidbatch.js', import.meta.url));

type Command = ChildProcessByStdio<null, Readable, Readable>;

function vidbatch(theatre: Theatre, ...args: string[]): Command {
  return spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], VIDBATCH_DATA_DIR: theatre.config.dataDir },
  });
}

async function firstLine({ stdout }: Command): Promise<string> {
  for await (const line of createInterface({ input: stdout })) return line;
  throw new Error('it ended without a word');
}

async function end(command: Command, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(command, 'close');
  command.kill(signal);
  return ((await ended) as [number | null])[0];
}

suite('vidbatch board', () => {
  test('beside the process that holds the folder, and on when that one has ended', async () => {
    const theatre = await openTheatre();
    await theatre.submit('text', { a: 'a harbour' }, 'paused');
    const command = vidbatch(theatre, 'board', '--port', '0', '--json');
    try {
      const { url } = JSON.parse(await firstLine(command)) as { url: string };
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.match((await get({ url }, '/')).text, /pending 1/);
      assert.match((await get({ url }, '/queues/api/queues')).text, /all batches/);
      await theatre.board.close();
      await theatre.app.close();
      // The holder is gone: the next healthy answer comes from the board's own hold on the folder.
      while ((await get({ url }, '/healthz')).status === 200);
      while ((await get({ url }, '/healthz')).status !== 200);
      assert.match((await get({ url }, '/')).text, /pending 1/);
      assert.match((await get({ url }, '/queues/api/queues')).text, /all batches/);
      assert.equal(await end(command, 'SIGTERM'), 0);
    } finally {
      command.kill('SIGKILL');
      await theatre.close();
    }
  });

  test('an address that others can reach is a usage error that says what to do', async () => {
    const theatre = await openTheatre();
    try {
      const command = vidbatch(theatre, 'board', '--host', '0.0.0.0');
      const [message, [code]] = await Promise.all([text(command.stderr), once(command, 'close')]);
      assert.equal(code, 2);
      assert.match(message, /--host 0\.0\.0\.0: the board listens on this machine only.*\[BOARD_NOT_LOCAL\]/);
      assert.match(message, /credentials yet; they come in a later version/);
    } finally {
      await theatre.close();
    }
  });

  test('behind a published port it listens everywhere, and still knows its names', async () => {
    const theatre = await openTheatre();
    const command = vidbatch(theatre, 'board', '--host', '0.0.0.0', '--port', '0', '--behind-published-port');
    try {
      const line = await firstLine(command);
      const port = /^listening on http:\/\/0\.0\.0\.0:(\d+)$/.exec(line)?.[1];
      assert.ok(port, line);
      assert.equal((await get({ url: `http://127.0.0.1:${port}` }, '/healthz')).status, 200);
      assert.equal((await get({ url: `http://0.0.0.0:${port}` }, '/healthz')).status, 403);
      assert.equal(await end(command, 'SIGINT'), 0);
    } finally {
      command.kill('SIGKILL');
      await theatre.close();
    }
  });
});
