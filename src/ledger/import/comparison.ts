import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { isChanged, KNOWN, MARK, knownFrom, SENT } from './known.ts';
import type { ReadRows } from './known.ts';
import { VidbatchError } from '../../core/errors.ts';
import { importLost } from './stage.ts';

/** One row of the manifest held against what the ledger has under the same key. */
export interface Difference {
  key: string;
  line: number;
  state: State | null;
  ours: string | null;
  theirs: string | null;
  batch?: string;
}

/** How a manifest compares with what its batch has already. Examples are at most five each. */
export interface Comparison {
  rows: number;
  fresh: number;
  known: number;
  /** Known rows with another line number or another spelling in the manifest now. */
  moved: number;
  /** Known rows that are waiting, or were stopped, with other content now: they take the manifest's version. */
  changed: number;
  /** The same, but they may have been paid: they cannot change. */
  changedPaid: { count: number; examples: Difference[] };
  /** Known rows, sent or not, of which the manifest has a version that a newer one from elsewhere has replaced. */
  outdated: { count: number; examples: Difference[] };
  vanishedPending: { count: number; examples: Difference[] };
  vanishedPaid: number;
  vanishedInvalid: number;
  /** New rows whose content another batch has sent already. */
  elsewhere: { count: number; examples: Difference[] };
}

/** States of rows that may have been paid, as SQL; beside them, rows that are `doubtful`. */
export const PAID = `('submitting', 'submitted', 'uncertain', 'abandoned')`;

/** How the version of a row ends its line in the trail. */
export function versionOf(row: 's' | 't'): string {
  return `case when ${row}.request is null then ', and had been read as ' || ${row}.input else ', with the request ' || ${row}.request end`;
}

/** Lines of the trail that keep a version which was replaced by one that the batch's own manifest need not have. */
export const REPLACES = `('retry --changed', 'submit of an export')`;

type Totals = Pick<Comparison, 'rows' | 'fresh' | 'known' | 'moved'>;

interface Changed {
  row_key: string;
  line: number;
  state: State;
  ours: string | null;
  theirs: string | null;
  paid: boolean;
  outdated: boolean;
}

function firstOf(rows: readonly Changed[]): { count: number; examples: Difference[] } {
  const examples = rows
    .slice(0, 5)
    .map(({ row_key: key, line, state, ours, theirs }) => ({ key, line, state, ours, theirs }));
  return { count: rows.length, examples };
}

/**
 * Compares, and locks the rows that will change, so that no worker claims one of them before the merge.
 * @throws VidbatchError `IMPORT_LOST` when rows that were known are gone: the ledger was restored meanwhile;
 * `BATCH_CHANGED` when another command has changed one since it was read.
 */
export async function compare(db: Queryable, read: ReadRows, batchId: number): Promise<Comparison> {
  const { importId } = read;
  const total = await countStaged(db, read, batchId);
  const changed = total.fresh + total.known < total.rows ? await lockChanged(db, importId, batchId) : [];
  const gone = await countVanished(db, read, batchId);
  const elsewhere = total.known < total.rows ? await findElsewhere(db, importId, batchId) : NONE;
  const outdated = changed.filter((row) => row.outdated);
  const paid = changed.filter((row) => row.paid && !row.outdated);
  return {
    ...total,
    changed: changed.length - paid.length - outdated.length,
    changedPaid: firstOf(paid),
    outdated: firstOf(outdated),
    vanishedPending: {
      count: gone.pending,
      examples: gone.pending === 0 ? [] : await findVanished(db, read, batchId),
    },
    vanishedPaid: gone.paid,
    vanishedInvalid: gone.invalid,
    elsewhere,
  };
}

async function countStaged(
  db: Queryable,
  { importId, staged, known, fresh }: ReadRows,
  batchId: number,
): Promise<Totals> {
  const same = { rows: known.count + fresh, fresh, known: known.count, moved: 0 };
  if (staged === 0) return same;
  const { rows: totals } = await db.query<Totals>(
    `select count(*)::int as rows,
            count(*) filter (where s.id is null)::int as fresh,
            count(*) filter (where s.id is not null and not ${isChanged('s')})::int as known,
            count(*) filter (where s.content_hash = t.content_hash and (s.line <> t.line or s.input <> t.input))::int as moved
       from vidbatch.staged t
       left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
      where t.import_id = $1`,
    [importId, batchId],
  );
  const total = totals[0] ?? { rows: 0, fresh: 0, known: 0, moved: 0 };
  return {
    rows: total.rows + same.rows,
    fresh: total.fresh + same.fresh,
    known: total.known + same.known,
    moved: total.moved,
  };
}

