import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/excerpt.ts';
import { check } from './check.ts';
import type { Columns } from './columns.ts';
import { priority } from './fields.ts';
import type { Report } from './finding.ts';
import { mangledId } from './unwritten.ts';

const LONGEST_ID = 200;

export interface OwnColumns {
  id?: string;
  notBefore?: string;
  priority?: number;
}

/** The columns that speak to vidbatch: checked here, never sent. */
export function readOwnColumns(columns: Columns, report: Report): OwnColumns {
  const level = readPriority(columns, report);
  const id = readId(columns.values.get('id'), report);
  const notBefore = readNotBefore(columns.values.get('not_before'), report);
  return {
    ...(id === undefined ? {} : { id }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(level === undefined ? {} : { priority: level }),
  };
}

/** A whole number from -100 to 100; higher is sent first. */
function readPriority({ values }: Columns, report: Report): number | undefined {
  if (!values.has('priority')) return undefined;
  return check(priority, 'priority', values.get('priority'), 'priority', (finding) =>
    report({ ...finding, rule: 'priority-integer' }),
  );
}

/** The row's key, trimmed. A whole number, as JSON manifests like to write it, is its digits. */
function readId(value: unknown, report: Report): string | undefined {
  const text = Number.isSafeInteger(value) ? String(value) : value;
  if (text === undefined) return undefined;
  if (typeof text !== 'string') {
    const message = `${typedExcerpt(value)} is not text or a whole number`;
    report({ severity: 'error', column: 'id', rule: 'id-type', message });
    return undefined;
  }
  const id = text.trim();
  if (id === '') return undefined;
  if (/\p{Cc}/u.test(id) || !id.isWellFormed()) {
    const message = `${excerpt(id)} contains a control character, or half a character (a lone surrogate)`;
    report({ severity: 'error', column: 'id', rule: 'id-characters', message });
    return undefined;
  }
  // Twice as many UTF-16 units are too many in any case, and need not be counted.
  const length = id.length > 2 * LONGEST_ID ? id.length : Array.from(id).length;
  if (length > LONGEST_ID) {
    const message = `${excerpt(id)} has ${length} characters, more than ${LONGEST_ID}`;
    report({ severity: 'error', column: 'id', rule: 'id-length', message });
    return undefined;
  }
  const mangled = mangledId(id);
  if (mangled !== undefined) report({ severity: 'warning', column: 'id', ...mangled });
  return id;
}

/**
 * RFC 3339 within what Postgres takes: no year 0, offsets under 16 hours, at most nanoseconds. The calendar
 * (30 February) is zod's to know.
 */
const rfc3339 = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):\d\d)$/;
const dateTime = z.iso.datetime({ offset: true }).regex(rfc3339);

/** The text itself, in capitals: RFC 3339 allows `t` and `z`, and not every reader does. */
function readNotBefore(value: unknown, report: Report): string | undefined {
  if (value === undefined) return undefined;
  const parsed = dateTime.safeParse(typeof value === 'string' ? value.trim().toUpperCase() : value);
  if (parsed.success) return parsed.data;
  const message = `${excerpt(value)} is not a date and time with a zone, such as 2026-08-20T02:00:00+08:00`;
  report({ severity: 'error', column: 'not_before', rule: 'not-before-format', message });
  return undefined;
}
