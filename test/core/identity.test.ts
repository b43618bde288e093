import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { VidbatchError } from '../../src/core/errors.ts';
import { batchNameOf, canonicalJson, checkBatchName, contentHash } from '../../src/core/identity.ts';
import { readRequest } from '../../src/manifest/request/read-request.ts';

describe('canonical JSON', () => {
  it('is what RFC 8785 shows in section 3.2.2', () => {
    const input = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    assert.equal(
      canonicalJson(JSON.parse(input)),
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('sorts keys by UTF-16 code units, as in section 3.2.3', () => {
    const input = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    assert.deepEqual(Object.values(JSON.parse(canonicalJson(input)) as object), [
      'One', // an integer-like key: JavaScript lists it first in any case
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
    assert.ok(canonicalJson(input).startsWith('{"\\r":"Carriage Return","1":"One"'));
  });

  it('writes numbers as appendix B of the RFC', () => {
    for (const [value, text] of [
      [-0, '0'],
      [5e-324, '5e-324'],
      [9007199254740992, '9007199254740992'],
      [295147905179352830000, '295147905179352830000'],
      [9.999999999999997e22, '9.999999999999997e+22'],
      [1e21, '1e+21'],
      [333333333.3333332, '333333333.3333332'],
      [0.000001, '0.000001'],
    ] as const) {
      assert.equal(canonicalJson(value), text);
    }
  });

  it('refuses values that JSON cannot express', () => {
    for (const value of [NaN, Infinity, '\ud800', { '\udc00': 1 }, undefined, () => 1, [undefined]]) {
      assert.throws(() => canonicalJson(value), TypeError);
    }
  });

  it('does not depend on the order of keys, and loses nothing', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const wellFormed =
          JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value));
        fc.pre(wellFormed);
        const reversed = Object.fromEntries(Object.entries(value).toReversed());
        const text = canonicalJson(value);
        assert.equal(canonicalJson(reversed), text);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 200 },
    );
  });
});

describe('the key of a row without id', () => {
  it('never changes: known rows would be paid again', () => {
    const request = {
      model: 'viduq3p-720p',
      prompt: '电影感航拍镜头,日出时分掠过未来海滨城市,光线柔和,镜头缓慢推进。',
      aspect_ratio: '16:9',
      duration: 5,
      extra_body: { audio: false, seed: 42, bgm: false },
    };
    const hash = contentHash(request);
    assert.equal(hash, 'f344537e45d8c656849d83ed90a33e0f29df76b8915c111fc01bcac41d734d20');
  });

  it('is the same from CSV and JSON, in any order of columns', () => {
    const csv = readRequest(
      {
        'extra_body.seed': '42',
        duration: '5.0',
        scene: '1',
        prompt: 'Tide',
        model: ' viduq3p-720p',
        image: '',
      },
      { source: 'csv', line: 2 },
    );
    const json = readRequest(
      {
        model: 'viduq3p-720p',
        prompt: 'Tide',
        duration: 5,
        image: null,
        extra_body: { seed: 42, bgm: null },
      },
      { source: 'json', line: 1 },
    );
    assert.equal(contentHash(csv.request ?? assert.fail()), contentHash(json.request ?? assert.fail()));
  });

  it('changes with anything that is sent', () => {
    const base = { model: 'viduq3p-720p', prompt: 'Tide' };
    const hashes = [
      base,
      { ...base, prompt: 'Tide ' },
      { ...base, duration: 5 },
      { ...base, duration: 6 },
    ].map(contentHash);
    assert.equal(new Set(hashes).size, 4);
  });
});

describe('the name of a batch', () => {
  it("is the file's, without the last extension", () => {
    assert.equal(batchNameOf('jobs/a.b.csv'), 'a.b');
    assert.equal(batchNameOf('/data/八月/夜景.jsonl'), '夜景');
    assert.equal(batchNameOf('plain'), 'plain');
    assert.equal(batchNameOf('.csv'), '.csv');
  });

  it('has no slash, backslash, colon or control character, and up to 200 characters', () => {
    for (const name of ['a', 'a.b', '八月 夜景', '👍'.repeat(200)])
      assert.doesNotThrow(() => checkBatchName(name));
    for (const name of ['', ' ', '.', '..', 'a/b', 'a\\b', 'a:b', 'a\nb', 'a\0', '\ud800', 'a'.repeat(201)]) {
      assert.throws(
        () => checkBatchName(name),
        (error) => error instanceof VidbatchError && error.code === 'batch-name' && error.exitCode === 2,
        JSON.stringify(name),
      );
    }
  });
});
