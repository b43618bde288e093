import { excerpt } from '../core/excerpt.ts';
import { isOurs } from './request/field-names.ts';
import { certainField, likelyField } from './request/field-names.ts';
import { quoted } from '../core/shell-word.ts';
import type { ColumnMap } from './columns.ts';
import type { Manifest } from './entry.ts';

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
 * The meaning of a CSV header. A column is understood if it certainly means a field that no other column gives. `--map
 * x=x` keeps a column as it is. Exports have the field names already; JSON has no header.
 */
export function understand(
  { columns = [], exported = false }: Pick<Manifest, 'columns' | 'exported'>,
  map: ColumnMap = new Map(),
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
  const understood = exported ? new Map<string, string>() : pick(certainField);
  for (const field of understood.values()) taken.add(field);
  const all = new Map([...map, ...understood]);
  return {
    map: all,
    understood,
    suggested: exported ? new Map() : pick(likelyField),
    kept: [...new Set(columns)].filter((header) => !isOurs(all.get(header) ?? header)),
  };
}

const MOST_NAMES = 20;

/** One line for each note about columns; none if all of them are fields. */
export function formatColumns({ understood, suggested, kept }: Omit<Understanding, 'map'>): string[] {
  const lines: string[] = [];
  if (understood.size > 0) {
    const [first = ''] = understood.keys();
    const names = [...understood].map(([header, field]) => `${excerpt(header)} as ${field}`);
    const unsent = quoted(`${first}=${first}`);
    lines.push(
      `${columnsAre(understood.size)} understood: ${list(names)} (--map ${unsent} would not send it)`,
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
