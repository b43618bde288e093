import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { VidbatchError } from '../../src/core/errors.ts';
import { checkApiKey, redactor } from '../../src/provider/api-key.ts';

const printable = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 8,
  maxLength: 60,
});

describe('an API key', () => {
  for (const key of ['', 'sk-secret\n', 'Bearer sk-secret', 'sk-sécret', 'sk-密钥', 'sk-\0']) {
    it(`${JSON.stringify(key)} is refused without being shown`, () => {
      assert.throws(
        () => checkApiKey(key),
        (error) =>
          error instanceof VidbatchError && error.exitCode === 2 && !/secret|sécret|密钥/.test(error.message),
      );
    });
  }

  it('of printable ASCII is accepted', () => {
    fc.assert(fc.property(printable, (key) => checkApiKey(key)));
  });
});

describe('redaction', () => {
  it('takes the key out as it is, and escaped for JSON, JSON in JSON, URLs and HTML', () => {
    fc.assert(
      fc.property(printable, (key) => {
        const json = JSON.stringify(key);
        const codes = Array.from(key, (char) => char.charCodeAt(0));
        const written = [
          key,
          json.slice(1, -1),
          JSON.stringify(json).slice(3, -3),
          key.replaceAll('/', '\\/'),
          encodeURIComponent(key),
          codes.map((code) => `%${code.toString(16)}`).join(''),
          codes.map((code) => `\\u00${code.toString(16).toUpperCase()}`).join(''),
          codes.map((code) => `&#${code};`).join(''),
          codes.map((code) => `&#x${code.toString(16)};`).join(''),
        ];
        for (const text of written) assert.equal(redactor(key)(`(${text})`), '([API key])');
      }),
    );
  });

  it('removes it from base64, also if other text is encoded with it', () => {
    const long = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      minLength: 16,
      maxLength: 60,
    });
    fc.assert(
      fc.property(long, fc.string(), fc.string(), (key, before, after) => {
        const bytes = Buffer.from(before + key + after);
        const code = bytes.toString('base64');
        const written = [code, bytes.toString('base64url'), JSON.stringify(code), encodeURIComponent(code)];
        for (const text of written) {
          const left = redactor(key)(`(${text})`);
          assert.ok(left.includes('[API key]'), left);
          const at = Buffer.byteLength(before);
          // Of the character at each end, some bits are of the neighbour.
          const inside = code.slice(Math.ceil((8 * at) / 6), Math.floor((8 * (at + key.length)) / 6));
          assert.ok(!left.includes(inside));
        }
      }),
    );
  });

  it('takes out the beginning of a key at which an answer was cut off', () => {
    assert.equal(redactor('sk-0123456789abcdef')('bad key sk-0123456789a'), 'bad key [API key]');
  });

  it('leaves every other text as it is', () => {
    assert.equal(redactor('sk-0123456789abcdef')('a risk- 0123 sk-'), 'a risk- 0123 sk-');
  });
});
