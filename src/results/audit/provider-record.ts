import type { ProviderRecord } from '../../ledger/audit/provider-lines.ts';
import { compare, negate, ZERO, parseAmount, type Amount } from '../../core/money/money.ts';
import { excerpt } from '../../core/text.ts';
import type { TaskStatus } from '../../core/task-status.ts';
import type { TaskWords } from '../../provider/task-words.ts';
import { usageError } from '../../core/errors.ts';
import { currencyOf, type Headers, type Field } from './field.ts';
import { readTime } from './time.ts';

function statusOf(written: string, words: readonly TaskWords[]): TaskStatus {
  return words.map((one) => one.statusOf(written)).find((status) => status !== 'unknown') ?? 'unknown';
}

/** Words for the type of a line: only letters, digits and ideographs, in lower case. */
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

interface LineOptions extends CellOptions {
  /** The provider's words for a task's status: what the first of them says that knows the word. */
  words: readonly TaskWords[];
  /** What a negative amount means if no column says it. */
  negative: 'charge' | 'refund';
}

/**
 * Reads one line. `fault` says what is wrong with it.
 * @throws VidbatchError exit 2 for a fault of the whole file: times without a zone, amounts without a currency.
 */
export function readRecord(
  raw: Readonly<Record<string, unknown>>,
  headers: Headers,
  options: LineOptions,
): ProviderRecord {
  const cells = new Cells(raw, headers, options);
  const [taskId, requestId] = [cells.id('task_id'), cells.id('request_id')];
  const createdAt = cells.time('created_at');
  // A bill has one time, under any name.
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
    status: status === null ? null : statusOf(status, options.words),
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

interface CellOptions {
  /** File and line, for errors that end the reading. */
  where: string;
  /** The values of `--tz` and `--currency`. */
  zone: string | undefined;
  currency: string | undefined;
}

/** The cells of one line by field. A cell that cannot be read is added to the faults and counts as empty. */
class Cells {
  readonly faults: string[] = [];
  /** A time has its zone from `--tz`. */
  zoned = false;
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #headers: Headers;
  readonly #options: CellOptions;

  constructor(raw: Readonly<Record<string, unknown>>, headers: Headers, options: CellOptions) {
    this.#raw = raw;
    this.#headers = headers;
    this.#options = options;
  }

  /** Whether the file has such a column. */
  has(field: Field): boolean {
    return this.#headers.of.has(field);
  }

  text(field: Field): string | null {
    const value = this.#value(field);
    if (value === undefined || value === null) return null;
    const text = typeof value === 'string' ? value.trim() : JSON.stringify(value);
    return text === '' ? null : text;
  }

  id(field: Field): string | null {
    const text = this.text(field);
    if (text === null || /^[^\p{Cc}\p{Cs}]{1,512}$/u.test(text)) return text;
    return this.#fault(field, 'is not a text of 1 to 512 printable characters');
  }

  /** @throws VidbatchError exit 2 for a time that has no zone, while none was given. */
  time(field: Field): number | null {
    const text = this.text(field);
    if (text === null) return null;
    const { zone, where } = this.#options;
    const read = readTime(text, zone);
    switch (read.kind) {
      case 'time':
        this.zoned ||= !read.absolute;
        return read.at;
      case 'date':
        return null;
      case 'zoneless':
        throw usageError(
          'NO_ZONE',
          `${where} ${field}: ${excerpt(text)} does not say in which zone`,
          'Give the zone: --tz Asia/Shanghai, or --tz UTC.',
        );
      case 'ambiguous':
        return this.#fault(field, `is shown by the clocks of ${zone} twice, or never`);
      case 'unreadable':
        return this.#fault(field, 'is no time');
    }
  }

  seconds(field: Field): number | null {
    const text = this.text(field);
    if (text === null) return null;
    const digits = /^(\d{1,9})(?:\.0+)?\s*(?:s|sec|seconds?|秒)?$/i.exec(text)?.[1];
    return digits === undefined ? this.#fault(field, 'is not a number of whole seconds') : Number(digits);
  }

  /** @throws VidbatchError exit 2 when nothing names its currency. */
  money(): { amount: Amount; currency: string } | null {
    const text = this.text('amount');
    if (text === null) return null;
    const value = this.#value('amount');
    // JSON turns more digits than a float holds into another number.
    if (typeof value === 'number' && String(value).replace(/[eE].*|\D/g, '').length > 15) {
      return this.#fault('amount', 'has more digits than a JSON number keeps; it must be text');
    }
    const { minus = '', before = '', digits = '', after = '' } = MONEY.exec(text)?.groups ?? {};
    const amount = parseAmount(minus + digits);
    if (amount === undefined) return this.#fault('amount', 'is not a decimal such as 1.20');
    const column = this.text('currency');
    const named = [
      ...(column === null || SHARED.test(column) ? [] : [currencyOf(column) ?? null]),
      ...[before, after].flatMap((sign) => (sign === '' ? [] : (currencyOf(sign) ?? []))),
    ];
    const [currency = this.#headers.currency ?? this.#options.currency] = named;
    if (currency === undefined) throw this.#noCurrency(text);
    if (currency === null || named.some((one) => one !== currency)) {
      return this.#fault(column === null ? 'amount' : 'currency', 'names no currency, or several');
    }
    return { amount, currency };
  }

  #value(field: Field): unknown {
    const header = this.#headers.of.get(field);
    return header === undefined ? undefined : this.#raw[header];
  }

  #fault(field: Field, problem: string): null {
    this.faults.push(`${field}: ${excerpt(this.text(field) ?? '')} ${problem}`);
    return null;
  }

  #noCurrency(text: string): Error {
    return usageError(
      'NO_CURRENCY',
      `${this.#options.where} amount: ${excerpt(text)} is in no currency that the file names`,
      'Give the currency: --currency CNY, or --map currency=<header>.',
    );
  }
}

/** Signs that several currencies share: only `--currency` says which one is meant. */
const SHARED = /^[$¥￥]$/;

/** A sign or a code may be before or behind the digits. */
const MONEY =
  /^(?<minus>-?)\s*(?<before>[^\d\s.,+-]*)\s*(?<digits>[+-]?[\d.,]+(?:[eE][+-]?\d+)?)\s*(?<after>[^\d\s.,]*)$/;
