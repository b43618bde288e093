import type { Fault } from './fault.ts';
import { unreadable, type ManifestEntry, type RawRow } from './entry.ts';
import { describeLoss, findLoss, isExact } from '../core/json-key.ts';
import { findSyntaxError } from './json-syntax.ts';
import { badBytesFault, type BadBytes } from './text.ts';

/** Where a text begins in the file; both 1-based. */
export interface Position {
  line: number;
  column: number;
}

/**
 * The entry of one JSON text that should be an object. With undecodable bytes in it, broken syntax is their
 * consequence and gets no fault of its own. `row` is absent when the text is not a JSON object. A number that cannot
 * be held exactly is kept as text, with all its digits: a fault, unless they are to be `digits: 'kept'`.
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
    faults.push({ severity: 'error', line: at.line, ...describeLoss(loss) });
  }
  // What is nested too deep would overflow the stack of whoever walks over it.
  return loss.kind === 'nesting'
    ? { entry: { line: at.line, raw: {}, faults } }
    : { entry: { line: at.line, raw: row, faults }, row };
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

const keepDigits: Reviver = (_key, value, { source = '' }) =>
  typeof value === 'number' && !isExact(source) ? source : value;

/** Wrapped, since `null` is a value. */
function parseJson(text: string, reviver?: Reviver): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]) };
  } catch {
    return undefined;
  }
}

export function isPlainObject(value: unknown): value is RawRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
  return {
    severity: 'error',
    line: at.line,
    rule: 'bad-json',
    message: `line ${line} column ${column}: ${message}`,
  };
}
