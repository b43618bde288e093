import { columnLabel } from './text.ts';

/** A part of a JSON text that JSON.parse drops or changes. */
type Loss =
  | { kind: 'duplicate-key'; path: string }
  | { kind: 'number-precision'; path: string; written: string }
  | { kind: 'nesting' };

interface Nesting {
  /** Keys so far; absent in a list. */
  keys?: Set<string>;
  /** The next string is a key. */
  atKey: boolean;
  /** The last key, for the path. */
  last: string;
}

/** More levels than any request has, and so few that recursion does not overflow the stack. */
const DEEPEST_JSON = 100;

const NUMBER = /-?\d[\d.eE+-]*/y;

/**
 * The first loss in `text`, which is valid JSON: a key that an object has twice (JSON.parse keeps the last value), a
 * number that JSON.parse changes, or nesting of more than `DEEPEST_JSON` levels. Paths are dotted.
 */
export function findLoss(text: string): Loss | undefined {
  const open: Nesting[] = [];
  const path = (): string => open.map(({ last }) => last).join('.');
  for (let at = 0; at < text.length; at += 1) {
    const inner = open.at(-1);
    const character = text[at] ?? '';
    switch (character) {
      case '{':
      case '[':
        if (open.length === DEEPEST_JSON) return { kind: 'nesting' };
        open.push(
          character === '{' ? { keys: new Set(), atKey: true, last: '' } : { atKey: false, last: '[]' },
        );
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (inner?.keys !== undefined) inner.atKey = true;
        break;
      case '"': {
        const end = stringEnd(text, at);
        if (inner?.keys !== undefined && inner.atKey) {
          inner.last = String(JSON.parse(text.slice(at, end + 1)));
          if (inner.keys.has(inner.last)) return { kind: 'duplicate-key', path: path() };
          inner.keys.add(inner.last);
          inner.atKey = false;
        }
        at = end;
        break;
      }
      default: {
        if (character !== '-' && !(character >= '0' && character <= '9')) break;
        NUMBER.lastIndex = at;
        const written = NUMBER.exec(text)?.[0] ?? character;
        if (!isExact(written)) return { kind: 'number-precision', path: path(), written };
        at += written.length - 1;
      }
    }
  }
  return undefined;
}

export function formatLoss(loss: Loss): { rule: string; message: string; column?: string } {
  switch (loss.kind) {
    case 'duplicate-key':
      return {
        rule: loss.kind,
        column: columnLabel(loss.path),
        message: 'the key occurs twice in one object; keep the value that you mean',
      };
    case 'number-precision':
      return {
        rule: loss.kind,
        column: columnLabel(loss.path),
        message: `the number ${loss.written.slice(0, 40)} cannot be held exactly, and would be changed; write it in quotes, as text`,
      };
    case 'nesting':
      return { rule: loss.kind, message: `is nested more than ${DEEPEST_JSON} levels deep` };
  }
}

/**
 * Whether JSON.parse keeps the value of a number. A fraction may be a longer spelling of the same double, as some programs
 * print it: 0.10000000000000001 is 0.1.
 */
export function isExact(written: string): boolean {
  const value = Number(written);
  if (!Number.isFinite(value)) return false;
  const { digits, exponent } = decimal(written);
  const printed = decimal(String(value));
  if (digits === printed.digits && exponent === printed.exponent) return true;
  const isFraction = exponent < 0;
  if (!isFraction || digits.length > 100 || value === 0) return false;
  const longer = decimal(value.toPrecision(digits.length));
  return digits === longer.digits && exponent === longer.exponent;
}

/** The value as digits without zeros at either end, times a power of ten. */
function decimal(written: string): { digits: string; exponent: number } {
  const [, whole = '', fraction = '', power = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(written) ?? [];
  const all = `${whole}${fraction}`.replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return digits === ''
    ? { digits: '', exponent: 0 }
    : { digits, exponent: Number(power) - fraction.length + all.length - digits.length };
}

/** The index of the closing quote, or the length of the text. */
function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Undefined for broken JSON. The value is wrapped, because it may be `null`. */
export function parseJson(
  text: string,
  reviver?: (key: string, value: unknown, context: { source?: string }) => unknown,
): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]) };
  } catch {
    return undefined;
  }
}

/** An object as in JSON: not a list, and not an instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The object without the keys whose value is undefined. */
export function defined<const T extends object>(values: T): Defined<T> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) if (value !== undefined) kept[key] = value;
  return kept as Defined<T>;
}
