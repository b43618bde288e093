import type { Fault } from './fault.ts';
import type { RawRow } from './entry.ts';
import { columnLabel, excerpt } from '../core/excerpt.ts';
import { decodeCell } from './request/cell.ts';
import { check } from './request/check.ts';
import { fields, sortColumns, type Columns, type Field } from './request/columns.ts';
import type { GenerationRequest } from './request/body.ts';
import { readExtraBody } from './request/extra-body.ts';
import { schemas } from './request/fields.ts';
import type { Report } from './request/finding.ts';
import { readOwnColumns } from './request/own-columns.ts';
import { garbledText } from './request/garbled.ts';
import type { JsonValue } from './request/json-value.ts';
import { applyRules } from './request/rules.ts';
import { unwrittenPrompt, unwrittenText } from './request/unwritten.ts';

/** What the provider will make of a request. Derived, shown to people, and never sent. */
export type Mode = 'text' | 'image' | 'start-end' | 'reference';

export interface RequestOptions {
  /** In CSV every value is text, and an empty cell is absent. */
  source: 'csv' | 'json';
  /** 1-based line of the row, for its faults. */
  line: number;
  /** Models that the configuration allows beside the known ones. */
  models?: readonly string[];
  /** Warnings are errors. */
  strict?: boolean;
  /** Text that looks like nobody wrote it is sent as it is. */
  asWritten?: boolean;
}

export interface ReadRequest {
  /** Absent when there is an error among the faults. */
  request?: GenerationRequest;
  /** Present together with the request. */
  mode?: Mode;
  /** The row's own key, trimmed. */
  id?: string;
  /** RFC 3339 with a zone, as written. */
  notBefore?: string;
  /** From -100 to 100, higher first. */
  priority?: number;
  /** Columns of the row that are kept and never sent, except those of vidbatch and of its export. */
  extras: string[];
  /** Errors and warnings, in the order of the rules. */
  faults: Fault[];
}

/** Reads a manifest's row by the rules of api.md. Never throws, whatever the row holds. */
export function readRequest(raw: RawRow, options: RequestOptions): ReadRequest {
  const faults: Fault[] = [];
  const report: Report = (finding) => {
    const severity = options.strict === true ? 'error' : finding.severity;
    faults.push({ ...finding, severity, line: options.line });
  };
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    report({
      severity: 'error',
      rule: 'row-type',
      message: `${excerpt(raw)} is not a row: an object of fields`,
    });
    return { extras: [], faults };
  }

  const columns = sortColumns(raw, options.source);
  for (const { column, meant } of columns.typos) {
    const message = `is no field, and is not sent; did you mean ${meant}?`;
    report({ severity: 'warning', column: columnLabel(column), rule: 'unknown-column-typo', message });
  }
  const { draft, given } = readFields(columns, options.source, report);
  applyRules({ request: draft, given, models: options.models ?? [] }, report);
  if (options.asWritten !== true) judgeText(draft, report);
  const own = readOwnColumns(columns, report);

  const { model, prompt, ...rest } = draft;
  const { extras } = columns;
  if (model === undefined || prompt === undefined || faults.some(({ severity }) => severity === 'error')) {
    return { ...own, extras, faults };
  }
  const request = { model, prompt, ...rest };
  return { request, mode: modeOf(request), ...own, extras, faults };
}

/** The mode of a request, from the fields that it has. */
export function modeOf(request: GenerationRequest): Mode {
  if (request.image !== undefined) return request.last_image === undefined ? 'image' : 'start-end';
  return request.reference_image_urls === undefined ? 'text' : 'reference';
}

/** Each field by its own rules: `draft` holds those in order, `given` also names those that are not. */
function readFields(columns: Columns, source: 'csv' | 'json', report: Report) {
  const decode = (column: string, value: unknown): unknown => {
    const decoded = source === 'csv' ? decodeCell(column, value) : { value };
    if ('value' in decoded) return decoded.value;
    report({ severity: 'error', column, ...decoded });
    return undefined;
  };
  const draft: [Field, unknown][] = [];
  const given = new Set<Field>();
  for (const field of fields) {
    const cell = columns.values.get(field);
    const value = cell === undefined ? undefined : decode(field, cell);
    const emptyList = field === 'reference_image_urls' && Array.isArray(value) && value.length === 0;
    if (cell !== undefined && !emptyList) given.add(field);
    if (field === 'extra_body') {
      const dotted = columns.dotted.map((each) => ({ ...each, value: decode(each.column, each.value) }));
      draft.push([field, readExtraBody(value, dotted, report)]);
    } else if (cell === undefined) {
      if (field === 'model' || field === 'prompt') reportMissing(field, columns, report);
    } else if (value !== undefined && !emptyList) {
      draft.push([field, check<unknown>(schemas[field], field, value, field, report)]);
    }
  }
  const checked = draft.filter(([, value]) => value !== undefined);
  // Every member has passed the schema of its field.
  return { draft: Object.fromEntries(checked) as Partial<GenerationRequest>, given };
}

/** What a spreadsheet or a program has left in the place of a text. */
function judgeText({ prompt, extra_body: extra = {} }: Partial<GenerationRequest>, report: Report): void {
  if (prompt !== undefined) {
    const flaw = unwrittenPrompt(prompt);
    const doubt = flaw === undefined ? garbledText(prompt) : undefined;
    if (flaw !== undefined) report({ severity: 'error', column: 'prompt', ...flaw });
    if (doubt !== undefined) report({ severity: 'warning', column: 'prompt', ...doubt });
  }
  for (const [key, value] of Object.entries(extra)) {
    for (const text of textsIn(value)) {
      const flaw = unwrittenText(text);
      if (flaw !== undefined)
        report({ severity: 'error', column: columnLabel(`extra_body.${key}`), ...flaw });
    }
  }
}

/** Checked before: it is not nested deep. */
function textsIn(value: JsonValue): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function reportMissing(field: Field, { typos }: Columns, report: Report): void {
  const typo = typos.find(({ meant }) => meant === field);
  const hint = typo === undefined ? '' : `; the column ${excerpt(typo.column)} looks like it`;
  report({
    severity: 'error',
    column: field,
    rule: `${field}-required`,
    message: `is required, and missing${hint}`,
  });
}
