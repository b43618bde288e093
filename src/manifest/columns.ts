import { usageError } from '../errors.ts';
import { excerpt, setField, type Manifest, type ManifestEntry, type RawRow } from './entry.ts';

/** Header in the manifest → name of the field that it stands for. */
export type ColumnMap = ReadonlyMap<string, string>;

/**
 * The map of repeated `--map field=header`, for example `prompt=提示词`. Throws a usage error for a
 * specification of another form, and for a field or a header that occurs twice.
 */
export function parseMap(specs: readonly string[]): ColumnMap {
  const map = new Map<string, string>();
  for (const spec of specs) {
    const equals = spec.indexOf('=');
    const field = spec.slice(0, Math.max(0, equals)).trim();
    const header = spec.slice(equals + 1).trim();
    if (field === '' || header === '') {
      throw usageError(
        'map-invalid',
        `--map ${excerpt(spec)}: not of the form field=header`,
        'For example --map prompt=提示词.',
      );
    }
    if ([...map.values()].includes(field)) {
      throw usageError('map-duplicate', `--map: the field ${excerpt(field)} is mapped twice`);
    }
    if (map.has(header)) {
      throw usageError('map-duplicate', `--map: the header ${excerpt(header)} is mapped twice`);
    }
    map.set(header, field);
  }
  return map;
}

/**
 * Checks a map against the columns of a CSV manifest; other formats have none to check. Throws a usage error
 * for a mapped header that is not there, and for a field that a column is already named after.
 */
export function checkMap(
  { name, columns, exported }: Pick<Manifest, 'name' | 'columns' | 'exported'>,
  map: ColumnMap,
): void {
  if (columns === undefined) return;
  for (const [header, field] of map) {
    // An export has the names of the fields already; the same flags as for its manifest may stand.
    if (exported === true && !columns.includes(header) && columns.includes(field)) continue;
    if (!columns.includes(header)) {
      throw usageError(
        'map-unknown-header',
        `--map ${field}=${header}: ${name} has no column ${excerpt(header)}`,
        `Its columns are: ${columns.join(', ')}.`,
      );
    }
    if (columns.includes(field) && !map.has(field)) {
      throw usageError(
        'map-clash',
        `--map ${field}=${header}: ${name} has a column ${excerpt(field)} too`,
        'Rename one of the two columns, or leave the map out.',
      );
    }
  }
}

/** Without these no row of any manifest can be sent. */
const REQUIRED = ['prompt', 'model'];
const MOST_NAMES = 20;

/** One line where a CSV header lacks a required field altogether, which every row would only say in its own words. */
export function missingColumns(
  { name, columns }: Pick<Manifest, 'name' | 'columns'>,
  map: ColumnMap = new Map(),
): string | undefined {
  if (columns === undefined) return undefined;
  const fields = new Set(columns.map((column) => map.get(column) ?? column));
  const missing = REQUIRED.filter((field) => !fields.has(field));
  if (missing.length === 0) return undefined;
  const more = columns.length > MOST_NAMES ? ` and ${columns.length - MOST_NAMES} more` : '';
  const shown = columns.slice(0, MOST_NAMES).map(excerpt).join(', ');
  const maps = missing.map((field) => `--map ${field}=<header>`).join(' ');
  return `${name}: the header has no ${missing.join(' and no ')}, which every row needs; its columns are ${shown}${more}; say which it is with ${maps}`;
}

/** The row under the names of the fields. On a clash the mapped column wins; `mapEntry` makes it a fault. */
export function applyMap(raw: RawRow, map: ColumnMap): RawRow {
  if (map.size === 0) return raw;
  const clashes = clashingFields(raw, map);
  const mapped: RawRow = {};
  for (const [name, value] of Object.entries(raw)) {
    if (!clashes.includes(name) || map.has(name)) setField(mapped, map.get(name) ?? name, value);
  }
  return mapped;
}

/** The entry under the names of the fields; a row that has the field under both names gets an error. */
export function mapEntry(entry: ManifestEntry, map: ColumnMap): ManifestEntry {
  if (map.size === 0) return entry;
  const faults = clashingFields(entry.raw, map).map((column) => ({
    severity: 'error' as const,
    line: entry.line,
    column,
    rule: 'map-clash',
    message: `the row has ${excerpt(column)} and also the name that --map gives it; which is meant cannot be known`,
  }));
  return { ...entry, raw: applyMap(entry.raw, map), faults: [...entry.faults, ...faults] };
}

/** Fields that a mapped name of the row leads to, while the row has them under their own name too. */
function clashingFields(raw: RawRow, map: ColumnMap): string[] {
  return [...map]
    .filter(([header, field]) => Object.hasOwn(raw, header) && Object.hasOwn(raw, field) && !map.has(field))
    .map(([, field]) => field);
}
