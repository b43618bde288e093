import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { builtInNames } from '../../../src/provider/profile/built-in.ts';
import { builtInProfile, DEFAULT_PROFILE, loadProfile } from '../../../src/provider/profile/load.ts';
import { formatFault, readProfile } from '../../../src/provider/profile/read.ts';
import { expandBraces, fits } from '../../../src/provider/profile/brace.ts';

const { text } = builtInProfile(DEFAULT_PROFILE) ?? assert.fail('no default profile');

/** The faults of the default profile after a change to its text. */
function faultsAfter(from: string, to: string): string[] {
  assert.ok(text.includes(from), `the profile no longer holds ${from}`);
  const read = readProfile(text.replace(from, to));
  return 'faults' in read ? read.faults.map(formatFault) : [];
}

test('every built-in profile can be read, and its name is that of its file', () => {
  for (const name of builtInNames()) assert.equal(builtInProfile(name)?.profile.name, name);
});

test('a mistake is one line, with its line and what is allowed', () => {
  assert.match(
    faultsAfter('auth: bearer', 'auth: basic').join('\n'),
    /^:\d+: auth the text "basic" is not bearer, none, or a header/,
  );
  assert.match(
    faultsAfter('status: 429', 'status: 600').join('\n'),
    /^:\d+: outcomes\.statuses\[4\].* 600 is not an HTTP status such as 429$|^:\d+: .*600 is not an HTTP status/,
  );
  assert.match(
    faultsAfter('duration: 1..16', 'duration: 16..1').join('\n'),
    /"16..1" is not seconds such as 1..16/,
  );
  assert.match(
    faultsAfter('unknownModel: error', 'unknownModels: error').join('\n'),
    /unknown "unknownModels": allowed are profile, name/,
  );
  assert.match(faultsAfter('profile: 1', 'profile: [1').join('\n'), /is not YAML/);
});

test('no path leads to another host', () => {
  for (const path of [
    'http://evil.example/v1',
    '//evil.example/v1',
    '/\\evil.example/v1',
    '/v1/../../x',
    '/a?b#c',
    '/a b',
  ])
    assert.match(
      faultsAfter('  path: /v1/video/generations\n', `  path: '${path}'\n`).join('\n'),
      /create\.path .* is not a path/,
      path,
    );
});

test('a status that a proxy may send cannot mean "not accepted" by itself', () => {
  assert.match(
    faultsAfter('status: 5xx, outcome: uncertain', 'status: 5xx, outcome: not-sent').join('\n'),
    /cannot be not-sent for 500 alone/,
  );
  assert.match(
    faultsAfter('[408-409, 425], outcome: uncertain', '[425], outcome: uncertain').join('\n'),
    /cannot be rejected for 408 alone/,
  );
});

test('any text is read without an exception', () => {
  fc.assert(
    fc.property(fc.string(), (any) => {
      assert.ok('faults' in readProfile(any));
    }),
  );
  const bomb = `a: &a [x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]`;
  assert.ok('faults' in readProfile(bomb));
});

test('an unknown name gets the nearest one, and a file with a built-in name is refused', () => {
  assert.throws(() => loadProfile('vidu-gatewy'), /did you mean vidu-gateway/);
  assert.throws(() => loadProfile('./no-such-file.yaml'), { code: 'PROFILE_UNREADABLE' });
});

test('braces list names, and a star stands for any text', () => {
  assert.deepEqual(expandBraces('q3{p,t}{,-mix}'), ['q3p', 'q3p-mix', 'q3t', 'q3t-mix']);
  assert.equal(expandBraces('q3{p'), undefined);
  assert.ok(fits('viduq3p-720p-offpeak', '*-offpeak'));
  assert.ok(!fits('ab', 'ab*b'));
  const long = 'a'.repeat(50_000);
  assert.ok(!fits(long, `${'*a'.repeat(400)}b`));
});

test('a profile that extends a built-in one holds what it does not say itself', () => {
  const read = (changes: string) => readProfile(`profile: 1\nname: mine\nextends: vidu-gateway\n${changes}`);
  const whole = (changes: string) => {
    const one = read(changes);
    return 'profile' in one ? one.profile : assert.fail(one.faults.map(formatFault).join('\n'));
  };
  const base = builtInProfile(DEFAULT_PROFILE)?.profile ?? assert.fail();
  assert.deepEqual(whole('').task, base.task);
  assert.equal(whole('').about, undefined);
  const { words } = whole('task: { words: { +completed: [Fini], failed: [mort] } }').task;
  assert.deepEqual(words, {
    ...base.task.words,
    completed: ['fini', ...base.task.words.completed],
    failed: ['mort'],
  });
  assert.deepEqual(whole('+rules: []\nmodelList: null').rules, base.rules);
  const own = whole('outcomes: { +codes: { code: busy, status: 4xx, outcome: throttled } }').outcomes.codes;
  assert.deepEqual([own[0]?.code, own.length], [['busy'], base.outcomes.codes.length + 1]);
  assert.equal(whole('task: { cost: { at: cost, unit: USD } }').task.cost?.unit, 'USD');

  const faults = (changes: string): string[] => {
    const one = read(changes);
    return 'faults' in one ? one.faults.map(formatFault) : [];
  };
  assert.match(
    faults('outcomes:\n  +codes:\n    - { code: x, outcome: maybe }').join('\n'),
    /^:6: outcomes\.codes\[0\]\.outcome the text "maybe" is not one of/,
  );
  assert.match(
    faults('task: { +words: { failed: [x] } }').join(),
    /^:4: task unknown "\+words": allowed are /,
  );
  const unknown = readProfile('profile: 1\nextends: ../secret\nname: x');
  assert.match(
    'faults' in unknown ? unknown.faults.map(formatFault).join() : '',
    /^:2: extends the text "\.\.\/secret" is not a built-in profile: ark, /,
  );
  assert.match(
    faults('outcomes: { +statuses: { status: 503, outcome: not-sent } }').join('\n'),
    /cannot be not-sent for 503 alone/,
  );
});
