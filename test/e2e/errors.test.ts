import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { countsOf, exits, job, json, openCli, type Ended } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

interface Case {
  what: string;
  args: readonly string[];
  env?: Record<string, string>;
  exit: number;
  says: RegExp;
  code: string;
}

const PROVIDER = { VIDBATCH_BASE_URL: 'http://127.0.0.1:9', VIDBATCH_API_KEY: 'sk-e2e' };
const text = job('text.csv');

const CASES: Case[] = [
  {
    what: 'no base URL',
    args: ['run', text],
    env: { VIDBATCH_BASE_URL: '' },
    exit: 2,
    says: /VIDBATCH_BASE_URL is not set/,
    code: 'NO_BASE_URL',
  },
  {
    what: 'no API key',
    args: ['run', text],
    env: { VIDBATCH_API_KEY: '' },
    exit: 2,
    says: /VIDBATCH_API_KEY is not set/,
    code: 'NO_API_KEY',
  },
  {
    what: 'a base URL that is none',
    args: ['run', text, '--base-url', 'api.example.com'],
    exit: 2,
    says: /the base URL is not a URL; allowed is https:/,
    code: 'base-url',
  },
  {
    what: 'a base URL of another scheme',
    args: ['work', '--base-url', 'ftp://api.example.com'],
    exit: 2,
    says: /begins with neither https:\/\/ nor http:\/\//,
    code: 'base-url',
  },
  {
    what: 'plain http to another host',
    args: ['run', text, '--base-url', 'http://api.example.com'],
    exit: 2,
    says: /--allow-http/,
    code: 'base-url-http',
  },
  {
    what: 'a missing file',
    args: ['run', 'missing.csv'],
    exit: 2,
    says: /missing\.csv: no such file/,
    code: 'manifest-not-found',
  },
  {
    what: 'a folder',
    args: ['validate', 'folder'],
    exit: 2,
    says: /folder is a folder/,
    code: 'manifest-is-folder',
  },
  {
    what: 'an empty file',
    args: ['validate', 'empty.csv'],
    exit: 3,
    says: /empty\.csv is empty/,
    code: 'manifest-empty',
  },
  {
    what: 'a binary file',
    args: ['validate', 'binary.csv'],
    exit: 3,
    says: /binary\.csv is a binary file, not text/,
    code: 'manifest-binary',
  },
  {
    what: 'an unknown extension',
    args: ['validate', 'rows.txt'],
    exit: 2,
    says: /rows\.txt has none of the extensions/,
    code: 'format-unknown',
  },
  {
    what: 'a workbook that is broken',
    args: ['validate', 'rows.xlsx'],
    exit: 3,
    says: /rows\.xlsx cannot be read as an Excel workbook.*save it again, as \.xlsx or as "CSV UTF-8"/s,
    code: 'workbook-unreadable',
  },
  {
    what: 'an unknown flag',
    args: ['run', text, '--concurency', '4'],
    exit: 2,
    says: /--concurency.*--concurrency/s,
    code: 'UNKNOWN_OPTION',
  },
  {
    what: 'an unknown flag of a command below another one',
    args: ['schedule', 'add', 'nightly', text, '--zone', 'UTC'],
    exit: 2,
    says: /--zone.*vidbatch schedule add --help/s,
    code: 'UNKNOWN_OPTION',
  },
  { what: 'an unknown command', args: ['rnu', text], exit: 2, says: /rnu.*run/s, code: 'UNKNOWN_COMMAND' },
  {
    what: 'a missing argument',
    args: ['export'],
    exit: 2,
    says: /batch.*`vidbatch export --help`/s,
    code: 'MISSING_ARGUMENT',
  },
  {
    what: 'an argument too many',
    args: ['status', 'a', 'b'],
    exit: 2,
    says: /argument/,
    code: 'EXCESS_ARGUMENTS',
  },
  {
    what: 'a bad rate',
    args: ['run', text, '--rate', 'fast'],
    exit: 2,
    says: /--rate: "fast"/,
    code: 'BAD_RATE',
  },
  {
    what: 'a rate of a model that nobody knows',
    args: ['plan', text, '--rate', '2/s@nomodel'],
    exit: 2,
    says: /--rate: "nomodel" is not a known model/,
    code: 'UNKNOWN_MODEL',
  },
  {
    what: 'a rate of nothing',
    args: ['run', text, '--rate', '0/s'],
    exit: 2,
    says: /--rate: "0\/s"/,
    code: 'BAD_RATE',
  },
  {
    what: 'a bad timeout',
    args: ['run', text, '--timeout', 'soon'],
    exit: 2,
    says: /--timeout: "soon"/,
    code: 'BAD_DURATION',
  },
  {
    what: 'an address that does not say who may look',
    args: ['work', '--http', '9090'],
    exit: 2,
    says: /--http: "9090" is not HOST:PORT/,
    code: 'BAD_ADDRESS',
  },
  {
    what: 'a shutdown timeout that is none',
    args: ['work'],
    env: { VIDBATCH_SHUTDOWN_TIMEOUT: 'soon' },
    exit: 2,
    says: /--shutdown-timeout: "soon" is not a duration/,
    code: 'BAD_DURATION',
  },
  {
    what: 'a concurrency of nothing',
    args: ['run', text, '--concurrency', '0'],
    exit: 2,
    says: /--concurrency: "0" is not a whole number from 1 to 1000/,
    code: 'BAD_NUMBER',
  },
  {
    what: 'a bad number from the environment',
    args: ['run', text],
    env: { VIDBATCH_ATTEMPTS: 'many' },
    exit: 2,
    says: /--attempts: "many"/,
    code: 'BAD_NUMBER',
  },
  {
    what: 'an unknown log level',
    args: ['run', text, '--log-level', 'loud'],
    exit: 2,
    says: /loud.*fatal, error, warn/s,
    code: 'INVALID_ARGUMENT',
  },
  {
    what: 'no ledger',
    args: ['status', '--data-dir', 'nowhere'],
    exit: 2,
    says: /nowhere: there is no ledger here/,
    code: 'NO_LEDGER',
  },
  {
    what: 'a Redis URL that is none, also where there is no ledger',
    args: ['status'],
    env: { REDIS_URL: 'http://:hunter2@localhost:6379' },
    exit: 2,
    says: /REDIS_URL is not a URL of Redis/,
    code: 'BAD_URL',
  },
  {
    what: 'a Postgres that is not there',
    args: ['status'],
    env: { DATABASE_URL: 'postgres://someone:hunter2@127.0.0.1:1/db' },
    exit: 1,
    says: /Postgres at 127\.0\.0\.1:1\/db cannot be used: .*ECONNREFUSED/,
    code: 'LEDGER_UNREACHABLE',
  },
  {
    what: 'a Postgres URL that is none',
    args: ['status'],
    env: { DATABASE_URL: 'localhost' },
    exit: 2,
    says: /DATABASE_URL is not a URL/,
    code: 'BAD_URL',
  },
  {
    what: 'a bad batch name',
    args: ['submit', text, '--batch', 'a/b'],
    exit: 2,
    says: /a\/b/,
    code: 'batch-name',
  },
  {
    what: 'standard input without a name',
    args: ['submit', '-', '--format', 'jsonl'],
    exit: 2,
    says: /--batch/,
    code: 'BATCH_NEEDED',
  },
];

