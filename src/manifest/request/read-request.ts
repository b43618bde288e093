import type { Fault, RawRow } from '../entry.ts';
import { columnLabel, excerpt } from '../../core/text.ts';
import { findLoss, formatLoss, parseJson, type JsonValue } from '../../core/json.ts';
import { type DottedColumn, readExtraBody } from './extra-body.ts';
import {
  type Field,
  fields,
  isField,
  isOurs,
  isOwn,
  type ColumnWords,
  type OwnColumn,
  pathInExtraBody,
} from './field-names.ts';
import { check, type GenerationRequest, type Report } from './fields.ts';
import { readOwnColumns } from './own-columns.ts';
import { requestRules, type RequestRules } from './request-rules.ts';
import { applyRules } from './rules.ts';
import { flaw, garbledText, unwrittenPrompt, unwrittenText, type Flaw } from './text-flaws.ts';
import { splitUrls } from './url-flaws.ts';
import { modeOf, type Mode } from '../../provider/profile/mode.ts';
import type { Profile } from '../../provider/profile/schema.ts';

export interface RequestOptions {
  /** In CSV, every value is text, and an empty cell is absent. */
  source: 'csv' | 'json';
  /** The 1-based line of the row. */
  line: number;
  /** Models that the configuration adds to those of the profile. */
  models?: readonly string[];
  /** The rules of its provider. Default: those of the built-in default. */
  profile?: Profile;
  /** Warnings are errors. */
  strict?: boolean;
  /** Text that looks like an accident is sent unchanged. */
  asWritten?: boolean;
}

export interface ReadRequest {
  /** Absent when one of the faults is an error. */
  request?: GenerationRequest;
  /** Present together with the request. */
  mode?: Mode;
  /** The row's own key, trimmed. */
  id?: string;
  /** RFC 3339 with a zone, as written. */
  notBefore?: string;
  /** From -100 to 100, higher first. */
  priority?: number;
  /** Unknown columns, which are kept and never sent. */
  extras: string[];
  faults: Fault[];
}

/** Reads a row by the rules of its profile. Never throws. */
export function readRequest(raw: RawRow, options: RequestOptions): ReadRequest {
  const { source, line, strict = false } = options;
  const faults: Fault[] = [];
  const report: Report = (severity, column, found) => {
    faults.push({ ...found, severity: strict ? 'error' : severity, column, line });
  };
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const message = `${excerpt(raw)} is not a row: an object of fields`;
    return { extras: [], faults: [{ severity: 'error', line, rule: 'row-type', message }] };
  }

  const rules = requestRules(options.profile);
  const columns = sortColumns(raw, source, rules.words);
  for (const { column, meant } of columns.typos) {
    const message = `is no field, and is not sent; did you mean ${meant}?`;
    report('warning', columnLabel(column), flaw('unknown-column-typo', message));
  }
  const { draft, given } = readFields(columns, source, rules, report);
  applyRules({ request: draft, given }, rules, options.models ?? [], report);
  if (options.asWritten !== true) judgeText(draft, report);
  const own = readOwnColumns(columns.values, report);

  const { model, prompt, ...rest } = draft;
  const { extras } = columns;
  if (model === undefined || prompt === undefined || faults.some(({ severity }) => severity === 'error')) {
    return { ...own, extras, faults };
  }
  const request = { model, prompt, ...rest };
  return { request, mode: modeOf(request), ...own, extras, faults };
}

/** The columns of one row by their purpose, without absent values. */
interface Columns {
  values: Map<Field | OwnColumn, unknown>;
  dotted: DottedColumn[];
  /** Kept and never sent. */
  extras: string[];
  /** Extras that look like a mistyped column of vidbatch. */
  typos: { column: string; meant: string }[];
}

/**
 * `null` is absent, and in CSV also an empty cell. A prompt of spaces is not absent: it is a mistake that must be reported.
 */
function sortColumns(raw: RawRow, source: 'csv' | 'json', words: ColumnWords): Columns {
  const columns: Columns = { values: new Map(), dotted: [], extras: [], typos: [] };
  for (const [column, value] of Object.entries(raw)) {
    if (value === null || value === undefined) {
      if (!isOurs(column)) columns.extras.push(column);
      continue;
    }
    const isText = source === 'csv' && typeof value === 'string';
    const empty = isText && (column === 'prompt' ? value : value.trim()) === '';
    const path = pathInExtraBody(column);
    if (isField(column) || isOwn(column)) {
      if (!empty) columns.values.set(column, value);
    } else if (path !== undefined) {
      if (!empty) columns.dotted.push({ column, path, value });
    } else if (!isOurs(column)) {
      columns.extras.push(column);
      const meant = words.alike(column, raw);
      if (meant !== undefined) columns.typos.push({ column, meant });
    }
  }
  return columns;
}

