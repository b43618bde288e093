import { excerpt } from '../core/excerpt.ts';
import { usageError } from '../core/errors.ts';
import { faultAt } from './fault.ts';
import { sniffDelimiter } from './delimiter.ts';
import { setField, type Manifest, type ManifestEntry, type RawRow } from './entry.ts';
import { mapFlags, understand } from './understanding.ts';

/** Header in the manifest → field. */
export type ColumnMap = ReadonlyMap<string, string>;

/** Reads repeated `--map field=header`, for example `prompt=提示词`. A field or header that occurs twice is refused. */
export function parseMap(specs: readonly string[]): ColumnMap {
  const map = new Map<string, string>();
  for (const spec of specs.flatMap(splitSpecs)) {
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

/** Several values in one text, by lines or else by commas. A comma without a later `=` is part of a header. */
function splitSpecs(text: string): string[] {
  if (/[\r\n]/.test(text)) return text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return text.split(/,(?=[^,]*=)/);
}

/** Refuses a mapped header that a CSV does not have, and a field that a column is already named after. */
export function checkMap(
  { name, columns, exported }: Pick<Manifest, 'name' | 'columns' | 'exported'>,
  map: ColumnMap,
): void {
  if (columns === undefined) return;
  for (const [header, field] of map) {
    // An export has the names of the fields already; the flags of its manifest may stay.
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

const REQUIRED = ['prompt', 'model'];
const MOST_NAMES = 20;

/** One message if a CSV header lacks a required field, in place of one fault a row. It names a later header line. */
export function missingColumns(
  manifest: Pick<Manifest, 'columns' | 'faults' | 'firstLines'>,
  given: ColumnMap = new Map(),
): string | undefined {
  const { columns } = manifest;
  // A header that could not be read has its own fault.
  if (columns === undefined || manifest.faults.some(({ severity }) => severity === 'error')) return undefined;
  const { suggested } = understand(manifest, given);
  const missing = missingFields(manifest, given);
  if (missing.length === 0) return undefined;
  const line = headerLine(manifest, given);
  if (line !== undefined) {
    return `the header has no ${missing.join(' and no ')}; line ${line} looks like the header: skip what is above it with --skip-lines ${line - 1}`;
  }
  const more = columns.length > MOST_NAMES ? ` and ${columns.length - MOST_NAMES} more` : '';
  const shown = columns.slice(0, MOST_NAMES).map(excerpt).join(', ');
  const known = [...suggested.values()];
  const rest = missing.filter((field) => !known.includes(field)).map((field) => `--map ${field}=<header>`);
  const maps = [mapFlags(given), mapFlags(suggested), ...rest].filter((part) => part !== '').join(' ');
  return `the header has no ${missing.join(' and no ')}, which every row needs; its columns are ${shown}${more}; say which it is with ${maps}`;
}

/** The 1-based line that names all required fields, if one of the first lines does. */
function headerLine({ firstLines = [] }: Pick<Manifest, 'firstLines'>, given: ColumnMap): number | undefined {
  const index = firstLines.findIndex((line) => {
    const cells = line.split(sniffDelimiter(line)).map((cell) => cell.trim().replaceAll('"', ''));
    return missingFields({ columns: cells }, given).length === 0;
  });
  return index === -1 ? undefined : index + 1;
}

/** Required fields without a column in a CSV. */
export function missingFields(
  manifest: Pick<Manifest, 'columns' | 'exported'>,
  given: ColumnMap = new Map(),
): string[] {
  if (manifest.columns === undefined) return [];
  const { map } = understand(manifest, given);
  const fields = new Set(manifest.columns.map((column) => map.get(column) ?? column));
  return REQUIRED.filter((field) => !fields.has(field));
}

/** The row with field names as keys. On a clash the mapped column wins; `mapEntry` adds a fault. */
export function applyMap(raw: RawRow, map: ColumnMap): RawRow {
  if (map.size === 0) return raw;
  const clashes = clashingFields(raw, map);
  const mapped: RawRow = {};
  for (const [name, value] of Object.entries(raw)) {
    if (!clashes.includes(name) || map.has(name)) setField(mapped, map.get(name) ?? name, value);
  }
  return mapped;
}

/** The entry with field names as keys. A row that has a field under two names gets an error. */
export function mapEntry(entry: ManifestEntry, map: ColumnMap): ManifestEntry {
  if (map.size === 0) return entry;
  const faults = clashingFields(entry.raw, map).map((column) => {
    const message = `the row has ${excerpt(column)} and also the name that --map gives it; which is meant cannot be known`;
    return faultAt(entry.line, 'map-clash', message, { column });
  });
  return { ...entry, raw: applyMap(entry.raw, map), faults: [...entry.faults, ...faults] };
}

/** Fields that the row has under their own name and under a mapped one. */
function clashingFields(raw: RawRow, map: ColumnMap): string[] {
  return [...map]
    .filter(([header, field]) => Object.hasOwn(raw, header) && Object.hasOwn(raw, field) && !map.has(field))
    .map(([, field]) => field);
}
