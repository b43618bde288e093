import { openIdIndex } from '../../core/sqlite.ts';
import { likenessOf } from '../../core/identity.ts';
import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { mayBePaid } from '../money/budget.ts';
import { pageByPage, readOne } from '../read/query.ts';
import { vanished, type Comparison } from './comparison.ts';
import { KNOWN, type ReadRows } from './known.ts';

/** A row of the ledger, and a row of the manifest that seems to be the same row under another id. */
export interface Renamed {
  from: string;
  to: string;
  line: number;
  state: State;
}

interface RenamedRows {
  paid: number;
  /** Pending rows whose id the manifest no longer has. */
  waiting: number;
  examples: Renamed[];
}

const EXAMPLES = 5;

/**
 * Pairs of a row of the ledger and a row of the manifest with the same content and another id, as SQL. Of each content there
 * are as many pairs as both sides allow. Rows that may have been paid come first, then the order of the lines decides.
 * Parameters: the import, the batch, and those of `KNOWN`.
 */
const PAIRS = `wanting as (
       select t.position, t.row_key, t.line, t.content_hash
         from vidbatch.staged t left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and t.content_hash is not null and s.content_hash is distinct from t.content_hash
     ), displaced as (
       select s.id, s.row_key, s.line, s.state, s.content_hash, ${mayBePaid('s')} as paid,
              t.row_key is null as gone
         from vidbatch.submission s left join vidbatch.staged t on t.import_id = $1 and t.row_key = s.row_key
        where s.batch_id = $2 and s.content_hash in (select content_hash from wanting)
          and t.content_hash is distinct from s.content_hash and not exists (select from ${KNOWN} k where k.id = s.id)
     ), chosen as (
       select *, row_number() over (partition by content_hash order by line, id) as rank
         from (select d.*, row_number() over (partition by content_hash order by paid desc, gone desc, line, id) as urgency
                 from displaced d) d
         join (select content_hash, count(*) as most from wanting group by content_hash) w using (content_hash)
        where urgency <= most
     ), pair as (
       select c.id, c.row_key as old_key, w.row_key as new_key, w.line, w.position, c.state, c.paid, c.gone
         from (select *, row_number() over (partition by content_hash order by position) as rank from wanting) w
         join chosen c using (content_hash, rank)
     )`;

/** Locks the rows that may be renamed until the end of the transaction. Returns their number. */
async function lockDisplaced(db: Queryable, { importId }: ReadRows, batchId: number): Promise<number> {
  const { rows } = await db.query(
    `select s.id from vidbatch.row r join vidbatch.row_state s on s.id = r.id
      where r.batch_id = $2
        and r.content_hash in (select t.content_hash from vidbatch.staged t
                                 left join vidbatch.submission o on o.batch_id = $2 and o.row_key = t.row_key
                                where t.import_id = $1 and o.content_hash is distinct from t.content_hash)
      order by s.id for update of s`,
    [importId, batchId],
  );
  return rows.length;
}

/** Rows that have another id and are otherwise the same. */
async function findRenamed(db: Queryable, read: ReadRows, batchId: number): Promise<RenamedRows> {
  if ((await lockDisplaced(db, read, batchId)) === 0) return SAME_IDS.renamed;
  const { rows } = await db.query<Renamed & { paidRows: number; waitingRows: number }>(
    `with ${PAIRS}
     select old_key as "from", new_key as "to", line, state,
            (count(*) filter (where paid) over ())::int as "paidRows",
            (count(*) filter (where not paid) over ())::int as "waitingRows"
       from pair where paid or (gone and state = 'pending')
      order by paid desc, position limit ${EXAMPLES}`,
    [read.importId, batchId, ...read.known.ranges],
  );
  return {
    paid: rows[0]?.paidRows ?? 0,
    waiting: rows[0]?.waitingRows ?? 0,
    examples: rows.map(({ from, to, line, state }) => ({ from, to, line, state })),
  };
}

/** Marks the new key of a row while another row may still have that key. No id contains it. */
const IN_TRANSIT = String.raw`chr(1)`;

/**
 * The rows of the ledger take the ids that the manifest has for their content. They keep their attempts and task ids. The
 * event log holds their old ids. A row whose id another row takes gets the suffix `(gone)`. Returns how many rows were
 * renamed.
 */