async function lockChanged(db: Queryable, importId: string, batchId: number): Promise<Changed[]> {
  const { rows } = await db.query<Changed>(
    `select r.row_key, t.line, s.state, left(coalesce(r.request, r.input), 2000) as ours,
            left(coalesce(t.request, t.input), 2000) as theirs, s.state in ${PAID} or s.doubtful as paid,
            r.content_hash is distinct from t.content_hash and exists (
                    select from vidbatch.trail e
                     where e.submission_id = s.id and e.event in ${REPLACES}
                       and right(e.detail, length(${versionOf('t')})) = ${versionOf('t')}) as outdated
       from vidbatch.staged t
       join vidbatch.row r on r.batch_id = $2 and r.row_key = t.row_key
       join vidbatch.row_state s on s.id = r.id
      where t.import_id = $1
        and ${isChanged('r')}
      order by t.position
        for update of s`,
    [importId, batchId],
  );
  return rows;
}

/** Whether the manifest no longer has a row, as SQL. Its parameters are the import ($1), and those of `KNOWN`. */
export function vanished(row: 's' | 'r'): string {
  return `not exists (select from ${KNOWN} k where k.id = ${row}.id)
        and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = ${row}.row_key)`;
}

/** Counts the rows of the batch that the manifest no longer has, by what the merge does with them. */
async function countVanished(
  db: Queryable,
  { importId, staged, known }: ReadRows,
  batchId: number,
): Promise<Record<'pending' | 'paid' | 'invalid', number>> {
  const { rows: counted } = await db.query<{ all: number; known: number; marks: string }>(
    `select count(*)::int as all, count(k.id)::int as known,
            coalesce(sum(${MARK('s')}) filter (where k.id is not null), 0)::text as marks
       from vidbatch.row_state s left join ${knownFrom(2)} k on k.id = s.id
      where s.batch_id = $1`,
    [batchId, ...known.ranges],
  );
  if (counted[0]?.known !== known.count) throw importLost();
  if (counted[0].marks !== known.marks) throw batchChanged();
  if (staged === 0 && counted[0].all === known.count) return { pending: 0, paid: 0, invalid: 0 };
  const { rows } = await db.query<Record<'pending' | 'paid' | 'invalid', number>>(
    `select count(*) filter (where s.state = 'pending' and not s.doubtful)::int as pending,
            count(*) filter (where s.state in ${PAID} or s.doubtful)::int as paid,
            count(*) filter (where s.state = 'invalid')::int as invalid
       from vidbatch.submission s
      where s.batch_id = $2 and ${vanished('s')}`,
    [importId, batchId, ...known.ranges],
  );
  return rows[0] ?? { pending: 0, paid: 0, invalid: 0 };
}

async function findVanished(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number,
): Promise<Difference[]> {
  const { rows } = await db.query<Omit<Difference, 'theirs'>>(
    `select s.row_key as key, s.line, s.state, left(s.request, 2000) as ours
       from vidbatch.submission s
      where s.batch_id = $2 and s.state = 'pending' and not s.doubtful
        and ${vanished('s')}
      order by s.line, s.id limit 5`,
    [importId, batchId, ...known.ranges],
  );
  return rows.map((row) => ({ ...row, theirs: null }));
}

function batchChanged(): VidbatchError {
  return new VidbatchError(
    'BATCH_CHANGED',
    'another command changed rows of this batch while its manifest was read; nothing was changed by this one',
    {
      hint: 'Run the same command again: it compares the manifest with the rows as they are now.',
    },
  );
}

const NONE: { count: number; examples: Difference[] } = { count: 0, examples: [] };

async function findElsewhere(
  db: Queryable,
  importId: string,
  batchId: number,
): Promise<{ count: number; examples: Difference[] }> {
  const { rows } = await db.query<{
    row_key: string;
    line: number;
    state: State;
    batch: string;
    theirs: string;
    n: number;
  }>(
    `select t.row_key, t.line, o.state, o.name as batch, left(t.request, 2000) as theirs, (count(*) over ())::int as n
       from vidbatch.staged t
       left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
       join lateral (
         select x.state, b.name from vidbatch.submission x join vidbatch.batch b on b.id = x.batch_id
          where x.content_hash = t.content_hash and x.batch_id <> $2
            and ${SENT}
          limit 1
       ) o on true
      where t.import_id = $1 and t.request is not null
        and (s.id is null or (s.state not in ${PAID} and ${isChanged('s')}))
      order by t.position limit 5`,
    [importId, batchId],
  );
  return {
    count: rows[0]?.n ?? 0,
    examples: rows.map(({ row_key: key, line, state, batch, theirs }) => ({
      key,
      line,
      state,
      ours: null,
      theirs,
      batch,
    })),
  };
}
