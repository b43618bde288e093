import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readWhatCanBe } from '../../../src/core/config.ts';
import type { Check } from '../../../src/operate/doctor/check.ts';
import { judgeConfiguration, isBelow, judgeMachine } from '../../../src/operate/doctor/configuration.ts';
import { complaints, judges } from './judging.ts';

describe('the machine', () => {
  const surroundings = { keyFrom: 'VIDBATCH_API_KEY' as const, proxies: [] as string[], tlsUnchecked: false };
  judges({ vidbatch: '0.1.0', node: '24.1.0', floor: '22.19.0', surroundings }, judgeMachine, [
    ['an old Node', { node: '22.18.9' }, 'failed node'],
    ['the oldest that will do', { node: '22.19.0' }, null],
    ['a proxy', { surroundings: { ...surroundings, proxies: ['HTTPS_PROXY'] } }, 'warning proxy'],
    [
      'certificates that are not checked',
      { surroundings: { ...surroundings, tlsUnchecked: true } },
      'warning tls',
    ],
  ]);

  it('compares versions by their numbers', () => {
    assert.ok(isBelow('5.0.0', '6.2.0') && isBelow('6.2.0', '6.10.0') && isBelow('6.2.0-rc1', '6.2.1'));
    assert.ok(!isBelow('10.0.0', '9.9.9') && !isBelow('6.2.0', '6.2.0'));
  });
});

describe('the configuration', () => {
  const KEY = 'sk-never-shown';
  const given = {
    VIDBATCH_BASE_URL: 'https://api.example.com/v1',
    VIDBATCH_API_KEY: KEY,
    // Not where the checkout lies: its path may hold the length of the key by chance.
    VIDBATCH_DATA_DIR: '/data',
  };
  const judged = (env: Record<string, string>): Check[] =>
    judgeConfiguration(readWhatCanBe({ ...given, ...env }));

  it('is shown as it was understood, without a secret', () => {
    const checks = judged({
      DATABASE_URL: 'postgres://me:hunter2@db/app?sslmode=verify-full',
      REDIS_URL: 'rediss://:hunter2@queue:6379',
    });
    assert.deepEqual(complaints(checks), []);
    const told = JSON.stringify(checks);
    assert.match(told, /ledger: Postgres at db\/app · queue: Redis at queue:6379 · any number of machines/);
    assert.match(told, /"https:\/\/api\.example\.com"/);
    assert.doesNotMatch(told, /hunter2|sk-never/);
  });

  it('warns of servers of other machines without TLS', () => {
    const checks = judged({
      DATABASE_URL: 'postgres://me:hunter2@db/app',
      REDIS_URL: 'redis://:hunter2@queue:6379',
    });
    assert.deepEqual(complaints(checks), ['warning configuration-tls', 'warning configuration-tls']);
    assert.doesNotMatch(JSON.stringify(checks), /hunter2/);
  });

  it('has a word for each of the four storages', () => {
    const storage = (env: Record<string, string>): string => judged(env)[0]?.what ?? '';
    assert.match(storage({}), /embedded in .* · queue: the same database · one machine, one worker/);
    assert.match(
      storage({ REDIS_URL: 'redis://q:6379' }),
      /embedded in .* · queue: Redis at q:6379 · one machine/,
    );
    assert.match(
      storage({ DATABASE_URL: 'postgres://d/a' }),
      /Postgres at d\/a · queue: the same database · any/,
    );
  });

  for (const [what, env, complaint] of [
    ['no base URL', { VIDBATCH_BASE_URL: '' }, 'failed configuration-base-url'],
    ['a base URL that is none', { VIDBATCH_BASE_URL: 'api' }, 'failed configuration'],
    ['no key', { VIDBATCH_API_KEY: '' }, 'failed configuration-api-key'],
    ['a key that cannot travel', { VIDBATCH_API_KEY: `Bearer ${KEY}` }, 'failed configuration-api-key'],
    [
      'a key file that is not there',
      { VIDBATCH_API_KEY: '', VIDBATCH_API_KEY_FILE: '/nowhere' },
      'failed configuration',
    ],
    ['a database URL that is none', { DATABASE_URL: 'localhost' }, 'failed configuration-storage'],
    ['a code that cannot be moved', { VIDBATCH_CODES: 'busy=nothing' }, 'failed configuration-codes'],
    ['codes that are none', { VIDBATCH_CODES: 'busy' }, 'failed configuration'],
    ['a switch that is neither', { VIDBATCH_PROVIDER_IDEMPOTENT: 'perhaps' }, 'failed configuration'],
  ] as [string, Record<string, string>, string][]) {
    it(`with a fault is shown as far as it can be read: ${what}`, () => {
      const checks = judged(env);
      assert.deepEqual(complaints(checks), [complaint]);
      assert.ok(!JSON.stringify(checks).includes(KEY));
      assert.ok(!JSON.stringify(checks).includes(String(KEY.length)));
    });
  }
});