export async function renameRows(
  db: Queryable,
  read: ReadRows,
  batchId: number,
  who: string | undefined,
): Promise<number> {
  const { importId } = read;
  if ((await lockDisplaced(db, read, batchId)) === 0) return 0;
  const { rows } = await db.query<{ n: number }>(
    `with ${PAIRS}, told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, who, detail)
       select $2, id, 'submit --rename', $5, 'was ' || old_key || ', is ' || new_key from pair order by id
     ), moved as (
       update vidbatch.row r set row_key = ${IN_TRANSIT} || p.new_key from pair p where r.id = p.id returning r.id
     )
     select count(*)::int as n from moved`,
    [importId, batchId, ...read.known.ranges, who ?? null],
  );
  const renamed = rows[0]?.n ?? 0;
  if (renamed === 0) return 0;
  await db.query(
    `with taken as (
       select s.id, s.row_key as old_key, free.key as new_key
         from vidbatch.submission r
         join vidbatch.submission s on s.batch_id = r.batch_id and s.row_key = substr(r.row_key, 2)
        cross join lateral (
          select k.key
            from (select n, s.row_key || ' (gone' || case when n = 1 then '' else ' ' || n end || ')' as key
                    from generate_series(1, 1000) n) k
           where not exists (select from vidbatch.submission o where o.batch_id = $2 and o.row_key in (k.key, ${IN_TRANSIT} || k.key))
             and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = k.key)
           order by k.n limit 1
        ) free
        where r.batch_id = $2 and starts_with(r.row_key, ${IN_TRANSIT})
     ), told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, who, detail)
       select $2, id, 'submit --rename', $3, 'was ' || old_key || ', which is the id of another row now; is ' || new_key
         from taken order by id
     )
     update vidbatch.row r set row_key = k.new_key from taken k where r.id = k.id`,
    [importId, batchId, who ?? null],
  );
  await db.query(
    `update vidbatch.row set row_key = substr(row_key, 2)
      where batch_id = $1 and starts_with(row_key, ${IN_TRANSIT})`,
    [batchId],
  );
  return renamed;
}

/**
 * Rows that may have been paid and are gone, each with a new row of other content: one whose id looks alike, or one on the
 * same line whose id a spreadsheet seems to have made.
 */
interface AlikeRows {
  count: number;
  examples: (Renamed & { ours: string | null; theirs: string | null })[];
}

const PAGE = 2000;

export interface IdComparison {
  renamed: RenamedRows;
  alike: AlikeRows;
}

export const SAME_IDS: IdComparison = {
  renamed: { paid: 0, waiting: 0, examples: [] },
  alike: { count: 0, examples: [] },
};

export async function compareIds(
  db: Queryable,
  read: ReadRows,
  batchId: number,
  { rows, known, fresh, vanishedPaid }: Pick<Comparison, 'rows' | 'known' | 'fresh' | 'vanishedPaid'>,
  isMangled: (id: string) => boolean,
): Promise<IdComparison> {
  if (rows === known) return SAME_IDS;
  const renamed = await findRenamed(db, read, batchId);
  const alike =
    fresh > 0 && vanishedPaid > 0 ? await findAlike(db, read, batchId, isMangled) : SAME_IDS.alike;
  return { renamed, alike };
}

/** Reads the ids of all new and all vanished paid rows: call it only where there are both. */
async function findAlike(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number,
  isMangled: (id: string) => boolean,
): Promise<AlikeRows> {
  const gone = openIdIndex();
  try {
    for await (const { id, key, line } of pages(
      db,
      `select s.id, s.row_key as key, s.line from vidbatch.submission s
        where s.batch_id = $2 and ${mayBePaid('s')} and s.id > $5 and ${vanished('s')}
        order by s.id limit ${PAGE}`,
      [importId, batchId, ...known.ranges],
    )) {
      gone.add(likenessOf(key), { line: id, text: key });
      gone.add(onLine(line), { line: id, text: key });
    }
    const found: AlikeRows = { count: 0, examples: [] };
    for await (const { id: position, key, line } of pages(
      db,
      `select t.position as id, t.row_key as key, t.line from vidbatch.staged t
        where t.import_id = $1 and t.request is not null and t.position > $3
          and not exists (select from vidbatch.submission s where s.batch_id = $2 and s.row_key = t.row_key)
        order by t.position limit ${PAGE}`,
      [importId, batchId],
    )) {
      const like = gone.find(likenessOf(key)) ?? (isMangled(key) ? gone.find(onLine(line)) : undefined);
      if (like === undefined) continue;
      found.count += 1;
      if (found.examples.length < EXAMPLES)
        found.examples.push(await readAlike(db, importId, position, like.line));
    }
    return found;
  } finally {
    gone.close();
  }
}

/** What the index has for a line. No id contains it. */
function onLine(line: number): string {
  return `\u0001${line}`;
}

type Keyed = { id: number; key: string; line: number };

/** The last parameter of `sql` is the id after which a page begins. */
function pages(db: Queryable, sql: string, params: readonly unknown[]): AsyncGenerator<Keyed> {
  return pageByPage(PAGE, async (after: Keyed | undefined) => {
    return (await db.query<Keyed>(sql, [...params, after?.id ?? -1])).rows;
  });
}

function readAlike(
  db: Queryable,
  importId: string,
  position: number,
  id: number,
): Promise<AlikeRows['examples'][number]> {
  return readOne<AlikeRows['examples'][number]>(
    db,
    `select s.row_key as "from", t.row_key as "to", t.line, s.state, left(s.request, 2000) as ours, left(t.request, 2000) as theirs
       from vidbatch.submission s, vidbatch.staged t
      where s.id = $3 and t.import_id = $1 and t.position = $2`,
    [importId, position, id],
  );
}
