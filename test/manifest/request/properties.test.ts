import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as fc from 'fast-check';
import { readRequest } from '../../../src/manifest/request/read-request.ts';
import { requestRules } from '../../../src/manifest/request/request-rules.ts';
import { exportColumns, fields, ownColumns } from '../../../src/manifest/request/field-names.ts';

const { models, extraKeys } = requestRules();
const knownModels = models.names;
const isMix = (model: string): boolean => models.entryOf(model)?.references?.to !== 0;

const source = fc.constantFrom('csv' as const, 'json' as const);

const column = fc.oneof(
  fc.constantFrom(...fields, ...ownColumns, ...exportColumns, 'promt', 'extra_body.', '__proto__'),
  fc.constantFrom(...extraKeys.keys()).map((key) => `extra_body.${key}`),
  fc.string({ unit: 'binary' }).map((key) => `extra_body.${key}`),
  fc.string({ unit: 'binary' }),
);

const url = fc.webUrl();
const plausible = fc.oneof(
  fc.constantFrom(
    ...knownModels,
    '5',
    '5.0',
    'true',
    '16:9',
    'x|y',
    '{"seed":1}',
    '["https://example.com/a"]',
  ),
  url,
  fc.array(url),
  fc.integer({ min: -1, max: 20 }),
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  }),
);

/** Rows of each mode that are mostly right, so that the second property has something to say. */
const common = {
  model: fc.constantFrom(...knownModels.filter((model) => !isMix(model))),
  prompt: fc.string({ minLength: 1 }),
  duration: fc.integer({ min: 1, max: 17 }),
  aspect_ratio: fc.constantFrom('16:9', ' 9:16'),
  extra_body: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
  'extra_body.seed': fc.oneof(fc.nat(), fc.constant(-0)),
  'extra_body.audio': fc.boolean(),
};
const likelyRow = fc.oneof(
  fc.record(common, { requiredKeys: ['model', 'prompt'] }),
  fc.record({ ...common, image: url, last_image: url }, { requiredKeys: ['model', 'prompt', 'image'] }),
  fc.record(
    {
      ...common,
      model: fc.constantFrom(...knownModels.filter(isMix)),
      reference_image_urls: fc.array(url, { minLength: 1, maxLength: 7 }),
    },
    { requiredKeys: ['model', 'prompt', 'reference_image_urls'] },
  ),
);

const anyRow = fc
  .array(fc.tuple(column, plausible))
  .map((entries) => Object.fromEntries(entries) as Record<string, unknown>);

it('any row gives faults and no exception', () => {
  fc.assert(
    fc.property(fc.oneof(anyRow, fc.anything()), source, fc.boolean(), (raw, source, strict) => {
      const result = readRequest(raw as Record<string, unknown>, { source, line: 1, strict });
      const failed = result.faults.some(({ severity }) => severity === 'error');
      assert.equal(result.request === undefined, failed);
      assert.equal(result.mode === undefined, failed);
      for (const { rule, message, line } of result.faults) {
        assert.match(rule, /^[a-z0-9]+(-[a-z0-9]+)*$/);
        assert.ok(message.isWellFormed() && !message.includes('\0') && message.length < 800, message);
        assert.equal(line, 1);
      }
    }),
    { numRuns: 400 },
  );
});

it('an accepted request survives the wire, and is accepted again as it is', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: likelyRow }, anyRow), source, (raw, source) => {
      const { request, mode } = readRequest(raw, { source, line: 1 });
      if (request === undefined) return;
      accepted += 1;
      assert.deepEqual(JSON.parse(JSON.stringify(request)), request);
      const again = readRequest({ ...request }, { source: 'json', line: 1 });
      assert.deepEqual(again.request, request);
      assert.equal(again.mode, mode);
      assert.equal(JSON.stringify(again.request), JSON.stringify(request));
    }),
    { numRuns: 400 },
  );
  assert.ok(accepted > 100, `only ${accepted} rows were accepted`);
});