/** Checks each field by its own rules. `draft` holds the valid fields; `given` names all fields of the row. */
function readFields(columns: Columns, source: 'csv' | 'json', rules: RequestRules, report: Report) {
  const decode = (column: string, value: unknown): unknown => {
    const decoded = source === 'csv' ? decodeCell(column, value, rules) : { value };
    if ('value' in decoded) return decoded.value;
    report('error', column, decoded);
    return undefined;
  };
  const draft: [Field, unknown][] = [];
  let { schemas } = rules.of(undefined);
  const given = new Set<Field>();
  for (const field of fields) {
    const cell = columns.values.get(field);
    const value = cell === undefined ? undefined : decode(field, cell);
    const emptyList = field === 'reference_image_urls' && Array.isArray(value) && value.length === 0;
    if (cell !== undefined && !emptyList) given.add(field);
    if (field === 'extra_body') {
      const dotted = columns.dotted.map((each) => ({ ...each, value: decode(each.column, each.value) }));
      draft.push([field, readExtraBody(value, dotted, rules.extraKeys, report)]);
    } else if (cell === undefined) {
      if (field === 'model' || field === 'prompt') reportMissing(field, columns, report);
    } else if (value !== undefined && !emptyList) {
      const checked = check<unknown>(schemas[field], field, value, field, report);
      draft.push([field, checked]);
      // The model is the first field: it decides what the others may hold.
      if (field === 'model' && typeof checked === 'string') ({ schemas } = rules.of(checked));
    }
  }
  const checked = draft.filter(([, value]) => value !== undefined);
  // Every member has passed the schema of its field.
  return { draft: Object.fromEntries(checked) as Partial<GenerationRequest>, given };
}

/** Reports text that a spreadsheet or a program has left in the place of the real text. */
function judgeText({ prompt, extra_body: extra = {} }: Partial<GenerationRequest>, report: Report): void {
  if (prompt !== undefined) {
    const unwritten = unwrittenPrompt(prompt);
    const garbled = unwritten === undefined ? garbledText(prompt) : undefined;
    if (unwritten !== undefined) report('error', 'prompt', unwritten);
    if (garbled !== undefined) report('warning', 'prompt', garbled);
  }
  for (const [key, value] of Object.entries(extra)) {
    for (const unwritten of textsIn(value).map(unwrittenText)) {
      if (unwritten !== undefined) report('error', columnLabel(`extra_body.${key}`), unwritten);
    }
  }
}

/** The depth of the value was checked before. */
function textsIn(value: JsonValue): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function reportMissing(field: Field, { typos }: Columns, report: Report): void {
  const typo = typos.find(({ meant }) => meant === field);
  const hint = typo === undefined ? '' : `; the column ${excerpt(typo.column)} looks like it`;
  report('error', field, flaw(`${field}-required`, `is required, and missing${hint}`));
}

/** A JSON value, or why the cell is not one. */
type Decoded = { value: unknown } | Flaw;

/** The value of a CSV cell. Text that is not a number or boolean stays text: the rule of its field reports it. */
function decodeCell(column: string, value: unknown, { extraKeys }: RequestRules): Decoded {
  if (typeof value !== 'string') return { value };
  if (column === 'reference_image_urls') return decodeList(value);
  if (column === 'extra_body')
    return decodeJson(value, 'extra-body-json', 'a JSON object such as {"seed": 42}');
  const key = column.startsWith('extra_body.')
    ? extraKeys.get(column.slice('extra_body.'.length))
    : undefined;
  return { value: key === undefined ? value : key.decode(value) };
}

/** A JSON array, or items between `|`, a comma and the like. A URL that holds a `|` needs the array. */
function decodeList(text: string): Decoded {
  const plain = text.trim();
  if (plain.startsWith('[')) {
    const items = quotedItems(plain);
    return items === undefined
      ? decodeJson(text, 'reference-image-urls-json', 'a JSON array, nor URLs separated by |')
      : { value: items };
  }
  return { value: text.split('|').flatMap(splitUrls) };
}

/** The items of a list as Python prints it: `['https://…', 'https://…']`. */
function quotedItems(text: string): string[] | undefined {
  if (!/^\[\s*'[^'"]*'(?:\s*,\s*'[^'"]*')*\s*,?\s*\]$/.test(text)) return undefined;
  return [...text.matchAll(/'([^']*)'/g)].map(([, item = '']) => item.trim());
}

function decodeJson(text: string, rule: string, allowed: string): Decoded {
  const parsed = parseJson(text);
  if (parsed === undefined) return flaw(rule, `${excerpt(text)} is not ${allowed}`);
  const loss = findLoss(text);
  if (loss === undefined) return parsed;
  const { rule: lost, column, message } = formatLoss(loss);
  return flaw(lost, column === undefined ? message : `${column}: ${message}`);
}
