import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { normaliseBaseUrl } from '../../src/core/config.ts';

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
