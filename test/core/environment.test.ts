import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readEnvFile } from '../../src/core/env-file.ts';
import { VidbatchError } from '../../src/core/errors.ts';
import { exits, openCli } from '../cli.ts';
import { wireServer, http, ACCEPTANCE } from '../provider/server.ts';
import { csvOf } from '../e2e/manifest.ts';

const TEXT = 'VIDBATCH_BASE_URL=http://127.0.0.1:8787\r\nVIDBATCH_API_KEY=sk-practice-000111222\r\n';
const VALUES = { VIDBATCH_BASE_URL: 'http://127.0.0.1:8787', VIDBATCH_API_KEY: 'sk-practice-000111222' };

describe('a file of variables', () => {
  let root: string;
  before(async () => (root = await mkdtemp(join(tmpdir(), 'vidbatch-env-'))));
  after(() => rm(root, { recursive: true, force: true }));

  async function read(bytes: string | Buffer): Promise<ReturnType<typeof readEnvFile>> {
    const path = join(root, 'file');
    await writeFile(path, bytes);
    return readEnvFile(path);
  }

  const big = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();
  const encodings: [name: string, bytes: string | Buffer][] = [
    ['UTF-8', TEXT],
    ['UTF-8 with a byte order mark', `\ufeff${TEXT}`],
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le')],
    ['UTF-16 without one', Buffer.from(TEXT, 'utf16le')],
    ['UTF-16 of the other order', big(`\ufeff${TEXT}`)],
    ['UTF-16 of the other order without a byte order mark', big(TEXT)],
  ];
  for (const [name, bytes] of encodings) {
    it(`is read in ${name}`, async () => {
      const file = await read(bytes);
      assert.deepEqual({ ...file?.values }, VALUES);
      assert.deepEqual(file?.strange, []);
    });
  }

  it('in another encoding is refused', async () => {
    await assert.rejects(
      read(Buffer.from('NAME=caf\xe9', 'latin1')),
      (error) => error instanceof VidbatchError && error.code === 'BAD_ENV_FILE' && error.exitCode === 2,
    );
  });

  it('says which lines are no assignment, not inside of quotes', async () => {
    const file = await read('# comment\n\nA=1\nsk-secret\nB="one\ntwo\nthree"\nexport C=3\nD=it\'s\n= 4\n');
    assert.deepEqual(file?.strange, [4, 10]);
    assert.deepEqual(
      [...(file?.lines ?? [])],
      [
        ['A', 3],
        ['B', 5],
        ['C', 8],
        ['D', 9],
      ],
    );
  });

  it('need not be there', () => assert.equal(readEnvFile(join(root, 'none')), undefined));
});

describe('.env', () => {
  it('gives a warning where it is not understood, and the rest is read', async (t) => {
    const cli = await openCli();
    t.after(cli.close);
    const lines = [
      'VIDBATCH_CONCURENCY=4',
      'VIDBATCH_HALT_ON_FAILURE=5%',
      'sk-practice-000111222',
      'OTHER=1',
      'VIDBATCH_AGAIN=1',
    ];
    await cli.write('.env', `\ufeff${lines.join('\n')}\n`);
    const file = await cli.write('a.csv', csvOf(1));
    const { stderr } = exits(await cli.run(['validate', file]), 0);
    assert.deepEqual(
      stderr.split('\n').filter((line) => line.startsWith('warning: .env')),
      [
        'warning: .env:3: is not an assignment such as NAME=value; the line is ignored',
        'warning: .env:1: vidbatch has no variable VIDBATCH_CONCURENCY; did you mean VIDBATCH_CONCURRENCY?',
        'warning: .env:5: --again has no variable; give it with each command that needs it',
      ],
    );
  });

  it('that sets the URL for a key of the environment gives one warning, before anything is sent', async (t) => {
    const server = await wireServer(({ socket }) => socket.write(http(200, ACCEPTANCE)));
    const cli = await openCli({ VIDBATCH_API_KEY: 'sk-practice-000111222' }, { ledger: true });
    t.after(async () => {
      await cli.close();
      await server.close();
    });
    await cli.write('.env', `VIDBATCH_BASE_URL=${server.url}\n`);
    const file = await cli.write('a.csv', csvOf(1));
    const { stderr } = exits(await cli.run(['run', file]), 0);
    const said = stderr.split('\n').filter((line) => line.includes('the API key comes from the environment'));
    assert.deepEqual(said, [
      `warning: the API key comes from the environment, and goes to ${server.url}, which .env sets`,
    ]);
    assert.ok(stderr.indexOf(said[0] ?? '') < stderr.indexOf('"event":"accepted"'));
    const both = { VIDBATCH_BASE_URL: server.url };
    assert.doesNotMatch(
      (await cli.run(['run', file], { env: both })).stderr,
      /key comes from the environment/,
    );
  });
});
