import { columnLabel } from '../core/excerpt.ts';

/**
 * Something wrong with one row of a manifest. `error`: a documented rule is broken, the row cannot be sent.
 * `warning`: a rule known from elsewhere, or something that looks like a mistake; `--strict` makes it an error.
 */
export interface Fault {
  severity: 'error' | 'warning';
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** The column or field, in the manifest's own words (`duration`, `extra_body.seed`); absent: the whole row. */
  column?: string;
  /** Stable name of the rule, kebab-case, for example `duration-range`. */
  rule: string;
  /** What is wrong and what is allowed: `20 is not between 1 and 16`. Never contains more than 200 characters of the value. */
  message: string;
  /** It may be about every row of the file, so no row of the file is sent. */
  scope?: 'file';
  /** 1-based number of the row. */
  row?: number;
  /** The row's id, as it stands there. */
  id?: string;
  /** Rows share lines, as in JSON that a program has written: the number tells more than the line. */
  byRow?: true;
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
