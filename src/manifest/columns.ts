import { excerpt, quoted } from '../core/text.ts';
import { usageError } from '../core/errors.ts';
import { faultAt, setField, type Manifest, type ManifestEntry, type RawRow } from './entry.ts';
import { sniffDelimiter } from './csv-rows.ts';
import { isOurs, type ColumnWords } from './request/field-names.ts';
import { requestRules } from './request/request-rules.ts';

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

/** Several values in one text, separated by lines, or else by commas. A comma without a later `=` is part of a header. */
function splitSpecs(text: string): string[] {
  if (/[\r\n]/.test(text)) return text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return text.split(/,(?=[^,]*=)/);
}

/** Refuses a mapped header that a CSV does not have, and a field that already has a column. */
export function checkMap(
  { name, columns, exported }: Pick<Manifest, 'name' | 'columns' | 'exported'>,
  map: ColumnMap,
): void {
  if (columns === undefined) return;
  for (const [header, field] of map) {
    // An export already has the names of the fields, so the --map flags of its manifest may be given again.
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

/** The message for a CSV header without a required field. It names a later line that looks like the header. */
export function missingColumns(
  manifest: Pick<Manifest, 'columns' | 'faults' | 'firstLines'>,
  given: ColumnMap = new Map(),
): string | undefined {
  const { columns } = manifest;
  // An unreadable header has its own fault.
  if (columns === undefined || manifest.faults.some(({ severity }) => severity === 'error')) return undefined;
  const { suggested } = understand(manifest, given);
  const missing = missingFields(manifest, given);
  if (missing.length === 0) return undefined;
  const line = headerLine(manifest, given);
  if (line !== undefined) {
    return `the header has no ${missing.join(' and no ')}; line ${line} looks like the header: skip what is above it with --skip-lines ${line - 1}`;
  }
  const delimiter = columns.length === 1 ? otherDelimiter(columns[0] ?? '', given) : undefined;
  if (delimiter !== undefined)
    return `the header has no ${missing.join(' and no ')}, because "${delimiter}" separates its cells: say so with --delimiter ${quoted(delimiter)}`;
  const shown = list(columns.map(excerpt));
  const known = [...suggested.values()];
  const rest = missing.filter((field) => !known.includes(field)).map((field) => `--map ${field}=<header>`);
  const maps = [mapFlags(given), mapFlags(suggested), ...rest].filter((part) => part !== '').join(' ');
  return `the header has no ${missing.join(' and no ')}, which every row needs; its columns are ${shown}; say which it is with ${maps}`;
}

/** What separates the cells of a header that was read as one cell. Cells may hold it, so it is never taken by itself. */
function otherDelimiter(header: string, given: ColumnMap): string | undefined {
  return ['|', ':', '^', '~'].find((one) => {
    const cells = header.split(one).map((cell) => cell.trim());
    return missingFields({ columns: cells }, given).length === 0;
  });
}

/** The 1-based number of the first line that names all required fields. */
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

/** The row with field names as keys. If two columns have the same field, the mapped column wins. */
export function applyMap(raw: RawRow, map: ColumnMap): RawRow {
  if (map.size === 0) return raw;
  const clashes = clashingFields(raw, map);
  const mapped: RawRow = {};
  for (const [name, value] of Object.entries(raw)) {
    if (!clashes.includes(name) || map.has(name)) setField(mapped, map.get(name) ?? name, value);
  }
  return mapped;
}

/** The entry with field names as keys. A row with two columns for one field gets an error. */
export function mapEntry(entry: ManifestEntry, map: ColumnMap): ManifestEntry {
  if (map.size === 0) return entry;
  const faults = clashingFields(entry.raw, map).map((column) => {
    const message = `the row has ${excerpt(column)} and also a column that --map names so; it is unknown which one is meant`;
    return faultAt(entry.line, 'map-clash', message, { column });
  });
  return { ...entry, raw: applyMap(entry.raw, map), faults: [...entry.faults, ...faults] };
}

/** Fields that the row has under their own name and under a mapped name. */
function clashingFields(raw: RawRow, map: ColumnMap): string[] {
  return [...map]
    .filter(([header, field]) => Object.hasOwn(raw, header) && Object.hasOwn(raw, field) && !map.has(field))
    .map(([, field]) => field);
}

/** How the columns of a manifest are read. */
export interface Understanding {
  /** `--map` and `understood` together. */
  map: ColumnMap;
  /** Header → field: columns that are sent without being named by `--map`. */
  understood: ReadonlyMap<string, string>;
  /** Header → field: columns that may mean it. */
  suggested: ReadonlyMap<string, string>;
  /** Columns that are kept and not sent. */
  kept: readonly string[];
}

/**
 * The meaning of a CSV header. A column is understood if it certainly means a field, and no other column means the same
 * field. `--map x=x` leaves a column as it is. Exports already have the field names; JSON has no header.
 */
export function understand(
  { columns = [], exported = false }: Pick<Manifest, 'columns' | 'exported'>,
  map: ColumnMap = new Map(),
  words: ColumnWords = requestRules().words,
): Understanding {
  const named = (header: string): string => map.get(header) ?? header;
  const open = columns.filter((header) => !map.has(header) && !isOurs(header));
  const taken = new Set(columns.map(named));
  const pick = (meaning: (header: string) => string | undefined): Map<string, string> => {
    const candidates = open.filter((header) => !taken.has(meaning(header) ?? header));
    const byField = Map.groupBy(candidates, (header) => meaning(header) ?? '');
    return new Map(
      [...byField].flatMap(([field, [header = '', ...others]]) =>
        field === '' || others.length > 0 ? [] : [[header, field] as const],
      ),
    );
  };
  const understood = exported ? new Map<string, string>() : pick((header) => words.certain(header));
  for (const field of understood.values()) taken.add(field);
  const all = new Map([...map, ...understood]);
  return {
    map: all,
    understood,
    suggested: exported ? new Map() : pick((header) => words.likely(header)),
    kept: [...new Set(columns)].filter((header) => !isOurs(all.get(header) ?? header)),
  };
}

/** A line for each note about columns. */
export function formatColumns({ understood, suggested, kept }: Omit<Understanding, 'map'>): string[] {
  const lines: string[] = [];
  if (understood.size > 0) {
    const [first = ''] = understood.keys();
    const names = [...understood].map(([header, field]) => `${excerpt(header)} as ${field}`);
    const ownColumn = quoted(`${first}=${first}`);
    lines.push(
      `${columnsAre(understood.size)} understood: ${list(names)} (if ${excerpt(first)} is a column of your own: --map ${ownColumn})`,
    );
  }
  if (kept.length > 0) {
    lines.push(`${columnsAre(kept.length)} kept and not sent: ${list(kept.map((name) => excerpt(name)))}`);
  }
  if (suggested.size > 0) lines.push(`if these are fields, say so: ${mapFlags(suggested)}`);
  return lines;
}

export function columnsJson({ understood, kept }: Omit<Understanding, 'map'>): Record<string, unknown> {
  return { understoodColumns: Object.fromEntries(understood), keptColumns: kept };
}

/** `--map prompt=描述 --map id=序号` */
export function mapFlags(map: ReadonlyMap<string, string>): string {
  return [...map].map(([header, field]) => `--map ${quoted(`${field}=${header}`)}`).join(' ');
}

function columnsAre(n: number): string {
  return n === 1 ? '1 column is' : `${n} columns are`;
}

function list(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}
