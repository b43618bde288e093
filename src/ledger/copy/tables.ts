import type { Queryable } from '../../database/database.ts';

/*
 * The tables of a ledger, as the catalogue of the database lists them: a new table or column is copied without a change here.
 * Every value travels as text, and the database that holds it converts it. So no value passes through a number of
 * JavaScript, which would round it.
 */

export interface Column {
  name: string;
  type: string;
  /** The database computes it. It is compared, but not written. */
  computed: boolean;
}

export interface Table {
  name: string;
  columns: Column[];
}

/** How many rows a table has, and a checksum of all of their values. The order of the rows does not matter. */
export interface TableSum {
  rows: number;
  checksum: string;
}

export interface Sequence {
  name: string;
  last: string;
  called: boolean;
}

/** One row; the values in the order of `writtenColumns`. */
export type Cells = (string | null)[];

/** In these settings each value has one text, also on another version of Postgres. For the transaction only. */
export const TEXT_SETTINGS = `set local timezone = 'UTC'; set local datestyle = 'ISO, YMD';
  set local intervalstyle = 'postgres'; set local extra_float_digits = 1; set local bytea_output = 'hex'`;

/**
 * Left out: the applied migrations and the kept sums, which the copy makes itself, and unlogged tables, which hold one
 * command's work. Also the columns of `meta` that say whether this copy of the ledger is closed.
 */
const COPIED = `
  select c.oid, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'vidbatch' and c.relkind = 'r' and c.relpersistence = 'p'
     and c.relname not in ('migration', 'row_count', 'bill_sum')`;

/** All tables that are copied: a table after those to which it refers. */
export async function readTables(db: Queryable): Promise<Table[]> {
  const { rows: columns } = await db.query<Column & { table: string }>(
    `select t.name as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
            a.attgenerated <> '' as computed
       from (${COPIED}) t join pg_attribute a on a.attrelid = t.oid
      where a.attnum > 0 and not a.attisdropped and not (t.name = 'meta' and a.attname like 'closed\\_%')
      order by t.name collate "C", a.attname collate "C"`,
  );
  const { rows: references } = await db.query<{ from: string; to: string }>(
    `select child.name as from, parent.name as to
       from pg_constraint f join (${COPIED}) child on child.oid = f.conrelid join (${COPIED}) parent on parent.oid = f.confrelid
      where f.contype = 'f' and child.name <> parent.name`,
  );
  const tables = Map.groupBy(columns, ({ table }) => table);
  return parentsFirst([...tables.keys()], references).map((name) => ({
    name,
    columns: (tables.get(name) ?? []).map(({ table: _table, ...column }) => column),
  }));
}

function parentsFirst(
  names: readonly string[],
  references: readonly { from: string; to: string }[],
): string[] {
  const ordered: string[] = [];
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { from, to } of references) if (from === name) visit(to);
    ordered.push(name);
  };
  for (const name of names) visit(name);
  return ordered;
}

export function writtenColumns({ columns }: Table): Column[] {
  return columns.filter(({ computed }) => !computed);
}

export const quotedName = (name: string): string => `"${name}"`;

/** In a session with TEXT_SETTINGS. */
export async function sumTable(session: Queryable, { name, columns }: Table): Promise<TableSum> {
  const row = `row(${columns.map((column) => `${quotedName(column.name)}::text`).join(', ')})::text`;
  const part = (from: number): string =>
    `coalesce(sum(('x' || substr(h.hash, ${from}, 16))::bit(64)::bigint::numeric), 0)::text`;
  const { rows } = await session.query<{ rows: string; checksum: string }>(
    `select count(*)::text as rows, ${part(1)} || ':' || ${part(17)} as checksum
       from (select encode(sha256(convert_to(${row}, 'UTF8')), 'hex') as hash from vidbatch.${quotedName(name)}) h`,
  );
  return { rows: Number(rows[0]?.rows ?? 0), checksum: rows[0]?.checksum ?? '' };
}

export async function readSequences(session: Queryable): Promise<Sequence[]> {
  const { rows: names } = await session.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'vidbatch' and c.relkind = 'S' order by c.relname collate "C"`,
  );
  const sequences: Sequence[] = [];
  for (const { name } of names) {
    const { rows } = await session.query<Omit<Sequence, 'name'>>(
      `select last_value::text as last, is_called as called from vidbatch.${quotedName(name)}`,
    );
    const [found] = rows;
    if (found !== undefined) sequences.push({ name, ...found });
  }
  return sequences;
}
