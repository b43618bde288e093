import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseAmount } from '../../../src/core/money/money.ts';
import type { Charge } from '../../../src/results/audit/charge.ts';
import {
  expectedOf,
  judge,
  type Context,
  type Known,
  type Line,
  type AuditedTask,
} from '../../../src/results/audit/audited-task.ts';
import { TYPE_NAMES, type FindingType } from '../../../src/results/audit/finding-type.ts';

const AT = 1_700_000_000_000;

function money(text: string): Charge['amount'] {
  const amount = parseAmount(text);
  assert.ok(amount);
  return amount;
}

const known = (over: Partial<Known> = {}): Known => ({
  asked: true,
  state: 'submitted',
  outcome: 'accepted',
  taskId: 't',
  surplus: false,
  model: 'viduq3p-720p',
  duration: 5,
  status: 'completed',
  at: AT,
  ...over,
});

const line = (over: Partial<Line> = {}): Line => ({
  file: 'list.csv',
  listed: true,
  model: 'viduq3p-720p',
  duration: 5,
  end: 'completed',
  createdAt: AT,
  client: null,
  charge: null,
  fault: null,
  ...over,
});

const charge = (over: Partial<Charge> = {}): Charge => ({
  entry: 'charge',
  amount: money('1.00'),
  currency: 'CNY',
  billedAt: AT,
  chargeId: null,
  file: 'bill.csv',
  ...over,
});

const bill = (over: Partial<Charge> = {}, of: Partial<Line> = {}): Line =>
  line({ file: 'bill.csv', listed: false, end: null, charge: charge(over), ...of });

const refund = (over: Partial<Charge> = {}): Line => bill({ entry: 'refund', billedAt: AT + 5000, ...over });

const ALL = [{ from: -Infinity, to: Infinity }];

const context = (over: Partial<Context> = {}): Context => ({
  lists: ALL,
  bills: ALL,
  since: AT - 1000,
  clients: new Set(),
  price: () => undefined,
  ...over,
});

const subject = (over: Partial<AuditedTask> = {}): AuditedTask => ({
  known: known(),
  orphaned: false,
  candidate: false,
  lines: [line(), bill()],
  earlier: [],
  ...over,
});

const PRICE = { price: () => ({ amount: money('1'), currency: 'CNY' }) };
const FAILED = { known: known({ status: 'failed' }) };
const failed = line({ end: 'failed' });

