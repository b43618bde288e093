import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRequest, type ReadRequest } from '../../../src/manifest/request/read-request.ts';

/** A CSV row: every value is text. */
function read(cells: Record<string, string>): ReadRequest {
  const row = { model: 'viduq3p-720p', prompt: 'Rain on a tin roof', ...cells };
  return readRequest(row, { source: 'csv', line: 2 });
}

function rulesOf({ faults }: ReadRequest): string[] {
  return faults.map(({ severity, rule }) => `${severity} ${rule}`);
}

describe('a CSV row', () => {
  it('becomes the same request as its JSON twin', () => {
    const { request, faults } = read({
      aspect_ratio: ' 16:9 ',
      duration: '5.0',
      image: '',
      'extra_body.audio': 'FALSE',
      'extra_body.seed': '42',
      'extra_body.bgm': '0',
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(request, {
      model: 'viduq3p-720p',
      prompt: 'Rain on a tin roof',
      aspect_ratio: '16:9',
      duration: 5,
      extra_body: { audio: false, seed: 42, bgm: false },
    });
  });

  it('leaves empty cells out, of blanks too, but calls a blank prompt blank', () => {
    const empty = read({ image: '', duration: '  ', extra_body: '', 'extra_body.seed': ' ', id: '' });
    assert.deepEqual(empty.request, { model: 'viduq3p-720p', prompt: 'Rain on a tin roof' });
    assert.deepEqual(rulesOf(empty), []);
    assert.deepEqual(rulesOf(read({ prompt: '' })), ['error prompt-required']);
    assert.deepEqual(rulesOf(read({ prompt: ' ' })), ['error prompt-blank']);
  });

  it('loses nothing of the JSON in a cell: keys that occur twice, and numbers that would change, are errors', () => {
    assert.deepEqual(rulesOf(read({ extra_body: '{"a":1,"a":2}' })), ['error duplicate-key']);
    const large = read({ extra_body: '{"k":{"id":738529527931269425}}' });
    assert.deepEqual(rulesOf(large), ['error number-precision']);
    assert.match(large.faults[0]?.message ?? '', /^k\.id: the number 738529527931269425 /);
    const seed = read({ 'extra_body.seed': '9007199254740993' });
    assert.match(seed.faults[0]?.message ?? '', /9007199254740993/);
  });

  it('has as many URLs as begin in a list cell, with any clear separator between them', () => {
    const [one, two] = ['https://c.example/1,a;b.png', 'https://c.example/2.png'];
    const urls = (cell: string): unknown =>
      read({ model: 'viduq3p-mix-720p', reference_image_urls: cell }).request?.reference_image_urls;
    for (const separator of [',', ';', '\n', '，', '；', ' ', '、', '｜', '|', ', '])
      assert.deepEqual(urls(`${one}${separator}${two}`), [one, two], separator);
    assert.deepEqual(urls(`['${one}', '${two}']`), [one, two]);
    assert.deepEqual(urls(one), [one]);
  });

  it('is never told to write a value that is refused', () => {
    const hint = (duration: string): string => read({ duration }).faults[0]?.message ?? '';
    assert.match(hint('12秒'), /write 12 alone$/);
    for (const wrong of ['20秒', '0s', '２０']) assert.doesNotMatch(hint(wrong), /write/);
  });

  it('takes true, false, 1 and 0 for booleans, and nothing else', () => {
    for (const [cell, value] of [
      ['true', true],
      [' True ', true],
      ['1', true],
      ['false', false],
      ['0', false],
    ] as const) {
      assert.deepEqual(read({ 'extra_body.audio': cell }).request?.extra_body, { audio: value });
    }
    const yes = read({ 'extra_body.audio': 'yes' });
    assert.deepEqual(rulesOf(yes), ['error audio-type']);
    assert.equal(
      yes.faults[0]?.message,
      'the text "yes" is not true or false (a CSV cell may also hold 1 or 0)',
    );
  });

  it('takes whole numbers only in plain digits', () => {
    for (const [cell, rule] of [
      ['5.5', 'seed-type'],
      ['1e1', 'seed-type'],
      ['2.1E+09', 'seed-type'],
      ['0x5', 'seed-type'],
      ['４２', 'seed-type'],
      ['-1', 'seed-range'],
      ['99999999999999999999', 'seed-type'],
    ] as const) {
      assert.deepEqual(rulesOf(read({ 'extra_body.seed': cell })), [`error ${rule}`], cell);
    }
    assert.match(read({ 'extra_body.seed': '４２' }).faults[0]?.message ?? '', /write 42 in plain digits/);
    assert.match(
      read({ 'extra_body.seed': '2.1E+09' }).faults[0]?.message ?? '',
      /a spreadsheet may have shortened/,
    );
  });

  it('takes a list as JSON or between bars', () => {
    const a = 'https://example.com/a.png';
    const b = 'https://example.com/b.png';
    for (const cell of [`${a}|${b}`, ` ${a} | | ${b} |`, JSON.stringify([a, b])]) {
      const result = read({ model: 'viduq3t-mix-720p', reference_image_urls: cell });
      assert.deepEqual(result.request?.reference_image_urls, [a, b], cell);
    }
    assert.deepEqual(rulesOf(read({ reference_image_urls: ' | ' })), []);
    assert.deepEqual(rulesOf(read({ model: 'viduq3t-mix-720p', reference_image_urls: '["a' })), [
      'error reference-image-urls-json',
    ]);
  });

  it('takes extra_body as JSON, merged with dotted columns', () => {
    const merged = read({
      extra_body: '{"seed": 42, "audio": true}',
      'extra_body.seed': '42',
      'extra_body.bgm': '0',
    });
    assert.deepEqual(merged.request?.extra_body, { seed: 42, audio: true, bgm: false });
    assert.deepEqual(rulesOf(read({ extra_body: '{"seed": 42}', 'extra_body.seed': '43' })), [
      'error extra-body-conflict',
    ]);
    assert.deepEqual(rulesOf(read({ extra_body: '{seed: 42}' })), ['error extra-body-json']);
    assert.deepEqual(rulesOf(read({ extra_body: '[]' })), ['error extra-body-type']);
    assert.deepEqual(rulesOf(read({ extra_body: '"seed"' })), ['error extra-body-type']);
  });

  it('passes unknown dotted columns on as text, nested by their dots', () => {
    const result = read({ 'extra_body.camera.zoom': '2', 'extra_body.camera.pan': 'left' });
    assert.deepEqual(result.request?.extra_body, { camera: { zoom: '2', pan: 'left' } });
    assert.deepEqual(rulesOf(result), ['warning extra-body-unknown-key']);
    const clash = read({ 'extra_body.camera': 'x', 'extra_body.camera.zoom': '2' });
    assert.deepEqual(rulesOf(clash), ['error extra-body-conflict', 'warning extra-body-unknown-key']);
  });

  it('keeps text that looks like something else as text', () => {
    assert.equal(read({ prompt: '5' }).request?.prompt, '5');
    assert.equal(read({ prompt: '-5 + SUM(A1)' }).request?.prompt, '-5 + SUM(A1)');
  });
});
