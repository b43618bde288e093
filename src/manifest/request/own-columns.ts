import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/text.ts';
import { defined } from '../../core/json.ts';
import { check, whole, wholeNumber, type Report } from './fields.ts';
import type { Field, OwnColumn } from './field-names.ts';
import { flaw, mangledId } from './text-flaws.ts';

const prioritySchema = z.preprocess(wholeNumber, whole('priority', { from: -100, to: 100 }));

export const LONGEST_ID = 200;

interface OwnColumns {
  id?: string;
  notBefore?: string;
  priority?: number;
}

/** Checks the columns for vidbatch itself. */
export function readOwnColumns(values: ReadonlyMap<Field | OwnColumn, unknown>, report: Report): OwnColumns {
  const priority = readPriority(values.get('priority'), report);
  const id = readId(values.get('id'), report);
  return defined({ id, notBefore: readNotBefore(values.get('not_before'), report), priority });
}

/** A whole number from -100 to 100; higher is sent first. */
function readPriority(value: unknown, report: Report): number | undefined {
  if (value === undefined) return undefined;
  return check(prioritySchema, 'priority', value, 'priority', (severity, column, { message }) =>
    report(severity, column, flaw('priority-integer', message)),
  );
}

/** The row's key, trimmed. A whole number, which JSON manifests often use, is its digits. */
function readId(value: unknown, report: Report): string | undefined {
  const refuse = (rule: string, message: string): undefined => {
    report('error', 'id', flaw(rule, message));
    return undefined;
  };
  const text = Number.isSafeInteger(value) ? String(value) : value;
  if (text === undefined) return undefined;
  if (typeof text !== 'string')
    return refuse('id-type', `${typedExcerpt(value)} is not text or a whole number`);
  const id = text.trim();
  if (id === '') return undefined;
  if (/\p{Cc}/u.test(id) || !id.isWellFormed()) {
    const what = 'a control character, or half a character (a lone surrogate)';
    return refuse('id-characters', `${excerpt(id)} contains ${what}`);
  }
  // With twice as many UTF-16 units the characters need not be counted.
  const length = id.length > 2 * LONGEST_ID ? id.length : Array.from(id).length;
  if (length > LONGEST_ID) {
    return refuse('id-length', `${excerpt(id)} has ${length} characters, more than ${LONGEST_ID}`);
  }
  const mangled = mangledId(id);
  if (mangled !== undefined) report('warning', 'id', mangled);
  return id;
}

/** RFC 3339 in the limits of Postgres: no year 0, offsets under 16 hours, at most nanoseconds. zod checks the calendar. */
const rfc3339 = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):\d\d)$/;
const dateTime = z.iso.datetime({ offset: true }).regex(rfc3339);

/** The text in capitals: RFC 3339 allows `t` and `z`, but some readers do not. */
function readNotBefore(value: unknown, report: Report): string | undefined {
  if (value === undefined) return undefined;
  const parsed = dateTime.safeParse(typeof value === 'string' ? value.trim().toUpperCase() : value);
  if (parsed.success) return parsed.data;
  const message = `${excerpt(value)} is not a date and time with a zone, such as 2026-08-20T02:00:00+08:00`;
  report('error', 'not_before', flaw('not-before-format', message));
  return undefined;
}