/** What is so, what is to be said of it, and what is known beside. */
const CASES: [
  what: string,
  kinds: FindingType[],
  subject: Partial<AuditedTask>,
  context?: Partial<Context>,
][] = [
  ['all agree', ['matched'], {}],
  ['all agree, with the price', ['matched'], {}, PRICE],
  ['the same charge in two files', ['matched'], { lines: [line(), bill(), bill({ file: 'b.csv' })] }],
  ['the same charge in a file of last month', ['matched'], { earlier: [charge({ file: '' })] }],
  ['two charges, one refunded', ['matched'], { lines: [line(), bill(), bill(), refund()] }],
  [
    'settled to the price by a partial refund',
    ['matched'],
    { lines: [line(), bill({ amount: money('1.5') }), refund({ amount: money('0.5') })] },
    PRICE,
  ],
  ['failed and never charged', ['matched'], { ...FAILED, lines: [failed] }],
  ['failed, charged, refunded', ['refunded'], { ...FAILED, lines: [failed, bill(), refund()] }],
  [
    'not over, and charged',
    ['matched'],
    { known: known({ status: 'queued' }), lines: [line({ end: null }), bill()] },
  ],
  [
    'a list with its costs, and the bill',
    ['matched'],
    { lines: [line({ charge: charge({ billedAt: null, file: 'list.csv' }) }), bill()] },
  ],
  ['charged twice in one file', ['charged-twice'], { lines: [line(), bill(), bill()] }],
  [
    'charged twice at two times',
    ['charged-twice'],
    { lines: [line(), bill(), bill({ billedAt: AT + 60_000, file: 'b.csv' })] },
  ],
  [
    'charged twice under two numbers',
    ['charged-twice'],
    { lines: [line(), bill({ chargeId: '1' }), bill({ chargeId: '2' })] },
  ],
  [
    'charged again a month later',
    ['charged-twice'],
    { earlier: [charge({ billedAt: AT - 86_400_000, file: '' })] },
  ],
  ['charged twice, with the price', ['charged-twice'], { lines: [line(), bill(), bill()] }, PRICE],
  ['failed and charged', ['charged-failed'], { ...FAILED, lines: [failed, bill()] }],
  [
    'failed and charged, nobody polled',
    ['charged-failed'],
    { known: known({ status: null }), lines: [failed, bill()] },
  ],
  [
    'failed, and not all of it refunded',
    ['charged-failed'],
    { ...FAILED, lines: [failed, bill(), refund({ amount: money('0.4') })] },
  ],
  [
    'another amount than the price',
    ['amount-differs'],
    { lines: [line(), bill({ amount: money('1.01') })] },
    PRICE,
  ],
  [
    'two files, two amounts',
    ['amount-differs'],
    { lines: [line(), bill(), bill({ amount: money('2'), file: 'b.csv' })] },
  ],
  [
    'the list and the bill name two amounts',
    ['amount-differs'],
    { lines: [line({ charge: charge({ billedAt: null, amount: money('2'), file: 'list.csv' }) }), bill()] },
  ],
  [
    'another currency than the price',
    ['currency-differs'],
    { lines: [line(), bill({ currency: 'USD' })] },
    PRICE,
  ],
  ['two currencies', ['currency-differs'], { lines: [line(), bill(), bill({ currency: 'USD' })] }],
  ['refunded without a charge', ['refund-too-high'], { lines: [line(), refund()] }],
  ['refunded though completed', ['refunded-completed'], { lines: [line(), bill(), refund()] }],
  ['completed and not on the bill', ['free-completed'], { lines: [line()] }],
  [
    'completed and billed with nothing',
    ['free-completed'],
    { lines: [line(), bill({ amount: money('0') })] },
  ],
  ['completed, and nowhere in a bill alone', ['free-completed'], { lines: [] }, { lists: [] }],
  ['in no list', ['only-ledger'], { lines: [] }],
  [
    'not over, and not on the bill alone',
    ['only-ledger'],
    { known: known({ status: null }), lines: [] },
    { lists: [] },
  ],
  ['from another time', ['not-covered'], { lines: [] }, { lists: [{ from: 0, to: 1 }], bills: [] }],
  ['on the bill, and in no list', ['unlisted'], { lines: [bill()] }],
  ['another model', ['model-differs'], { lines: [line({ model: 'viduq3t-720p' }), bill()] }],
  ['another length', ['duration-differs'], { lines: [line({ duration: 6 }), bill()] }],
  [
    'a length that the row left open',
    ['matched'],
    { known: known({ duration: null }), lines: [line({ duration: 6 }), bill()] },
  ],
  ['another end', ['status-differs'], { lines: [failed, bill()] }],
  ['a second task of one row', ['surplus'], { known: known({ surplus: true }) }],
  [
    'an amount that is none',
    ['unreadable'],
    { lines: [line(), bill({}, { charge: null, fault: 'amount' })] },
  ],
  ['another batch', ['other-batch'], { known: known({ asked: false }) }],
  ['nobody knows it', ['only-provider'], { known: null }],
  [
    'nobody knows it, and when it was made',
    ['only-provider'],
    { known: null, lines: [line({ createdAt: null })] },
  ],
  ['from before the ledger', ['foreign'], { known: null, lines: [line({ createdAt: AT - 5000 })] }],
  [
    'of another user',
    ['foreign'],
    { known: null, lines: [line({ client: 'bob' })] },
    { clients: new Set(['ann']) },
  ],
  [
    'of our own user',
    ['only-provider'],
    { known: null, lines: [line({ client: 'ann' })] },
    { clients: new Set(['ann']) },
  ],
  ['perhaps of an uncertain row', ['candidate'], { known: null, candidate: true }],
  ['known from a journal', ['orphaned'], { known: null, orphaned: true }],
  [
    'uncertain and charged',
    ['charged-uncertain'],
    { known: known({ taskId: null, outcome: null, state: 'uncertain' }) },
  ],
  [
    'given up and charged',
    ['charged-uncertain'],
    { known: known({ taskId: null, outcome: 'uncertain', state: 'abandoned' }) },
  ],
  [
    'uncertain and listed',
    ['candidate'],
    { known: known({ taskId: null, outcome: null, state: 'uncertain' }), lines: [line()] },
  ],
  [
    'rejected and charged',
    ['charged-rejected'],
    { known: known({ taskId: null, outcome: 'rejected', state: 'rejected' }) },
  ],
  [
    'throttled and charged',
    ['charged-unsent'],
    { known: known({ taskId: null, outcome: 'throttled', state: 'submitted' }) },
  ],
  [
    'never sent and charged',
    ['charged-unsent'],
    { known: known({ taskId: null, outcome: 'not-sent', state: 'exhausted' }) },
  ],
  [
    'several things at once',
    ['model-differs', 'duration-differs', 'charged-twice'],
    { lines: [line({ model: 'viduq3t-720p', duration: 6 }), bill(), bill()] },
  ],
];

