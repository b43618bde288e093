import { columnLabel } from '../core/excerpt.ts';

/**
 * A fault in one row of a manifest. `error`: a documented rule is broken, and the row cannot be sent. `warning`: an
 * undocumented rule, or a likely mistake; `--strict` makes it an error.
 */
export interface Fault {
  severity: 'error' | 'warning';
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As in the manifest (`duration`, `extra_body.seed`); absent: the whole row. */
  column?: string;
  /** Stable name of the rule, kebab-case, for example `duration-range`. */
  rule: string;
  /** What is wrong and what is allowed: `20 is not between 1 and 16`. At most 200 characters of the value. */
  message: string;
  /** It may affect every row, so no row of the file is sent. */
  scope?: 'file';
  /** 1-based number of the row. */
  row?: number;
  /** The row's id, as it stands there. */
  id?: string;
  /** Rows share lines, as in generated JSON, so the row number is shown instead. */
  byRow?: true;
}

/** An error, unless `more` says otherwise. */
export function faultAt(
  line: number,
  rule: string,
  message: string,
  more: Partial<Pick<Fault, 'severity' | 'column' | 'scope'>> = {},
): Fault {
  return { severity: 'error', line, rule, message, ...more };
}

/**
 * `jobs/a.csv:14 duration: 20 is not between 1 and 16 [duration-range]`, or, where rows share lines,
 * `a.json row 3 (id a3) duration: …`
 */
export function formatFault(file: string, fault: Fault): string {
  const { row, id, byRow = false } = fault;
  const named = id === undefined ? '' : ` (id ${columnLabel(id)})`;
  const place = byRow && row !== undefined ? ` row ${row}${named}` : `:${fault.line}`;
  const column = fault.column === undefined ? '' : ` ${fault.column}`;
  return `${file}${place}${column}: ${fault.message} [${fault.rule}]`;
}
