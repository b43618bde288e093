import { setField, type RawRow } from './entry.ts';
import { isPlainObject } from './json-row.ts';

/**
 * The row over the defaults: objects are merged key by key, anything else of the row wins, `null` included.
 * Nothing of the defaults is shared between rows.
 */
export function withDefaults(defaults: RawRow, row: RawRow): RawRow {
  const merged: RawRow = {};
  for (const [key, fallback] of Object.entries(defaults)) {
    setField(merged, key, Object.hasOwn(row, key) ? merge(fallback, row[key]) : structuredClone(fallback));
  }
  for (const [key, value] of Object.entries(row)) {
    if (!Object.hasOwn(defaults, key)) setField(merged, key, value);
  }
  return merged;
}

function merge(fallback: unknown, value: unknown): unknown {
  return isPlainObject(fallback) && isPlainObject(value) ? withDefaults(fallback, value) : value;
}
