import { types, type CustomTypesConfig } from 'pg';

const INT8 = 20;
const INT8_ARRAY = 1016;
const NUMERIC = 1700;

/**
 * How values of a result are read, for every driver: as node-postgres does, but `int8` and `numeric` (`count(*)`,
 * `sum(…)`) become numbers. An `int8` beyond 2^53 throws a RangeError, because a rounded id would name another row.
 */
export const parsers: CustomTypesConfig = { getTypeParser: parserOf };

function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  const parse = types.getTypeParser(oid, format) as (value: string) => unknown;
  if (format === 'binary') return parse;
  if (oid === INT8) return exactInteger;
  if (oid === INT8_ARRAY) return (text) => integers(parse(text));
  if (oid === NUMERIC) return Number;
  return parse;
}

function exactInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 ${text} does not fit a JavaScript number`);
  return value;
}

/** node-postgres reads `int8[]` as (nested) arrays of text and null. */
function integers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(integers);
  return typeof value === 'string' ? exactInteger(value) : value;
}
