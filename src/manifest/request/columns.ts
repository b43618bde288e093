import type { RawRow } from '../entry.ts';
import { nearest } from '../../core/suggestion.ts';

/** The fields that are sent, in the order of the contract page's examples. */
export const fields = [
  'model',
  'prompt',
  'image',
  'last_image',
  'reference_image_urls',
  'aspect_ratio',
  'duration',
  'extra_body',
] as const;
export type Field = (typeof fields)[number];

/** Columns that speak to vidbatch itself: read, and never sent. */
export const ownColumns = ['id', 'not_before', 'priority'] as const;
export type OwnColumn = (typeof ownColumns)[number];

/** What `export` appends. An export that is fed back carries these columns; they say nothing about the request. */
export const exportColumns = [
  'batch',
  'row_key',
  'line',
  'state',
  'task_id',
  'provider_status',
  'result_url',
  'http_status',
  'error_code',
  'error',
  'attempts',
  'submitted_at',
] as const;

/** Appended where a row has them: tasks that failed and were made again. */
export const EARLIER_TASK_IDS = 'earlier_task_ids';

export function isExportColumn(name: string): boolean {
  return name === EARLIER_TASK_IDS || (exportColumns as readonly string[]).includes(name);
}

/** Keys of `extra_body` whose rules are known. */
export const extraBodyKeys = ['audio', 'bgm', 'seed'] as const;

/** A column such as `extra_body.seed`; `path` is what follows `extra_body`. */
export interface DottedColumn {
  column: string;
  path: readonly string[];
  value: unknown;
}

/** The columns of one row, sorted by who they are for. Absent values are left out. */
export interface Columns {
  values: Map<Field | OwnColumn, unknown>;
  dotted: DottedColumn[];
  /** Kept with the row and never sent; in the order of the row. */
  extras: string[];
  /** Columns among the extras that look like a mistyped name of ours. */
  typos: { column: string; meant: string }[];
}

/** Deeper dotted columns are nobody's request. */
const DEEPEST_PATH = 32;

/**
 * `null` is absent everywhere; in CSV an empty cell is, too. A prompt of spaces is not empty: it is blank, and
 * that is a mistake to report rather than to skip.
 */
export function sortColumns(raw: RawRow, source: 'csv' | 'json'): Columns {
  const columns: Columns = { values: new Map(), dotted: [], extras: [], typos: [] };
  for (const [column, value] of Object.entries(raw)) {
    if (value === null || value === undefined) {
      if (!isOurs(column)) columns.extras.push(column);
      continue;
    }
    const empty =
      source === 'csv' && typeof value === 'string' && (column === 'prompt' ? value : value.trim()) === '';
    const path = pathInExtraBody(column);
    if (isField(column) || isOwn(column)) {
      if (!empty) columns.values.set(column, value);
    } else if (path !== undefined) {
      if (!empty) columns.dotted.push({ column, path, value });
    } else if (!isOurs(column)) {
      columns.extras.push(column);
      const meant = lookAlike(column, raw);
      if (meant !== undefined) columns.typos.push({ column, meant });
    }
  }
  return columns;
}

function isField(column: string): column is Field {
  return (fields as readonly string[]).includes(column);
}

function isOwn(column: string): column is OwnColumn {
  return (ownColumns as readonly string[]).includes(column);
}

/** Whether what is sent, or when, hangs on this column. */
export function speaks(column: string): boolean {
  return isField(column) || isOwn(column) || pathInExtraBody(column) !== undefined;
}

/** Whether a column is a field, speaks to vidbatch, or is one that an export appends. */
export function isOurs(column: string): boolean {
  return speaks(column) || isExportColumn(column);
}

function pathInExtraBody(column: string): string[] | undefined {
  if (!column.startsWith('extra_body.')) return undefined;
  const [, ...path] = column.split('.');
  return path.length > DEEPEST_PATH || path.some((key) => key.trim() === '') ? undefined : path;
}

/** Spelling that people do not see: case, spaces, full-width forms, snake, kebab and camel. */
export function squash(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s_.\-\u200b\ufeff]/g, '');
}

/** Names by their squashed spelling; a bare `seed` belongs into `extra_body`. */
const spellings = new Map<string, string>([
  ...[...fields, ...ownColumns].map((name) => [squash(name), name] as const),
  ...extraBodyKeys.flatMap((key) =>
    [key, `extra_body.${key}`].map((name) => [squash(name), `extra_body.${key}`] as const),
  ),
]);

/**
 * What other gateways call our fields. In a row without the field, such a column would be dropped in silence,
 * and a text video be paid instead of the one that was meant.
 */
const aliases = new Map<string, Field>([
  ['imageurl', 'image'],
  ['firstframe', 'image'],
  ['lastimageurl', 'last_image'],
  ['lastframe', 'last_image'],
  ['referenceimages', 'reference_image_urls'],
  ['referenceurls', 'reference_image_urls'],
  ['ratio', 'aspect_ratio'],
]);

function lookAlike(column: string, raw: RawRow): string | undefined {
  // `input.state` is the export's name for an input column called `state`: somebody's own.
  if (column.startsWith('input.')) return undefined;
  const word = squash(column);
  const spelt = spellings.get(word);
  if (spelt !== undefined) return spelt;
  const alias = aliases.get(word);
  if (alias !== undefined) return Object.hasOwn(raw, alias) ? undefined : alias;
  // The mode is a word of our own output: beside a model, a column of that name is no typo.
  if (word === 'mode' && Object.hasOwn(raw, 'model')) return undefined;
  return [...fields, ...ownColumns].find((name) => {
    const length = squash(name).length;
    // Short names have too many innocent neighbours.
    const farthest = length < 4 ? 0 : length < 8 ? 1 : 2;
    return (
      Math.abs(word.length - length) <= farthest && nearest(word, [squash(name)], farthest) !== undefined
    );
  });
}
