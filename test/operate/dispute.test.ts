import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Dispute } from '../../src/ledger/read/dispute.ts';
import { disputeEntry, DisputeTotals } from '../../src/operate/dispute.ts';

const PROMPT = '一个"秘密"的镜头';
const FOUND: Dispute = {
  kind: 'task-failed',
  submissionId: 1,
  key: 'shot-1',
  line: 2,
  model: 'viduq3p-720p',
  taskId: 'task_1',
  requestId: null,
  claimedAt: null,
  answeredAt: null,
  endedAt: null,
  httpStatus: 200,
  price: '1.5',
  currency: 'CNY',
  charged: null,
  problem: `refused: ${PROMPT}`,
  answer: JSON.stringify({ prompt: PROMPT, model: 'viduq3p-720p' }),
  answerLength: null,
  request: JSON.stringify({
    model: 'viduq3p-720p',
    shots: [{ prompt: PROMPT }],
    content: [{ text: 'and this' }],
  }),
};
const same = (text: string): string => text;

describe('what is told to the provider', () => {
  it('has no prompt, also where the answer repeats it, unless the person wants that', () => {
    const ascii =
      FOUND.answer?.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`) ?? '';
    for (const answer of [FOUND.answer, ascii, `${PROMPT} and this`]) {
      const entry = disputeEntry('b', { ...FOUND, answer }, { redact: same, withPrompts: false });
      assert.doesNotMatch(JSON.stringify({ ...entry, amounts: [] }), /秘密|79d8|and this/);
      assert.match(entry.answer ?? '', /\[prompt\]/);
      assert.equal(entry.problem, 'refused: [prompt]');
      assert.equal(entry.request, null);
    }
    const whole = disputeEntry('b', FOUND, { redact: same, withPrompts: true });
    assert.deepEqual([whole.answer, whole.request], [FOUND.answer, FOUND.request]);
  });

  it('has no secret', () => {
    const redact = (text: string): string => text.replaceAll('sk-1', '[key]');
    const found = { ...FOUND, problem: 'sk-1', answer: 'key sk-1', request: '{"prompt":"sk-1"}' };
    const entry = disputeEntry('b', found, { redact, withPrompts: true });
    assert.doesNotMatch(JSON.stringify({ ...entry, amounts: [] }), /sk-1/);
  });

  it('says where an answer was cut', () => {
    const entry = disputeEntry(
      'b',
      { ...FOUND, answer: 'abc', answerLength: 12_345 },
      { redact: same, withPrompts: false },
    );
    assert.equal(entry.answer, 'abc… (cut; it has 12,345 characters)');
  });

  it('counts a charge by the bill, or else by the price at which the row was sent', () => {
    const totals = new DisputeTotals();
    const add = (found: Partial<Dispute>): void =>
      totals.add(disputeEntry('b', { ...FOUND, ...found }, { redact: same, withPrompts: false }));
    assert.equal(totals.format(), 'nothing was charged in vain, as far as the ledger knows');
    add({});
    add({ charged: [{ amount: '2', currency: 'CNY' }] });
    add({ kind: 'paid-twice', price: null, currency: null });
    assert.equal(totals.format(), '2 failed tasks, 1 surplus task: at most 3.50 CNY, and 1 of unknown price');
  });
});
