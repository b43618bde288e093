import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRequest, type ReadRequest } from '../../../src/manifest/request/read-request.ts';
import { exportColumns } from '../../../src/manifest/request/field-names.ts';

function read(more: Record<string, unknown>, source: 'csv' | 'json' = 'csv'): ReadRequest {
  const row = { model: 'viduq3p-720p', prompt: 'A fox crosses a frozen river', ...more };
  return readRequest(row, { source, line: 3 });
}

function rulesOf({ faults }: ReadRequest): string[] {
  return faults.map(({ severity, rule }) => `${severity} ${rule}`);
}

describe('columns that are no fields', () => {
  it('are kept, never sent, and not complained of', () => {
    const result = read({ scene: '12A', 镜头: '远景', notes: '', style: 'noir', title: 'Fox', mode: 'text' });
    assert.deepEqual(result.faults, []);
    assert.deepEqual(result.extras, ['scene', '镜头', 'notes', 'style', 'title', 'mode']);
    assert.deepEqual(Object.keys(result.request ?? {}), ['model', 'prompt']);
  });

  it('are warned of when they look like a mistyped name of ours', () => {
    for (const [column, meant] of [
      ['promt', 'prompt'],
      ['Prompt ', 'prompt'],
      ['PROMPT', 'prompt'],
      ['aspectRatio', 'aspect_ratio'],
      ['aspect ratio', 'aspect_ratio'],
      ['duratoin', 'duration'],
      ['images', 'image'],
      ['reference_image_url', 'reference_image_urls'],
      ['seed', 'extra_body.seed'],
      ['extra_body_seed', 'extra_body.seed'],
      ['ID', 'id'],
      ['notBefore', 'not_before'],
      ['image_url', 'image'],
    ] as const) {
      const result = read({ [column]: 'x' });
      assert.deepEqual(rulesOf(result), ['warning unknown-column-typo'], column);
      assert.ok(result.faults[0]?.message.endsWith(`did you mean ${meant}?`), column);
      assert.deepEqual(result.extras, [column]);
    }
  });

  it('may bear the name that others give to a field, beside the field itself', () => {
    const result = read({ image: 'https://example.com/a.png', image_url: 'a.png' });
    assert.deepEqual(result.faults, []);
    assert.deepEqual(result.extras, ['image_url']);
  });

  it('are warned of inside extra_body, too', () => {
    const result = read({ 'extra_body.sed': '42' });
    assert.deepEqual(rulesOf(result), ['warning unknown-column-typo']);
    assert.equal(result.faults[0]?.column, 'extra_body.sed');
    assert.match(result.faults[0]?.message ?? '', /did you mean extra_body.seed\?/);
  });

  it('of an export that is fed back say nothing', () => {
    const exported = Object.fromEntries(exportColumns.map((column) => [column, 'whatever']));
    const result = read({ ...exported, 'input.state': 'Ohio', 'input.promt': 'x' });
    assert.deepEqual(result.faults, []);
    assert.deepEqual(result.extras, ['input.state', 'input.promt']);
    assert.deepEqual(Object.keys(result.request ?? {}), ['model', 'prompt']);
  });
});

describe('id', () => {
  it('is trimmed, and absent when empty', () => {
    assert.equal(read({ id: ' 镜头-01 ' }).id, '镜头-01');
    assert.equal(read({ id: '  ' }).id, undefined);
    assert.equal(read({ id: 12 }, 'json').id, '12');
    assert.ok(!('id' in (read({ id: 'a' }).request ?? {})));
  });

  it('has up to 200 characters, none of them a control character', () => {
    assert.deepEqual(rulesOf(read({ id: '👍'.repeat(200) })), []);
    assert.deepEqual(rulesOf(read({ id: 'a'.repeat(201) })), ['error id-length']);
    assert.deepEqual(rulesOf(read({ id: 'a\tb' })), ['error id-characters']);
    assert.deepEqual(rulesOf(read({ id: 'a\ud800' })), ['error id-characters']);
    assert.deepEqual(rulesOf(read({ id: { a: 1 } }, 'json')), ['error id-type']);
  });

  it('is found for a row that has other faults', () => {
    assert.equal(read({ id: 'a', duration: '99' }).id, 'a');
  });
});

describe('not_before', () => {
  it('is an RFC 3339 time with a zone', () => {
    assert.equal(read({ not_before: '2026-08-20T02:00:00+08:00' }).notBefore, '2026-08-20T02:00:00+08:00');
    assert.equal(read({ not_before: ' 2026-08-20t02:00:00.5z ' }).notBefore, '2026-08-20T02:00:00.5Z');
    for (const wrong of [
      '2026-08-20 02:00',
      '2026-08-20T02:00:00',
      '2026-08-20T02:00+08:00',
      '2026-02-30T02:00:00Z',
      '2026-08-20T24:00:00Z',
      '2026-08-20T02:00:00+99:00',
      '0000-01-01T00:00:00Z',
      'tonight',
    ]) {
      const result = read({ not_before: wrong });
      assert.deepEqual(rulesOf(result), ['error not-before-format'], wrong);
      assert.equal(result.request, undefined);
    }
  });
});

describe('priority', () => {
  it('is a whole number, and never sent', () => {
    for (const priority of ['1', '-5', '3.0', '100', '-100'])
      assert.deepEqual(rulesOf(read({ priority })), []);
    for (const priority of ['high', '1.5', '101', '-101'])
      assert.deepEqual(rulesOf(read({ priority })), ['error priority-integer']);
    assert.ok(!('priority' in (read({ priority: '1' }).request ?? {})));
    assert.equal(read({ priority: '-5' }).priority, -5);
  });
});