describe('a mistake', async () => {
  const here = await openCli(PROVIDER);
  after(here.close);
  await mkdir(join(here.folder, 'folder'));
  await here.write('empty.csv', '');
  await here.write(
    'binary.csv',
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0xff, 0xfe, 0]),
  );
  await here.write('rows.xlsx', Buffer.from('PK\u0003\u0004'));
  await here.write('rows.txt', 'id,model,prompt\n');

  for (const { what, args, env = {}, exit, says, code } of CASES) {
    it(`is one clear line with a code: ${what}`, async () => {
      const ended = exits(await here.run(args, { env }), exit);
      clear(ended);
      assert.equal(ended.stdout, '');
      assert.match(ended.stderr, says);
      assert.match(ended.stderr, new RegExp(`^vidbatch: .*\\[${code}\\]$`, 'm'));
      assert.doesNotMatch(ended.stderr, /hunter2|sk-e2e/);
    });
  }

  for (const name of [
    'no API key',
    'a missing file',
    'an unknown flag',
    'an unknown command',
    'a bad rate',
  ]) {
    it(`is an object with the same code for programs: ${name}`, async () => {
      const { args, env = {}, exit, code } = CASES.find(({ what }) => what === name) ?? assert.fail(name);
      const ended = exits(await here.run([...args, '--json'], { env }), exit);
      assert.equal(ended.stdout, '');
      const { error } = JSON.parse(ended.stderr) as { error: { code: string; message: string } };
      assert.equal(error.code, code);
      assert.ok(error.message.length > 0 && !error.message.includes(code));
    });
  }
});

