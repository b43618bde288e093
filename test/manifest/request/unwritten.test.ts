import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { image, mix, read, rulesOf, text } from './reading.ts';

const rulesOfPrompt = (prompt: string): string[] => rulesOf(read({ ...text, prompt }));

describe('text that is no prompt', () => {
  it('is an error as a prompt: errors and formulas of spreadsheets, words for a missing value', () => {
    for (const prompt of ['#REF!', '#N/A', ' #value! ', '########'])
      assert.deepEqual(rulesOfPrompt(prompt), ['error text-spreadsheet-error'], prompt);
    for (const prompt of ['=A1&B1', '=HYPERLINK("x")', '＝A1', '= SUM(A1)'])
      assert.deepEqual(rulesOfPrompt(prompt), ['error text-formula'], prompt);
    for (const prompt of ['nan', 'NaN', 'None', 'null', 'undefined', 'N/A', '<NA>', '-', '无'])
      assert.deepEqual(rulesOfPrompt(prompt), ['error text-no-value'], prompt);
    for (const prompt of ['???????', '？？ ??', '\uFFFD\uFFFD dawn'])
      assert.deepEqual(rulesOfPrompt(prompt), ['error text-garbled'], prompt);
  });

  it('is a warning where it was probably read in the wrong encoding', () => {
    for (const prompt of [
      'æ¸…æ™¨çš„ç å¤´',
      '锟斤拷烫烫烫',
      'cafÃ© at dawn',
      'donâ€™t move',
      '娓呮櫒鐨勭爜澶�'.slice(0, -1),
    ])
      assert.deepEqual(rulesOfPrompt(prompt), ['warning text-probably-garbled'], prompt);
  });

  it('is not what people write', () => {
    for (const prompt of [
      'None of them moves',
      'A null island, #1',
      'What? Who?',
      '== Scene 1 ==',
      'Café… “touché…” fiancé’s naïve São Paulo, ÎLE, CAFÉ…',
      '清晨的码头，联通世界',
      'Ça va—très bien',
      '夜の港 부산 항구',
    ])
      assert.deepEqual(rulesOfPrompt(prompt), [], prompt);
  });

  it('is an error in extra_body where it cannot be meant; a word may be', () => {
    const rules = (style: unknown): string[] =>
      rulesOf(read({ ...text, extra_body: { style } })).filter((rule) => !rule.endsWith('unknown-key'));
    assert.deepEqual(rules('#N/A'), ['error text-spreadsheet-error']);
    assert.deepEqual(rules([{ name: '\uFFFD' }]), ['error text-garbled']);
    assert.deepEqual(rules('none'), []);
  });

  it('is sent as it is when a person insists, and is the same row', () => {
    const row = read({ ...text, prompt: '#REF!' }, { asWritten: true });
    assert.deepEqual(row.request, { ...text, prompt: '#REF!' });
    assert.deepEqual(row.faults, []);
  });
});

describe('an id that a spreadsheet has changed', () => {
  it('is a warning that names it', () => {
    for (const id of ['1.23457E+17', '2-Jan', '1月2日', '########', 'nan'])
      assert.deepEqual(rulesOf(read({ ...text, id })), ['warning id-mangled'], id);
    for (const id of ['shot-2', '001', 'jan-a', '1e', '2E'])
      assert.deepEqual(rulesOf(read({ ...text, id })), [], id);
  });
});

describe('a URL', () => {
  const rules = (url: string): string[] => rulesOf(read({ ...image, image: url }));

  it('with invisible characters, with several URLs, or in quotes or brackets is an error', () => {
    const url = 'https://cdn.example.com/a.png';
    assert.deepEqual(rules(`${url}\u200B`), ['error url-invisible-character']);
    for (const separator of [',', ';', '，', '、', '｜', ' ', '\n'])
      assert.deepEqual(rules(`${url}${separator}${url}`), ['error url-several'], separator);
    for (const wrapped of [
      `"${url}"`,
      `<${url}>`,
      `[a](${url})`,
      `=HYPERLINK("${url}")`,
      'https：//a.example/b',
    ]) {
      const { faults } = read({ ...image, image: wrapped });
      assert.match(faults[0]?.message ?? '', /write "https:/, wrapped);
    }
  });

  it('that the provider can hardly fetch is a warning', () => {
    for (const host of [
      'localhost:8000',
      '192.168.1.5',
      '127.0.0.1',
      '[::1]',
      '10.0.0.1',
      'nas.local',
      'nas',
    ])
      assert.deepEqual(rules(`http://${host}/a.png`), ['warning url-private-host'], host);
    assert.deepEqual(rules('https://cdn.example.com/图片.png'), ['warning url-not-ascii']);
    assert.deepEqual(rules('https://cdn.example.com/a.png?exp=%'), ['warning url-percent']);
    assert.deepEqual(rules('https://cdn.example.com/a.png,'), ['warning url-end']);
  });

  it('may hold another one, and commas', () => {
    for (const url of [
      'https://img.example/w_1,h_2/https://a.example/b.png',
      'https://a.example/?u=https://b.example;c',
    ])
      assert.deepEqual(rules(url), [], url);
    assert.deepEqual(
      rulesOf(read({ ...mix, reference_image_urls: ['https://a.example/1,https://a.example/2'] })),
      ['error url-several'],
    );
  });
});
