import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Comparison, Difference } from '../../src/ledger/import/comparison.ts';
import { SAME_IDS, type IdComparison } from '../../src/ledger/import/renamed-ids.ts';
import { refuseChanges, type Consent } from '../../src/batch/confirm-changes.ts';

const NOTHING: Comparison & IdComparison = {
  ...SAME_IDS,
  rows: 10,
  fresh: 0,
  known: 10,
  moved: 0,
  changed: 0,
  changedPaid: { count: 0, examples: [] },
  outdated: { count: 0, examples: [] },
  vanishedPending: { count: 0, examples: [] },
  vanishedPaid: 0,
  vanishedInvalid: 0,
  elsewhere: { count: 0, examples: [] },
};
const IDS: Consent = { name: 'b', keyScheme: 'id' };
const CONTENT: Consent = { name: 'b', keyScheme: 'h1' };
const ALL: Partial<Consent> = { add: true, again: true, vanished: 'keep' };

const example: Difference = { key: 'k', line: 3, state: 'submitted', ours: '{"a":1}', theirs: '{"a":2}' };

function code(comparison: Partial<Comparison & IdComparison>, consent: Consent): string | undefined {
  return refuseChanges({ ...NOTHING, ...comparison }, consent)?.code;
}

describe('what could cost money unexpectedly', () => {
  test('nothing, when nothing changed or rows are only added or updated', () => {
    assert.equal(code({}, IDS), undefined);
    assert.equal(code({ fresh: 5, changed: 3 }, IDS), undefined);
    assert.equal(code({ fresh: 5 }, CONTENT), undefined);
    assert.equal(code({ fresh: 5, vanishedPaid: 5 }, IDS), undefined, 'ids tell new rows from edited ones');
    assert.equal(code({ vanishedPaid: 5 }, CONTENT), undefined);
  });

  test('a change of what was sent, which nothing consents to', () => {
    const changedPaid = { count: 1, examples: [example] };
    assert.equal(code({ changedPaid }, IDS), 'CHANGED_AFTER_SENT');
    assert.equal(code({ changedPaid }, { ...IDS, ...ALL }), 'CHANGED_AFTER_SENT');
  });

  test('a version that a newer one has replaced, which nothing consents to', () => {
    const outdated = { count: 1, examples: [example] };
    assert.equal(code({ outdated }, { ...IDS, ...ALL }), 'NEWER_IN_LEDGER');
    const error = refuseChanges({ ...NOTHING, outdated }, IDS);
    assert.equal(error?.exitCode, 3);
    assert.match(
      error.message,
      /^1 row of batch b has a newer version .*nothing was sent now\n {2}line 3, k \(submitted\)\n {4}ledger: {3}\{"a":1\}\n {4}manifest: \{"a":2\}$/,
    );
  });

  const asked: [string, Partial<Comparison & IdComparison>, Consent, Partial<Consent>][] = [
    ['LOOKS_LIKE_EDITS', { fresh: 1, vanishedPaid: 1 }, CONTENT, { add: true }],
    ['ROWS_VANISHED', { vanishedPending: { count: 2, examples: [] } }, IDS, { vanished: 'prune' }],
    ['ROWS_VANISHED', { vanishedPending: { count: 2, examples: [] } }, CONTENT, { vanished: 'keep' }],
    ['SENT_ELSEWHERE', { elsewhere: { count: 2, examples: [] } }, IDS, { again: true }],
  ];
  for (const [expected, comparison, consent, by] of asked) {
    test(`${expected} (${consent.keyScheme}): until a person says ${JSON.stringify(by)}`, () => {
      const error = refuseChanges({ ...NOTHING, ...comparison }, consent);
      assert.deepEqual([error?.code, error?.exitCode], [expected, 3]);
      assert.match(error?.message ?? '', /nothing was sent now/);
      assert.equal(code(comparison, { ...consent, ...by }), undefined);
    });
  }

  test('the refusal of an export for another batch first names its own batch, and then how to pay again', () => {
    const elsewhere = { count: 1, examples: [] };
    const hint = (consent: Consent): string | undefined =>
      refuseChanges({ ...NOTHING, elsewhere }, consent)?.hint;
    assert.match(
      hint({ ...IDS, exportOf: 'a b' }) ?? '',
      /^The manifest is an export of a b: --batch 'a b' submits it there\. --again sends/,
    );
    assert.match(hint(IDS) ?? '', /^--again sends/);
  });

  test('rows that one other batch has sent: the hint names that batch first, where they are not sent again', () => {
    const hint = (...batches: string[]): string => {
      const examples = batches.map((batch) => ({ ...example, batch }));
      return refuseChanges({ ...NOTHING, elsewhere: { count: 9, examples } }, IDS)?.hint ?? '';
    };
    assert.match(
      hint('a b', 'a b'),
      /^If the manifest continues batch a b: --batch 'a b' sends only what is new there\. --again sends/,
    );
    assert.match(hint('a', 'b'), /^--again sends/);
  });

  test('one consent is not another', () => {
    const everything: Partial<Comparison & IdComparison> = {
      fresh: 1,
      vanishedPaid: 1,
      vanishedPending: { count: 1, examples: [] },
      elsewhere: { count: 1, examples: [] },
    };
    assert.equal(code(everything, CONTENT), 'LOOKS_LIKE_EDITS');
    assert.equal(code(everything, { ...CONTENT, add: true }), 'ROWS_VANISHED');
    assert.equal(code(everything, { ...CONTENT, add: true, vanished: 'prune' }), 'SENT_ELSEWHERE');
    assert.equal(code(everything, { ...CONTENT, ...ALL }), undefined);
  });
});

describe('the message', () => {
  test('shows both versions of a changed row, with its line and state', () => {
    const changedPaid = { count: 1, examples: [example] };
    assert.equal(
      refuseChanges({ ...NOTHING, changedPaid }, IDS)?.message,
      [
        '1 row of batch b changed after it was sent; nothing was sent now',
        '  line 3, k (submitted)',
        '    ledger:   {"a":1}',
        '    manifest: {"a":2}',
      ].join('\n'),
    );
  });

  test('names the other batch, and cuts what is long', () => {
    const elsewhere = { count: 12_345, examples: [{ ...example, batch: 'other', ours: null }] };
    const message = refuseChanges({ ...NOTHING, elsewhere }, IDS)?.message ?? '';
    assert.match(message, /^12,345 rows of batch b/);
    assert.match(message, /line 3, k, in batch other \(submitted\)\n {2}and 12,344 more$/);
    const long = { count: 1, examples: [{ ...example, theirs: 'x'.repeat(2000) }] };
    assert.ok((refuseChanges({ ...NOTHING, changedPaid: long }, IDS)?.message ?? '').length < 700);
  });
});
