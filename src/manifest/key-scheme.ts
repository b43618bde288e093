import { createHash } from 'node:crypto';
import type { KeyScheme } from './checked-row.ts';
import { applyMap, type ColumnMap } from './columns.ts';
import { faultAt, isError, type Fault, type Manifest, type ManifestEntry, type RawRow } from './entry.ts';

/** The beginnings of keys that are no ids: of an invalid row, and of a row that is identified by its content. */
const BROKEN = 'invalid:';
const BY_CONTENT = 'h1:';

/** What decides by what rows are identified. */
interface Deciding {
  manifest: Pick<Manifest, 'columns'>;
  map?: ColumnMap | undefined;
  /** The target batch. */
  into?: { name: string; keyScheme?: KeyScheme } | undefined;
}

/**
 * By what the rows of a manifest are identified, as far as this entry tells it. Undefined: it does not tell, as its row was
 * refused. If the row can be sent after all, `schemeOfFields` decides.
 */
export function keySchemeOf(entry: ManifestEntry, deciding: Deciding): KeyScheme | undefined {
  const { raw, faults, exported } = entry;
  const { into } = deciding;
  if (exported === undefined) {
    const unread = Object.keys(raw).length === 0 && faults.some(isError);
    return unread ? undefined : schemeOfFields(entry, deciding);
  }
  const { batch, key, errorCode } = exported;
  if (into?.keyScheme !== undefined && batch === into.name) return into.keyScheme;
  // The header of an export has `id` also if the only row with an id is one that was refused for it.
  const hasId = (raw['id'] ?? '') !== '';
  if (!hasId && key.startsWith(BY_CONTENT)) return 'h1';
  if (hasId && errorCode === MIXED) return 'h1';
  if (!hasId && errorCode === MISSING) return 'id';
  if (key.startsWith(BROKEN) && errorCode !== '') return undefined;
  return schemeOfFields(entry, deciding);
}

/** By the header, or for JSON by the fields of this row. */
export function schemeOfFields({ raw }: ManifestEntry, { manifest, map }: Deciding): KeyScheme {
  const header = manifest.columns === undefined ? raw : blank(manifest.columns);
  return Object.hasOwn(map === undefined ? header : applyMap(header, map), 'id') ? 'id' : 'h1';
}

function blank(columns: readonly string[]): RawRow {
  return Object.fromEntries(columns.map((column) => [column, '']));
}

const MISSING = 'id-missing';
const MIXED = 'id-mixed';

const ALL_OR_NONE =
  'either every row has an id, or no row has one (then rows are identified by their content)';

/**
 * The fault of a row that has an id where others have none, or none where others have one. An id that a row got in the
 * export of its batch does no harm: there the row is `knownAs` its content.
 */
export function mixedIds(
  line: number,
  scheme: KeyScheme | undefined,
  id: string | undefined,
  knownAs = '',
): Fault[] {
  if (scheme === 'id' && id === undefined)
    return [faultAt(line, MISSING, `is missing: ${ALL_OR_NONE}`, { column: 'id' })];
  if (scheme === 'h1' && id !== undefined && !knownAs.startsWith(BY_CONTENT))
    return [faultAt(line, MIXED, `is given, but other rows have none: ${ALL_OR_NONE}`, { column: 'id' })];
  return [];
}

/** The key basis of a row that is identified by the hash of its content. */
export const contentKey = (hash: string): string => `${BY_CONTENT}${hash}`;

/** The key basis of an invalid row without an id. */
export function brokenKey(raw: RawRow): string {
  return `${BROKEN}${createHash('sha256').update(JSON.stringify(raw)).digest('hex').slice(0, 32)}`;
}
