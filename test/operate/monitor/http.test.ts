import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import { hostOf, parseAddress } from '../../../src/operate/monitor/http.ts';

test('an address is HOST:PORT, and without a host it is every address', () => {
  assert.deepEqual(parseAddress('--http', '127.0.0.1:9090'), { host: '127.0.0.1', port: 9090 });
  assert.deepEqual(parseAddress('--http', ' worker-1.internal:80 '), { host: 'worker-1.internal', port: 80 });
  assert.deepEqual(parseAddress('--http', '[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseAddress('--http', '[fe80::1%eth0]:1'), { host: 'fe80::1%eth0', port: 1 });
  assert.deepEqual(parseAddress('--http', ':9090'), { port: 9090 });
});

test('anything else is a usage error that says what is allowed', () => {
  for (const text of [
    '',
    '9090',
    'localhost',
    '::1:9090',
    ':65536',
    ':',
    '[]:1',
    'http://a:1',
    '*:9090',
    'a b:1',
  ]) {
    assert.throws(
      () => parseAddress('--http', text),
      (error) =>
        error instanceof VidbatchError &&
        error.code === 'BAD_ADDRESS' &&
        /127\.0\.0\.1:9090/.test(error.message),
      text,
    );
  }
});

test('an IPv6 address is in brackets in a URL', () => {
  assert.equal(hostOf({ host: '::1', port: 1 }, 'localhost'), '[::1]');
  assert.equal(hostOf({ port: 1 }, 'localhost'), 'localhost');
});
