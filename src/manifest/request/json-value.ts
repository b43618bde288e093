import { typedExcerpt } from '../../core/excerpt.ts';
import { textFlaw } from './text.ts';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Far deeper than any request, and far from where recursion over it would overflow the stack. */
const DEEPEST = 64;

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Why a value cannot go out as JSON and come back the same; also says no to cycles, by their depth. */
export function jsonFlaw(value: unknown, depth = 0): { rule: string; message: string } | undefined {
  if (typeof value === 'string') return textFlaw(value);
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return undefined;
  if (!Array.isArray(value) && !isPlainObject(value)) {
    return { rule: 'extra-body-value', message: `contains ${typedExcerpt(value)}, which is not JSON` };
  }
  if (depth >= DEEPEST) {
    return { rule: 'extra-body-depth', message: `is nested more than ${DEEPEST} levels deep` };
  }
  // Not `every` or `map`: they skip the holes of an array, which JSON would turn into null.
  const members: unknown[] = Array.isArray(value) ? [...value] : Object.entries(value).flat();
  for (const member of members) {
    const flaw = jsonFlaw(member, depth + 1);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}
