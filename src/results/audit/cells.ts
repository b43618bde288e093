import { parseAmount } from '../../core/money/amount.ts';
import type { Amount } from '../../core/money/amount.ts';
import { usageError } from '../../core/errors.ts';
import { excerpt } from '../../core/excerpt.ts';
import { currencyOf } from './field.ts';
import type { Field, Headers } from './field.ts';
import { readTime } from './time.ts';

export interface CellOptions {
  /** Where the line stands, for errors that end the reading. */
  where: string;
  /** Of `--tz` and `--currency`. */
  zone: string | undefined;
  currency: string | undefined;
}

/** The cells of one line by field. What is wrong with one is kept among the faults, and the cell is as good as empty. */
export class Cells {
  readonly faults: string[] = [];
  /** A time got its zone from `--tz`. */
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
          'Say it: --tz Asia/Shanghai, or --tz UTC.',
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
    // What JSON makes of more digits than a float holds is another number.
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
      'Say it: --currency CNY, or --map currency=<header>.',
    );
  }
}

/** Signs of several currencies: which one, only `--currency` says. */
const SHARED = /^[$¥￥]$/;

/** A sign or a code may stand before or behind the digits. */
const MONEY =
  /^(?<minus>-?)\s*(?<before>[^\d\s.,+-]*)\s*(?<digits>[+-]?[\d.,]+(?:[eE][+-]?\d+)?)\s*(?<after>[^\d\s.,]*)$/;
