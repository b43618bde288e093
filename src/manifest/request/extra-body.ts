import { isDeepStrictEqual } from 'node:util';
import { columnLabel, excerpt, typedExcerpt } from '../../core/text.ts';
import { isPlainObject } from '../../core/json.ts';
import { nearest } from '../../core/suggestion.ts';
import { check, type ExtraBody, type ExtraKey, type Report } from './fields.ts';
import { type Flaw, flaw, textFlaw } from './text-flaws.ts';

/** A column such as `extra_body.seed`; `path` is what follows `extra_body`. */
export interface DottedColumn {
  column: string;
  path: readonly string[];
  value: unknown;
}

type Members = Record<string, unknown>;

/**
 * `extra_body` from its own column and from dotted columns. Values for the same key must be equal. Undocumented keys are
 * passed on with a warning. Undefined when nothing is left to send. `keys`: those that the profile describes.
 */
export function readExtraBody(
  whole: unknown,
  dotted: readonly DottedColumn[],
  keys: ReadonlyMap<string, ExtraKey>,
  report: Report,
): ExtraBody | undefined {
  let body: Members = {};
  if (isPlainObject(whole)) {
    body = whole;
  } else if (whole !== undefined) {
    const message = `${typedExcerpt(whole)} is not an object such as {"seed": 42}`;
    report('error', 'extra_body', flaw('extra-body-type', message));
  }
  for (const { column, path, value } of dotted) {
    const placed = place(body, path, value);
    if (placed !== undefined) {
      body = placed;
      continue;
    }
    const message = `${excerpt(value)} differs from what another column says for the same key`;
    report('error', columnLabel(column), flaw('extra-body-conflict', message));
  }

  const dottedColumns = new Set(dotted.map(({ column }) => column));
  const kept: [string, unknown][] = [];
  for (const [key, value] of Object.entries(body)) {
    if (value === undefined) continue;
    const known = keys.get(key);
    if (known === undefined) {
      if (passOn(key, value, { dottedColumns, keys: [...keys.keys()] }, report)) kept.push([key, value]);
    } else if (value !== null) {
      const checked = check(known.schema, key, value, `extra_body.${key}`, report);
      if (checked !== undefined) kept.push([key, checked]);
    }
  }
  if (kept.length === 0) return undefined;
  // A copy: the request must not change when the row does, and holds exactly what JSON can say (no -0).
  return JSON.parse(JSON.stringify(Object.fromEntries(kept))) as ExtraBody;
}

function passOn(
  key: string,
  value: unknown,
  { dottedColumns, keys }: { dottedColumns: ReadonlySet<string>; keys: readonly string[] },
  report: Report,
): boolean {
  const column = columnLabel(`extra_body.${key}`);
  const broken = textFlaw(key) ?? jsonFlaw(value);
  if (broken !== undefined) {
    report('error', column, broken);
    return false;
  }
  const meant = nearest(key.trim().toLowerCase(), keys, 1);
  const hint = meant === undefined ? '' : `; did you mean extra_body.${meant}?`;
  // The text of a cell could be meant as a number or a boolean.
  const asText = dottedColumns.has(`extra_body.${key}`) && typeof value === 'string' ? ' as text' : '';
  const rule = asText !== '' && meant !== undefined ? 'unknown-column-typo' : 'extra-body-unknown-key';
  const known = keys.length === 0 ? '' : ` (${keys.join(', ')})`;
  report('warning', column, flaw(rule, `is not a documented key${known}, and is passed on${asText}${hint}`));
  return true;
}

/** `body` with `value` at `path`; undefined when another value is there. */
function place(body: Members, path: readonly string[], value: unknown): Members | undefined {
  const [key = '', ...rest] = path;
  const there = Object.hasOwn(body, key) ? body[key] : undefined;
  const free = there === undefined || there === null;
  if (rest.length === 0) {
    // The comparison recurses as deep as both values, so one of them must be shallow.
    const same = free || (jsonFlaw(value) === undefined && isDeepStrictEqual(there, value));
    return same ? withMember(body, key, value) : undefined;
  }
  if (!free && !isPlainObject(there)) return undefined;
  const inner = place(free ? {} : there, rest, value);
  return inner && withMember(body, key, inner);
}

/** `fromEntries` makes `__proto__` an ordinary key. */
function withMember(body: Members, key: string, value: unknown): Members {
  return Object.fromEntries([...Object.entries(body), [key, value]]);
}

/** Far deeper than any request, and far from where recursion would overflow the stack. */
const DEEPEST = 64;

/** Why a value cannot be sent as JSON and come back the same. Cycles are refused by their depth. */
function jsonFlaw(value: unknown, depth = 0): Flaw | undefined {
  if (typeof value === 'string') return textFlaw(value);
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return undefined;
  if (!Array.isArray(value) && !isPlainObject(value)) {
    return flaw('extra-body-value', `contains ${typedExcerpt(value)}, which is not JSON`);
  }
  if (depth >= DEEPEST) return flaw('extra-body-depth', `is nested more than ${DEEPEST} levels deep`);
  // `every` and `map` would skip the holes of an array, which JSON turns into null.
  const members: unknown[] = Array.isArray(value) ? [...value] : Object.entries(value).flat();
  for (const member of members) {
    const broken = jsonFlaw(member, depth + 1);
    if (broken !== undefined) return broken;
  }
  return undefined;
}
