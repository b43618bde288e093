import type { ProviderLine } from '../../ledger/audit/provider-line.ts';
import { compare, negate, ZERO } from '../../core/money/amount.ts';
import { excerpt } from '../../core/excerpt.ts';
import { taskStatusOf } from '../../provider/task.ts';
import { Cells } from './cells.ts';
import type { CellOptions } from './cells.ts';
import type { Headers } from './field.ts';

/** What the type of a line may be called; letters, digits and ideographs alone, in lower case. */
const TYPES: Readonly<Record<'charge' | 'refund' | 'aside', readonly string[]>> = {
  charge: ['charge', 'consume', 'consumption', 'debit', 'usage', 'deduct', '扣费', '消费', '支出', '计费'],
  refund: ['refund', 'refunded', 'reversal', '退款', '退费', '返还', '退回'],
  aside: [
    'topup',
    'recharge',
    'deposit',
    'payment',
    'grant',
    'gift',
    'total',
    '充值',
    '赠送',
    '入账',
    '合计',
  ],
};

export interface LineOptions extends CellOptions {
  /** What a negative amount is, where no word says it. */
  negative: 'charge' | 'refund';
}

/**
 * Reads one line. What is wrong with it alone is its `fault`.
 * @throws VidbatchError exit 2 for what is wrong with the file as a whole: times without a zone, amounts without a
 *   currency.
 */
export function readLine(
  raw: Readonly<Record<string, unknown>>,
  headers: Headers,
  options: LineOptions,
): ProviderLine {
  const cells = new Cells(raw, headers, options);
  const [taskId, requestId] = [cells.id('task_id'), cells.id('request_id')];
  const createdAt = cells.time('created_at');
  // A bill has one time, under whatever name.
  const onlyTime = cells.has('amount') && !cells.has('status') && !cells.has('billed_at');
  const billedAt = onlyTime ? createdAt : cells.time('billed_at');
  const status = cells.text('status');
  const word = cells.text('type');
  const type = word === null ? undefined : typeOf(word);
  const money = type === 'aside' ? null : cells.money();
  if (word !== null && type === undefined && money !== null) {
    cells.faults.push(`type: ${excerpt(word)} is neither a charge nor a refund`);
  }
  const below = money !== null && compare(money.amount, ZERO) < 0;
  const aside = type === 'aside' && taskId === null && requestId === null;
  if (taskId === null && requestId === null && !aside) cells.faults.push('no task id and no request id');
  return {
    taskId,
    requestId,
    model: cells.text('model'),
    duration: cells.seconds('duration'),
    prompt: cells.text('prompt'),
    status: status === null ? null : taskStatusOf(status),
    createdAt,
    client: cells.text('client'),
    chargeId: cells.id('charge_id'),
    entry:
      money === null
        ? null
        : type === 'charge' || type === 'refund'
          ? type
          : below
            ? options.negative
            : 'charge',
    amount: money === null ? null : below ? negate(money.amount) : money.amount,
    currency: money?.currency ?? null,
    billedAt,
    zoned: cells.zoned,
    negative: below && word === null,
    aside,
    fault: cells.faults.length === 0 ? null : cells.faults.join('; '),
  };
}

function typeOf(word: string): keyof typeof TYPES | undefined {
  const plain = word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  return (['charge', 'refund', 'aside'] as const).find((type) => TYPES[type].includes(plain));
}

const NOTHING: Omit<ProviderLine, 'fault'> = {
  taskId: null,
  requestId: null,
  model: null,
  duration: null,
  prompt: null,
  status: null,
  createdAt: null,
  client: null,
  chargeId: null,
  entry: null,
  amount: null,
  currency: null,
  billedAt: null,
  zoned: false,
  negative: false,
  aside: false,
};

/** A line of which nothing could be read. */
export function unreadableLine(fault: string): ProviderLine {
  return { ...NOTHING, fault };
}
