import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isLoopback, isOwnForm, isOwnHost } from '../../src/board/access/guard.ts';

suite('who may knock', () => {
  for (const header of [
    'localhost',
    'LOCALHOST:3000',
    '127.0.0.1:3000',
    '127.0.0.2',
    '[::1]',
    '[::1]:65535',
  ]) {
    test(`Host: ${header} is this machine`, () => assert.equal(isOwnHost(header), true));
  }

  const foreign = [
    undefined,
    '',
    'example.com',
    'example.com:3000',
    'localhost.example.com',
    '127.0.0.1.example.com',
    'evil.com@127.0.0.1',
    '127.0.0.1@evil.com',
    '127.0.0.1:3000:80',
    '0.0.0.0:3000',
    '10.0.0.1',
    '[::]:3000',
    '[::ffff:10.0.0.1]',
    '::1',
    '127.1',
    'localhost:3000 example.com',
  ];
  for (const header of foreign) {
    test(`Host: ${header} is not`, () => assert.equal(isOwnHost(header), false));
  }

  test('the board may listen on addresses that only this machine can reach', () => {
    for (const host of ['127.0.0.1', 'localhost', '::1', '[::1]', '127.8.8.8'])
      assert.ok(isLoopback(host), host);
    for (const host of ['0.0.0.0', '::', '192.168.0.1', 'example.com', '127.0.0.1.nip.io', '']) {
      assert.ok(!isLoopback(host), host);
    }
  });
});

suite('a form', () => {
  const own: Record<string, string>[] = [
    { 'sec-fetch-site': 'same-origin', host: 'localhost:3000' },
    { origin: 'http://localhost:3000', host: 'localhost:3000' },
    { origin: 'https://board.example', host: 'board.example' },
  ];
  const foreign: Record<string, string>[] = [
    { host: 'localhost:3000' },
    { 'sec-fetch-site': 'cross-site', host: 'localhost:3000' },
    { 'sec-fetch-site': 'same-site', host: 'localhost:3000' },
    { 'sec-fetch-site': 'none', host: 'localhost:3000' },
    { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:3000', host: 'localhost:3000' },
    { origin: 'http://localhost:4000', host: 'localhost:3000' },
    { origin: 'null', host: 'localhost:3000' },
  ];

  test('is one of the board where the browser says so', () => {
    for (const headers of own) assert.ok(isOwnForm(headers), JSON.stringify(headers));
  });

  test('is refused where the browser says otherwise, or says nothing', () => {
    for (const headers of foreign) assert.ok(!isOwnForm(headers), JSON.stringify(headers));
  });
});
