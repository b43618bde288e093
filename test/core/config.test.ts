import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { after, before, describe, test, it } from 'node:test';
import { normaliseBaseUrl } from '../../src/core/base-url.ts';
import { OWN_VARIABLES, readConfig } from '../../src/core/config.ts';
import { loadEnvFile } from '../../src/core/env-file.ts';
import { parseCount, parseDuration } from '../../src/core/units.ts';
import { readBoardCredentials } from '../../src/core/environment.ts';
import { VidbatchError } from '../../src/core/errors.ts';

let root: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'vidbatch-config-'));
});
after(() => rm(root, { recursive: true, force: true }));

const none = async () => ({ variables: [], without: [] });

function usage(code: string): (error: unknown) => boolean {
  return (error) => error instanceof VidbatchError && error.code === code && error.exitCode === 2;
}

describe('a duration', () => {
  test('has a unit, or is in seconds', () => {
    const cases: [string, number][] = [
      ['120s', 120_000],
      ['500ms', 500],
      ['2m', 120_000],
      ['1h', 3_600_000],
      ['24h', 86_400_000],
      ['1.5 s', 1500],
      [' 7 ', 7000],
    ];
    for (const [text, ms] of cases) assert.equal(parseDuration('--timeout', text), ms, text);
  });

  test('is refused by name when it is something else', () => {
    for (const text of [
      '',
      '0',
      '0s',
      '0.4ms',
      '-1s',
      '25h',
      '1d',
      'soon',
      '1e3',
      '1,5s',
      '1s2',
      'Infinity',
    ]) {
      assert.throws(() => parseDuration('--timeout', text), usage('BAD_DURATION'), text);
    }
    assert.throws(() => parseDuration('--timeout', 'soon'), /--timeout: "soon" is not a duration/);
  });
});

test('a count is a whole number within its bounds', () => {
  assert.equal(parseCount('--concurrency', '8', 1, 1000), 8);
  assert.equal(parseCount('--concurrency', ' 1000 ', 1, 1000), 1000);
  for (const text of ['', '0', '1001', '-1', '1.5', '1e2', '0x10', 'many']) {
    assert.throws(() => parseCount('--concurrency', text, 1, 1000), usage('BAD_NUMBER'), text);
  }
});

describe('the environment', () => {
  test('may be empty', () => {
    const config = readConfig({});
    assert.deepEqual(
      { ...config, dataDir: '' },
      {
        baseUrl: undefined,
        apiKey: undefined,
        redisUrl: undefined,
        databaseUrl: undefined,
        dataDir: '',
        models: [],
        codes: {},
        providerIdempotent: false,
        otel: 'no',
      },
    );
    assert.ok(isAbsolute(config.dataDir) && config.dataDir.endsWith('.vidbatch'));
  });

  test('an empty value counts as not set', () => {
    const { redisUrl, apiKey, baseUrl } = readConfig({
      REDIS_URL: '',
      VIDBATCH_API_KEY: '  ',
      VIDBATCH_BASE_URL: '',
    });
    assert.deepEqual([redisUrl, apiKey, baseUrl], [undefined, undefined, undefined]);
  });

  test('gives a secret itself, or the file that holds it', async () => {
    const file = join(root, 'key');
    await writeFile(file, 'sk-from-file\n');
    assert.equal(readConfig({ VIDBATCH_API_KEY_FILE: file }).apiKey, 'sk-from-file');
    assert.equal(
      readConfig({ VIDBATCH_API_KEY: 'sk-direct', VIDBATCH_API_KEY_FILE: file }).apiKey,
      'sk-direct',
    );
    assert.equal(readConfig({ REDIS_URL_FILE: file }).redisUrl, 'sk-from-file');
    assert.equal(readConfig({ DATABASE_URL_FILE: file }).databaseUrl, 'sk-from-file');
    assert.throws(
      () => readConfig({ VIDBATCH_API_KEY_FILE: join(root, 'nowhere') }),
      (error) =>
        usage('SECRET_UNREADABLE')(error) &&
        /VIDBATCH_API_KEY_FILE/.test((error as Error).message) &&
        /can read.*set VIDBATCH_API_KEY\.$/.test((error as VidbatchError).hint ?? ''),
    );
  });

  test('lists models and codes, separated by commas or spaces', () => {
    const { models, codes } = readConfig({
      VIDBATCH_MODELS: ' a, b\tc ,',
      VIDBATCH_CODES: 'busy=not-sent, gone=uncertain',
    });
    assert.deepEqual(models, ['a', 'b', 'c']);
    assert.deepEqual(codes, { busy: 'not-sent', gone: 'uncertain' });
    for (const list of ['busy', 'busy=', '=not-sent', 'a=b=c']) {
      assert.throws(() => readConfig({ VIDBATCH_CODES: list }), usage('BAD_CODES'), list);
    }
  });

  test('has a switch that is on, off, or asked about', () => {
    const on = (value: string): boolean =>
      readConfig({ VIDBATCH_PROVIDER_IDEMPOTENT: value }).providerIdempotent;
    for (const value of ['true', '1', 'YES', 'on']) assert.equal(on(value), true, value);
    for (const value of ['', 'false', '0', 'No', 'off']) assert.equal(on(value), false, value);
    for (const value of ['ja', 'treu', '2']) assert.throws(() => on(value), usage('BAD_SWITCH'), value);
  });

  test('has no value in quotes, and none with a name that was not replaced', async () => {
    const file = join(root, 'secret');
    await writeFile(file, '"sk-secret"\n');
    const quoted: Record<string, string>[] = [
      { VIDBATCH_API_KEY: '"sk-secret"' },
      { VIDBATCH_API_KEY: "'sk-secret'" },
      { VIDBATCH_API_KEY: '"sk-secret' },
      { VIDBATCH_API_KEY_FILE: file },
      { VIDBATCH_BASE_URL: '"https://secret.example"' },
      { DATABASE_URL: '"postgres://u:secret@h/d"' },
      { REDIS_URL: "'redis://:secret@h'" },
    ];
    const raw: Record<string, string>[] = [
      { VIDBATCH_API_KEY: '${API_KEY}' },
      { VIDBATCH_API_KEY: '$API_KEY' },
      { DATABASE_URL: 'postgres://u:${PASSWORD}@secret/d' },
    ];
    for (const [code, environments] of [
      ['QUOTED_VALUE', quoted],
      ['UNREPLACED_VARIABLE', raw],
    ] as const) {
      for (const env of environments) {
        assert.throws(
          () => readConfig(env),
          (error) => usage(code)(error) && error instanceof VidbatchError && !/secret/.test(error.message),
          JSON.stringify(env),
        );
      }
    }
    assert.equal(readConfig({ VIDBATCH_API_KEY: 'sk-$1"x' }).apiKey, 'sk-$1"x');
    assert.equal(
      readBoardCredentials({ VIDBATCH_BOARD_USER: 'u', VIDBATCH_BOARD_PASSWORD: '"p' })?.password,
      '"p',
    );
  });

  test('has priority over .env', async (t) => {
    const file = join(root, 'dot-env');
    await writeFile(file, 'VIDBATCH_TEST_ONLY_A=from file\nVIDBATCH_TEST_ONLY_B="from file"\n');
    t.after(() => {
      delete process.env['VIDBATCH_TEST_ONLY_A'];
      delete process.env['VIDBATCH_TEST_ONLY_B'];
    });
    process.env['VIDBATCH_TEST_ONLY_A'] = 'from the process';
    await loadEnvFile(OWN_VARIABLES, none, file);
    assert.equal(process.env['VIDBATCH_TEST_ONLY_A'], 'from the process');
    assert.equal(process.env['VIDBATCH_TEST_ONLY_B'], 'from file');
    await loadEnvFile(OWN_VARIABLES, none, join(root, 'no-such-file'));
    await assert.rejects(loadEnvFile(OWN_VARIABLES, none, root), usage('BAD_ENV_FILE'));
  });
});

