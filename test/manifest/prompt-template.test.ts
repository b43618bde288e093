import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fillPrompt } from '../../src/manifest/prompt-template.ts';
import type { RawRow } from '../../src/manifest/entry.ts';

function fill(raw: RawRow, map?: ReadonlyMap<string, string>) {
  const used = new Set<string>();
  const { raw: filled, faults } = fillPrompt(raw, 7, { map, used });
  return {
    prompt: filled['prompt'],
    used: [...used],
    faults: faults.map(({ rule, severity, message }) => ({ rule, severity, message })),
  };
}

test('a place gets the value of its column, as the row has it', () => {
  const raw = {
    prompt: 'a {{color}} {{ animal }}, {{n}} {{yes}}',
    color: 'red',
    animal: 'fox',
    n: 3,
    yes: true,
  };
  assert.deepEqual(fill(raw), {
    prompt: 'a red fox, 3 true',
    used: ['color', 'animal', 'n', 'yes'],
    faults: [],
  });
  assert.equal(raw.prompt, 'a {{color}} {{ animal }}, {{n}} {{yes}}', 'the row stays as it was');
});

test('a column may be named as in the file, or as its field', () => {
  const map = new Map([['时长', 'duration']]);
  const raw = { prompt: '{{时长}} {{duration}}', duration: '5' };
  assert.equal(fill(raw, map).prompt, '5 5');
});

test('a value is not searched for places, and an escaped place stays', () => {
  assert.equal(fill({ prompt: String.raw`{{a}} \{{a}} }}`, a: '{{b}}', b: 'no' }).prompt, '{{b}} {{a}} }}');
});

test('an unknown column, a column without a text and an open place are faults of the row', () => {
  const faultsOf = (prompt: string): string[] =>
    fill({ prompt, colour: 'red', list: [1], none: null, blank: ' ' }).faults.map(
      ({ rule, severity, message }) => `${severity} ${rule}: ${message}`,
    );
  assert.deepEqual(faultsOf('{{color}}'), [
    'error template-column: {{color}}: the row has no such column; did you mean {{colour}}?',
  ]);
  assert.deepEqual(faultsOf('{{xyz}}'), [
    'error template-column: {{xyz}}: the row has no such column; its columns are colour, list, none, blank',
  ]);
  assert.match(faultsOf('{{none}}')[0] ?? '', /^error template-column: /);
  assert.match(faultsOf('{{toString}}')[0] ?? '', /^error template-column: /);
  assert.match(faultsOf('{{prompt}}')[0] ?? '', /cannot contain itself/);
  assert.deepEqual(faultsOf('{{list}}'), [
    'error template-value: {{list}}: an array is no text for a prompt',
  ]);
  assert.deepEqual(faultsOf('{{blank}}'), ['warning template-empty: {{blank}} is empty in this row']);
  assert.deepEqual(faultsOf('{{colour} x'), [
    String.raw`error template-open: has {{ without }}; \{{ writes {{ as it is`,
  ]);
});

test('any text comes through, escaped or as a value', () => {
  const text = fc.string({ unit: fc.constantFrom('{', '}', '\\', 'a', '$', '&', ' ') });
  fc.assert(
    fc.property(text, (value) => {
      assert.equal(fill({ prompt: 'x{{v}}y', v: value }).prompt, `x${value}y`);
      const escaped = value.replaceAll(/\{(?=\{)/g, String.raw`\{`);
      if (!value.includes('{{{') && !value.includes('\\'))
        assert.equal(fill({ prompt: escaped, v: 1 }).prompt, value);
    }),
  );
});