describe('a task is judged', () => {
  for (const [what, kinds, of, within] of CASES) {
    test(`${what}: ${kinds.join(', ')}`, () => {
      assert.deepEqual(judge(subject(of), context(within)).sort(), [...kinds].sort());
    });
  }

  test('and every kind of it is among these', () => {
    const seen = new Set(CASES.flatMap(([, kinds]) => kinds));
    assert.deepEqual(
      TYPE_NAMES.filter((kind) => !seen.has(kind)),
      ['no-task'],
    );
  });

  test('the same for every order of its lines', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CASES).chain((one) =>
          fc.record({
            one: fc.constant(one),
            seed: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
          }),
        ),
        ({ one: [, , of, within], seed }) => {
          const whole = subject(of);
          const lines = seed.flatMap((index) => whole.lines[index] ?? []);
          assert.deepEqual(
            judge({ ...whole, lines }, context(within)).sort(),
            judge(whole, context(within)).sort(),
          );
        },
      ),
    );
  });

  test('correct lines give no difference, also if they are repeated in several files', () => {
    const truth = fc.record({
      end: fc.constantFrom('completed' as const, 'failed' as const),
      refunded: fc.boolean(),
      cents: fc.integer({ min: 1, max: 10_000 }),
      files: fc.integer({ min: 1, max: 4 }),
      numbered: fc.boolean(),
      priced: fc.boolean(),
      polled: fc.boolean(),
    });
    fc.assert(
      fc.property(truth, ({ end, refunded, cents, files, numbered, priced, polled }) => {
        const amount = money(`${cents}e-2`);
        const lines = Array.from({ length: files }, (_, index) => {
          const own = { amount, file: `bill-${index}.csv`, ...(numbered ? { chargeId: '7' } : {}) };
          const back = { ...own, ...(numbered ? { chargeId: '8' } : {}) };
          const charged = end === 'completed' || refunded ? [bill(own)] : [];
          return [line({ end }), ...charged, ...(end === 'failed' && refunded ? [refund(back)] : [])];
        }).flat();
        const kinds = judge(
          subject({ known: known({ status: polled ? end : null }), lines }),
          context(priced ? { price: () => ({ amount, currency: 'CNY' }) } : {}),
        );
        assert.deepEqual(kinds, [end === 'failed' && refunded ? 'refunded' : 'matched']);
      }),
    );
  });

  test('a charge beyond the first is found, also in different files', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 3 }), (charges, files) => {
        const lines = Array.from({ length: charges }, (_, index) =>
          bill({ billedAt: AT + index * 60_000, file: `bill-${index % files}.csv` }),
        );
        assert.deepEqual(judge(subject({ lines: [line(), ...lines] }), context()), ['charged-twice']);
      }),
    );
  });
});

test('the price is named only where the bill differs from it', () => {
  const price = { amount: money('1'), currency: 'CNY' };
  const expected = (over: Partial<AuditedTask>, of: Partial<Context> = PRICE): unknown => {
    const one = subject(over);
    return expectedOf(judge(one, context(of)), one, context(of));
  };
  assert.deepEqual(expected({ lines: [line(), bill({ amount: money('1.01') })] }), price);
  assert.deepEqual(expected({ lines: [line(), bill({ currency: 'USD' })] }), price);
  assert.deepEqual(expected({ lines: [line(), bill(), bill()] }), price);
  assert.equal(expected({}), null);
  assert.equal(expected({ lines: [line(), bill(), bill()] }, {}), null, 'nobody knows the price');
});
