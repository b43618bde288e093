import { excerpt } from '../core/text.ts';
import { faultAt, unreadable, type Fault, type ManifestEntry, type RawRow } from './entry.ts';
import { formatLoss, findLoss, isExact, isPlainObject, parseJson } from '../core/json.ts';
import { type BadBytes, badBytesFault } from './decode.ts';

/** Where a text begins in the file; both 1-based. */
export interface Position {
  line: number;
  column: number;
}

/**
 * The entry of one JSON text; `row` is absent unless it is an object. Broken syntax beside undecodable bytes gets no extra
 * fault. A number that JSON.parse would change is kept as text, with a fault unless `digits` are `kept`.
 */
export function parseRow(
  text: string,
  at: Position,
  bad: BadBytes | undefined,
  digits: 'exact' | 'kept' = 'exact',
): { entry: ManifestEntry; row?: RawRow } {
  const faults = bad === undefined ? [] : [badBytesFault(at.line, bad)];
  const parsed = parseJson(text);
  if (parsed === undefined) {
    return {
      entry: { line: at.line, raw: {}, faults: bad === undefined ? [syntaxFault(text, at)] : faults },
    };
  }
  if (!isPlainObject(parsed.value)) {
    const message = `a row must be an object such as {"model": …, "prompt": …}, not ${nameOf(parsed.value)}`;
    const { faults: notObject } = unreadable(at.line, 'row-not-object', message);
    return { entry: { line: at.line, raw: {}, faults: [...faults, ...notObject] } };
  }
  const loss = findLoss(text);
  if (loss === undefined) return { entry: { line: at.line, raw: parsed.value, faults }, row: parsed.value };
  const row =
    loss.kind === 'number-precision' ? (parseJson(text, keepDigits)?.value as RawRow) : parsed.value;
  if (loss.kind !== 'number-precision' || digits === 'exact') {
    const { rule, message, ...column } = formatLoss(loss);
    faults.push(faultAt(at.line, rule, message, column));
  }
  // Deep nesting would overflow the stack of later steps.
  return loss.kind === 'nesting'
    ? { entry: { line: at.line, raw: {}, faults } }
    : { entry: { line: at.line, raw: row, faults }, row };
}

function keepDigits(_key: string, value: unknown, { source = '' }: { source?: string }): unknown {
  return typeof value === 'number' && !isExact(source) ? source : value;
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function syntaxFault(text: string, at: Position): Fault {
  const { index, message } = findSyntaxError(text);
  const before = text.slice(0, index);
  const lines = before.split('\n');
  const line = at.line + lines.length - 1;
  const column = (lines.at(-1) ?? '').length + (lines.length === 1 ? at.column : 1);
  return faultAt(at.line, 'bad-json', `line ${line} column ${column}: ${message}`);
}

interface SyntaxProblem {
  /** 0-based, in UTF-16 units. */
  index: number;
  /** `expected a value, found "}"` */
  message: string;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])/y;
const LITERAL = /(?:true|false|null)(?!\w)/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORD = /[\p{L}\p{N}_$.+-]+/uy;

/** What JSON allows next. `…-or-close`: directly after an opening bracket. */
type Expected = 'value' | 'key' | 'colon' | 'comma' | 'end' | 'value-or-close' | 'key-or-close';

/** Where and why `text` is not JSON. The message of `JSON.parse` often has no position. */
function findSyntaxError(text: string): SyntaxProblem {
  const closers: string[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const character = text[at] ?? '';
    const closer = closers.at(-1);
    const mayClose = expected === 'comma' || expected.endsWith('-or-close');
    if (expected === 'end' && character === '') return { index: at, message: 'is not JSON' };
    if (mayClose && character !== '' && character === closer) {
      closers.pop();
      expected = closers.length === 0 ? 'end' : 'comma';
      at += 1;
    } else if (expected === 'comma' && character === ',') {
      expected = closer === '}' ? 'key' : 'value';
      at += 1;
    } else if (expected === 'colon' && character === ':') {
      expected = 'value';
      at += 1;
    } else if (character === '"' && !['comma', 'colon', 'end'].includes(expected)) {
      const end = readString(text, at);
      if (typeof end !== 'number') return end;
      at = end;
      expected = expected.startsWith('key') ? 'colon' : closer === undefined ? 'end' : 'comma';
    } else if (expected.startsWith('value') && (character === '{' || character === '[')) {
      closers.push(character === '{' ? '}' : ']');
      expected = character === '{' ? 'key-or-close' : 'value-or-close';
      at += 1;
    } else if (expected.startsWith('value') && readScalar(text, at) !== undefined) {
      at = readScalar(text, at) ?? at;
      expected = closer === undefined ? 'end' : 'comma';
    } else {
      return { index: at, message: `expected ${describe(expected, closer)}, found ${found(text, at)}` };
    }
  }
}

/** The text at `index`, for a message. */
export function found(text: string, index: number): string {
  if (index >= text.length) return 'the end';
  const word = matchAt(WORD, text, index);
  return excerpt(word ?? String.fromCodePoint(text.codePointAt(index) ?? 0));
}

function describe(expected: Expected, closer: string | undefined): string {
  const described: Record<Expected, string> = {
    value: 'a value',
    'value-or-close': 'a value or "]"',
    key: 'a key in double quotes',
    'key-or-close': 'a key in double quotes or "}"',
    colon: '":"',
    comma: `"," or "${closer ?? ''}"`,
    end: 'the end',
  };
  return described[expected];
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at] ?? '')) at += 1;
  return at;
}

function readScalar(text: string, at: number): number | undefined {
  const scalar = matchAt(NUMBER, text, at) ?? matchAt(LITERAL, text, at);
  return scalar === undefined ? undefined : at + scalar.length;
}

/** The index after the string that opens at `start`, or the error in it. */
function readString(text: string, start: number): number | SyntaxProblem {
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '"') return at + 1;
    if (character < ' ') {
      return { index: at, message: `a string cannot hold a raw ${found(text, at)}; write it as an escape` };
    }
    if (character === '\\') {
      const escape = matchAt(ESCAPE, text, at);
      if (escape === undefined) {
        const wrong = excerpt(text.slice(at, at + 2));
        return { index: at, message: `${wrong} is not an escape; a backslash is written "\\\\\\\\"` };
      }
      at += escape.length - 1;
    }
  }
  return { index: start, message: 'the string that opens here is never closed' };
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
