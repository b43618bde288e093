import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import { nameOfPlace, parseRedisUrl } from '../../../src/worker/queue/redis/url.ts';

describe('a REDIS_URL', () => {
  test('names a server, with or without TLS, user, password and database', () => {
    const server = { kind: 'server', tls: false, db: 0 };
    const cases: [string, object][] = [
      ['redis://localhost', { ...server, hosts: [{ host: 'localhost', port: 6379 }] }],
      ['redis://10.0.0.1:6380/2', { ...server, hosts: [{ host: '10.0.0.1', port: 6380 }], db: 2 }],
      ['redis://[::1]:6380?db=3', { ...server, hosts: [{ host: '::1', port: 6380 }], db: 3 }],
      [
        'rediss://me:p%40ss%3A%2F%23@h:1',
        { ...server, tls: true, hosts: [{ host: 'h', port: 1 }], username: 'me', password: 'p@ss:/#' },
      ],
      ['redis://:only@h', { ...server, hosts: [{ host: 'h', port: 6379 }], password: 'only' }],
    ];
    for (const [url, place] of cases) assert.deepEqual(parseRedisUrl(url), place, url);
  });

  test('names a cluster by any of its nodes', () => {
    assert.deepEqual(parseRedisUrl('rediss+cluster://u:p@h1:7000,h2:7001,h3'), {
      kind: 'cluster',
      tls: true,
      db: 0,
      username: 'u',
      password: 'p',
      hosts: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 7001 },
        { host: 'h3', port: 6379 },
      ],
    });
  });

  test('names the Sentinels, and the master that they are asked for', () => {
    const url = 'redis+sentinel://u:p@h1,h2:26380/my-master?db=4&sentinel_password=s%2Bs';
    assert.deepEqual(parseRedisUrl(url), {
      kind: 'sentinel',
      tls: false,
      db: 4,
      username: 'u',
      password: 'p',
      sentinelPassword: 's+s',
      master: 'my-master',
      hosts: [
        { host: 'h1', port: 26379 },
        { host: 'h2', port: 26380 },
      ],
    });
  });

  test('is shown to people without its user and its password', () => {
    assert.equal(nameOfPlace(parseRedisUrl('redis://u:secret@[::1]/2')), '[::1]:6379/2');
    assert.equal(
      nameOfPlace(parseRedisUrl('redis+sentinel://u:secret@a,b/m?db=1&sentinel_password=secret')),
      'a:26379,b:26379/m/1',
    );
  });

  test('that is invalid is refused, and no part of it is repeated', () => {
    const secret = 's3cret';
    const none = [
      `localhost:6379/${secret}`,
      `http://:${secret}@h`,
      `redis://:${secret}@`,
      `redis://:a/${secret}@h`,
      `redis://:a#${secret}@h`,
      `redis://:a?${secret}@h`,
      `redis://:%zz${secret}@h`,
      `redis://:${secret}@h:70000`,
      `redis://:${secret}@h:port`,
      `redis://:${secret}@h/zero`,
      `redis://:${secret}@h1,h2`,
      `redis://:${secret}@h?ssl_cert_reqs=none`,
      `redis+cluster://:${secret}@h1,h2/1`,
      `redis+cluster://:${secret}@h1,,h2`,
      `redis+sentinel://:${secret}@h1,h2`,
      `redis+sentinel://:${secret}@h1,h2/a/b`,
      `redis+sentinels://:${secret}@h1,h2/m`,
    ];
    for (const url of none) {
      assert.throws(
        () => parseRedisUrl(url),
        (error) => {
          assert.ok(error instanceof VidbatchError, url);
          assert.deepEqual([error.code, error.exitCode], ['BAD_URL', 2], url);
          assert.doesNotMatch(`${error.message} ${error.hint}`, /s3cret/, url);
          return error.message.startsWith('REDIS_URL ') && /redis\+sentinel:\/\//.test(error.hint ?? '');
        },
        url,
      );
    }
  });
});
