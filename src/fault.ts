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
}

/** `jobs/a.csv:14 duration: 20 is not between 1 and 16 [duration-range]` */
export function formatFault(file: string, fault: Fault): string {
  const column = fault.column === undefined ? '' : ` ${fault.column}`;
  return `${file}:${fault.line}${column}: ${fault.message} [${fault.rule}]`;
}
