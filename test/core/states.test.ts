import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  noCounts,
  OPEN_STATES,
  RETRYABLE_STATES,
  STATES,
  TRANSITIONS,
  type State,
} from '../../src/core/states.ts';
import { isLegal } from './moves.ts';

const pairs = TRANSITIONS.map(({ from, to }) => `${from} → ${to}`);

function reachable(from: State): Set<State> {
  const seen = new Set<State>([from]);
  for (const state of seen) {
    for (const move of TRANSITIONS) if (move.from === state) seen.add(move.to);
  }
  return seen;
}

/** States in which a row may have been paid: it is never sent again by itself. */
const PAID_STATES: State[] = ['submitting', 'submitted', 'uncertain', 'abandoned'];

test('every move is listed once, and changes the state', () => {
  assert.equal(new Set(pairs).size, pairs.length);
  assert.ok(TRANSITIONS.every(({ from, to }) => from !== to));
  assert.ok(TRANSITIONS.every(({ by }) => by.length > 0));
});

test('only a claim makes a row submitting', () => {
  assert.deepEqual(
    TRANSITIONS.filter(({ to }) => to === 'submitting'),
    [{ from: 'pending', to: 'submitting', by: 'claim' }],
  );
});

test('a row that was submitted stays so, until a person has its failed task made again', () => {
  const left = TRANSITIONS.filter(({ from }) => from === 'submitted');
  assert.deepEqual(
    left.map(({ to }) => to),
    ['pending'],
  );
  assert.match(left[0]?.by ?? '', /^retry --failed-tasks/);
});

test('a task id that arrives late is welcome in every state', () => {
  for (const state of STATES) {
    if (state !== 'submitted') assert.ok(isLegal(state, 'submitted'), state);
  }
});

test('a row that may have been paid becomes pending again only by evidence', () => {
  const back = TRANSITIONS.filter(({ from, to }) => to === 'pending' && PAID_STATES.some((s) => s === from));
  assert.deepEqual(
    back.map(({ from }) => from),
    ['submitting', 'uncertain', 'submitted'],
  );
  assert.ok(!isLegal('abandoned', 'pending'));
});

test('retry reaches exactly what it says', () => {
  for (const state of RETRYABLE_STATES) assert.ok(isLegal(state, 'pending'), state);
  const never = new Set<State>([...PAID_STATES, ...OPEN_STATES]);
  assert.ok(RETRYABLE_STATES.every((state) => !never.has(state)));
});

test('every state is reachable', () => {
  assert.deepEqual(reachable('pending'), new Set(STATES));
});

test('the table of the schema is the table of the code', () => {
  const sql = readFileSync(new URL('../../src/ledger/migrations/001-schema.sql', import.meta.url), 'utf8');
  const check = /constraint row_state_move check \(([\s\S]*?)\n {2}\),\n/.exec(sql)?.[1] ?? '';
  const [initial = '', moves = ''] = check.split('(previous, state) in');
  const first = new Set([...initial.matchAll(/'(\w+)'/g)].map(([, state]) => state));
  assert.deepEqual(first, new Set(['pending', 'invalid']));
  const written = [...moves.matchAll(/\('(\w+)', '(\w+)'\)/g)].map(([, from, to]) => `${from} → ${to}`);
  assert.deepEqual(written.toSorted(), pairs.toSorted());
});

test('counts begin at zero for every state', () => {
  assert.deepEqual(Object.keys(noCounts()), [...STATES]);
  assert.ok(Object.values(noCounts()).every((n) => n === 0));
});