describe('a provider that cannot be reached', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  it('costs attempts, and leaves rows that are known not to be sent', async () => {
    const file = await cli.write('shots.csv', csvOf(3));
    const env = { VIDBATCH_BASE_URL: 'http://127.0.0.1:1' };
    const ended = exits(await cli.run(['run', file, '--attempts', '1', '--json'], { env }), 4);
    const counts = countsOf(ended);
    assert.deepEqual([counts['exhausted'], counts['pending'], counts['uncertain']], [3, 0, 0]);
    const explained = exits(await cli.run(['explain', 'shots', 'row-1']), 0);
    assert.match(explained.stdout, /^shots row-1: exhausted$/m);
    assert.match(explained.stdout, /not-sent.*ECONNREFUSED/);
    assert.match(explained.stdout, /^next {5}`vidbatch retry shots`$/m);
  });

  it('waits with backoff between attempts', async () => {
    const file = await cli.write('twice.csv', csvOf(1, 'twice'));
    const env = { VIDBATCH_BASE_URL: 'http://127.0.0.1:1' };
    const ended = exits(await cli.run(['run', file, '--attempts', '2'], { env }), 4);
    assert.match(
      ended.stderr,
      /^twice: 1 exhausted row was never accepted, tries used up \(ECONNREFUSED: .*127\.0\.0\.1:1 refuses connections\); `vidbatch retry twice` makes/m,
    );
    const levels = [...ended.stderr.matchAll(/"level":"(\w+)".*"event":"not-sent".*"state":"(\w+)"/g)];
    assert.deepEqual(
      levels.map(([, level, state]) => `${level} ${state}`),
      ['info pending', 'warn exhausted'],
    );
    const { attempts } = json(exits(await cli.run(['explain', 'twice', 'twice-1', '--json']), 0)) as {
      attempts: { outcome: string }[];
    };
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ['not-sent', 'not-sent'],
    );
  });

  it('does not hide an unknown batch or row: both are named', async () => {
    const batch = exits(await cli.run(['status', 'shot']), 2);
    clear(batch);
    assert.match(batch.stderr, /there is no batch named shot \[NO_SUCH_BATCH\]\n {2}Did you mean shots\?/);
    const row = exits(await cli.run(['explain', 'shots', 'nobody']), 2);
    clear(row);
    assert.match(row.stderr, /has no row with the key or task id nobody \[NO_SUCH_ROW\]/);
  });
});

/** No stack trace, and little more than one line. */
function clear(ended: Ended): void {
  assert.doesNotMatch(ended.stderr, /^\s+at .*:\d+:\d+|node:internal|file:\/\//m);
  assert.ok(ended.stderr.trimEnd().split('\n').length <= 3, ended.stderr);
}
