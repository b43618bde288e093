import { isDeepStrictEqual } from 'node:util';
import { columnLabel, excerpt, typedExcerpt } from '../../core/excerpt.ts';
import { nearest } from '../../core/suggestion.ts';
import { check } from './check.ts';
import { extraBodyKeys, type DottedColumn } from './columns.ts';
import { extraBodySchemas } from './fields.ts';
import type { Report } from './finding.ts';
import { isPlainObject, jsonFlaw, type JsonValue } from './json-value.ts';
import { textFlaw } from './text.ts';

export type ExtraBody = { [key: string]: JsonValue };

/**
 * `extra_body` from its own column and from dotted ones, both already decoded. The same key in both must hold
 * the same value. Keys that are not documented are passed on with a warning. Undefined when nothing is left to
 * send. Objects are built by `fromEntries`, which treats a key such as `__proto__` as any other.
 */
export function readExtraBody(
  whole: unknown,
  dotted: readonly DottedColumn[],
  report: Report,
): ExtraBody | undefined {
  let body: Record<string, unknown> = {};
  if (isPlainObject(whole)) {
    body = whole;
  } else if (whole !== undefined) {
    const message = `${typedExcerpt(whole)} is not an object such as {"seed": 42}`;
    report({ severity: 'error', column: 'extra_body', rule: 'extra-body-type', message });
  }
  for (const { column, path, value } of dotted) {
    const placed = place(body, path, value);
    if (placed === undefined) {
      const message = `${excerpt(value)} differs from what another column says for the same key`;
      report({ severity: 'error', column: columnLabel(column), rule: 'extra-body-conflict', message });
    } else {
      body = placed;
    }
  }

  const dottedColumns = new Set(dotted.map(({ column }) => column));
  const kept: [string, unknown][] = [];
  for (const [key, value] of Object.entries(body)) {
    if (value === undefined) continue;
    if (!isKnownKey(key)) {
      if (passOn(key, value, dottedColumns, report)) kept.push([key, value]);
    } else if (value !== null) {
      const checked = check<boolean | number>(extraBodySchemas[key], key, value, `extra_body.${key}`, report);
      if (checked !== undefined) kept.push([key, checked]);
    }
  }
  if (kept.length === 0) return undefined;
  // A copy: the request must not change when the row does, and holds exactly what JSON can say (no -0).
  return JSON.parse(JSON.stringify(Object.fromEntries(kept))) as ExtraBody;
}

function passOn(key: string, value: unknown, dotted: ReadonlySet<string>, report: Report): boolean {
  const column = columnLabel(`extra_body.${key}`);
  const flaw = textFlaw(key) ?? jsonFlaw(value);
  if (flaw !== undefined) {
    report({ severity: 'error', column, ...flaw });
    return false;
  }
  const meant = nearest(key.trim().toLowerCase(), extraBodyKeys, 1);
  const hint = meant === undefined ? '' : `; did you mean extra_body.${meant}?`;
  // The text of a cell could as well be meant as a number or a boolean; only its owner knows.
  const asText = dotted.has(`extra_body.${key}`) && typeof value === 'string' ? ' as text' : '';
  report({
    severity: 'warning',
    column,
    rule: asText !== '' && meant !== undefined ? 'unknown-column-typo' : 'extra-body-unknown-key',
    message: `is no documented key (${extraBodyKeys.join(', ')}), and is passed on${asText}${hint}`,
  });
  return true;
}

function isKnownKey(key: string): key is (typeof extraBodyKeys)[number] {
  return (extraBodyKeys as readonly string[]).includes(key);
}

/** `body` with `value` at `path`; undefined when something else is there already. */
function place(
  body: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
): Record<string, unknown> | undefined {
  const [key = '', ...rest] = path;
  const there = Object.hasOwn(body, key) ? body[key] : undefined;
  const free = there === undefined || there === null;
  if (rest.length === 0) {
    // The comparison recurses as deep as both values go, so that one of them must be known to be shallow.
    const same = free || (jsonFlaw(value) === undefined && isDeepStrictEqual(there, value));
    return same ? withMember(body, key, value) : undefined;
  }
  if (!free && !isPlainObject(there)) return undefined;
  const inner = place(free ? {} : there, rest, value);
  return inner === undefined ? undefined : withMember(body, key, inner);
}

function withMember(body: Record<string, unknown>, key: string, value: unknown): Record<string, unknown> {
  return Object.fromEntries([...Object.entries(body), [key, value]]);
}