test('spans are made if they are configured, and perhaps if an exporter is set', () => {
  const of = (env: Record<string, string>): unknown => readConfig(env).otel;
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  assert.equal(of({}), 'no');
  assert.equal(of({ VIDBATCH_OTEL: 'true' }), 'yes');
  assert.equal(of({ ...endpoint, VIDBATCH_OTEL: '0' }), 'no');
  assert.equal(of(endpoint), 'maybe');
  assert.equal(of({ OTEL_TRACES_EXPORTER: 'otlp' }), 'maybe');
  assert.equal(of({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), 'no');
  assert.equal(of({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), 'no');
  assert.throws(() => of({ VIDBATCH_OTEL: 'perhaps' }), usage('BAD_SWITCH'));
});

describe('a base URL', () => {
  const same: [string, string][] = [
    ['https://api.example.com', 'https://api.example.com'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['https://api.example.com/v1', 'https://api.example.com'],
    ['https://api.example.com/v1/', 'https://api.example.com'],
    ['https://api.example.com/v1/video/generations', 'https://api.example.com'],
    ['https://api.example.com/v1/video/generations//', 'https://api.example.com'],
    [' https://API.example.com:443/ ', 'https://api.example.com'],
    ['https://api.example.com:8443/gateway/v1', 'https://api.example.com:8443/gateway'],
    ['https://api.example.com/gateway//v1//', 'https://api.example.com/gateway'],
    ['https://api.example.com/v10', 'https://api.example.com/v10'],
    ['http://localhost:3000/v1', 'http://localhost:3000'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://127.9.8.7', 'http://127.9.8.7'],
    ['http://[::1]:3000/', 'http://[::1]:3000'],
  ];
  for (const [text, url] of same) {
    it(`"${text}" is ${url}`, () => {
      assert.equal(normaliseBaseUrl(text, { allowHttp: false }), url);
      assert.equal(normaliseBaseUrl(url, { allowHttp: false }), url);
    });
  }

  it('may be plain http elsewhere only when that is allowed', () => {
    assert.equal(normaliseBaseUrl('http://10.0.0.7/v1', { allowHttp: true }), 'http://10.0.0.7');
  });

  const refused = [
    '',
    'api.example.com',
    'localhost:3000',
    'ftp://api.example.com',
    'https://user:hunter2@api.example.com',
    'https://api.example.com/?key=hunter2',
    'https://api.example.com/#hunter2',
    'https://api.example.com/?',
    'http://api.example.com',
    'http://127.0.0.1.example.com',
    'http://10.0.0.7',
    'http://0.0.0.0',
  ];
  for (const text of refused) {
    it(`"${text}" is refused, and no secret in it is shown`, () => {
      assert.throws(
        () => normaliseBaseUrl(text, { allowHttp: false }),
        (error) =>
          error instanceof VidbatchError && error.exitCode === 2 && !error.message.includes('hunter2'),
      );
    });
  }
});
