import type { State } from '../../core/states.ts';
import { VidbatchError } from '../../core/errors.ts';
import type { Queryable } from '../../database/database.ts';
import { mayBePaid } from '../money/budget.ts';
import { readOne } from '../read/query.ts';
import { isChanged, KNOWN, knownFrom, MARK, SENT, WAITS, type ReadRows } from './known.ts';
import { importLost } from './stage.ts';

/** A row of the manifest beside the row of the ledger with the same key: `theirs` beside `ours`. */
export interface Difference {
  key: string;
  line: number;
  state: State | null;
  ours: string | null;
  theirs: string | null;
  batch?: string;
}

/** Rows, and at most five of them as examples. */
interface Differences {
  count: number;
  examples: Difference[];
}

const NONE: Differences = { count: 0, examples: [] };

/** How a manifest compares with the rows that its batch has already. */
export interface Comparison {
  rows: number;
  fresh: number;
  known: number;
  /** Known rows that now have another line number or another spelling in the manifest. */
  moved: number;
  /** Known rows with other content now, which take the manifest's version: they wait, or ended unpaid. */
  changed: number;
  /** Known rows with other content now, which cannot change: they may have been paid. */
  changedPaid: Differences;
  /** Known rows whose version in the manifest is old: another file has brought a newer one. */
  outdated: Differences;
  vanishedPending: Differences;
  vanishedPaid: number;
  vanishedInvalid: number;
  /** New rows whose content another batch has sent already. */
  elsewhere: Differences;
  /** New rows whose content waits to be sent in another batch, and one such batch: both batches send it and pay for it. */
  waitsElsewhere?: { rows: number; batch: string };
}

/** How the event log ends an entry that keeps a replaced version of a row. */
export function versionOf(row: 's' | 't'): string {
  return `case when ${row}.request is null then ', and had been read as ' || ${row}.input else ', with the request ' || ${row}.request end`;
}

/** Events that replace a version by one that the batch's own manifest may not have. */
const REPLACED_FROM_ELSEWHERE = `('retry --changed', 'submit of an export')`;

type Totals = Pick<Comparison, 'rows' | 'fresh' | 'known' | 'moved'>;

type Changed = Difference & { paid: boolean; outdated: boolean };

function withExamples(rows: readonly Changed[]): Differences {
  const examples = rows
    .slice(0, 5)
    .map(({ key, line, state, ours, theirs }) => ({ key, line, state, ours, theirs }));
  return { count: rows.length, examples };
}

/**
 * Compares, and locks the rows that will change, so that no worker claims one of them before the merge.
 * @throws VidbatchError `IMPORT_LOST` when known rows are gone, because the ledger was restored meanwhile;
 * `BATCH_CHANGED` when another command has changed one since it was read.
 */
export async function compare(db: Queryable, read: ReadRows, batchId: number): Promise<Comparison> {
  const total = await countStaged(db, read, batchId);
  const changed = total.fresh + total.known < total.rows ? await lockChanged(db, read.importId, batchId) : [];
  const vanishedRows = await countVanished(db, read, batchId);
  const outdated = changed.filter((row) => row.outdated);
  const paid = changed.filter((row) => row.paid && !row.outdated);
  const hasNews = total.known < total.rows;
  const waits = hasNews ? await findElsewhere(db, read.importId, batchId, WAITS) : NONE;
  const [waiting] = waits.examples;
  return {
    ...total,
    changed: changed.length - paid.length - outdated.length,
    changedPaid: withExamples(paid),
    outdated: withExamples(outdated),
    vanishedPending: {
      count: vanishedRows.pending,
      examples: vanishedRows.pending === 0 ? [] : await findVanished(db, read, batchId),
    },
    vanishedPaid: vanishedRows.paid,
    vanishedInvalid: vanishedRows.invalid,
    elsewhere: hasNews ? await findElsewhere(db, read.importId, batchId, SENT) : NONE,
    ...(waiting?.batch === undefined ? {} : { waitsElsewhere: { rows: waits.count, batch: waiting.batch } }),
  };
}

async function countStaged(
  db: Queryable,
  { importId, staged, known, fresh }: ReadRows,
  batchId: number,
): Promise<Totals> {
  if (staged === 0) return { rows: known.count + fresh, fresh, known: known.count, moved: 0 };
  const counted = await readOne<Totals>(
    db,
    `select count(*)::int as rows,
            count(*) filter (where s.id is null)::int as fresh,
            count(*) filter (where s.id is not null and not ${isChanged('s')})::int as known,
            count(*) filter (where s.content_hash = t.content_hash and (s.line <> t.line or s.input <> t.input))::int as moved
       from vidbatch.staged t
       left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
      where t.import_id = $1`,
    [importId, batchId],
  );
  return {
    rows: counted.rows + known.count + fresh,
    fresh: counted.fresh + fresh,
    known: counted.known + known.count,
    moved: counted.moved,
  };
}

async function lockChanged(db: Queryable, importId: string, batchId: number): Promise<Changed[]> {
  const { rows } = await db.query<Changed>(
    `select r.row_key as key, t.line, s.state, left(coalesce(r.request, r.input), 2000) as ours,
            left(coalesce(t.request, t.input), 2000) as theirs, ${mayBePaid('s')} as paid,
            r.content_hash is distinct from t.content_hash and exists (
              select from vidbatch.event_log e
               where e.submission_id = s.id and e.event in ${REPLACED_FROM_ELSEWHERE}
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

type Vanished = Record<'pending' | 'paid' | 'invalid', number>;

/** Counts the rows of the batch that the manifest no longer has, by what the merge does with them. */
async function countVanished(
  db: Queryable,
  { importId, staged, known }: ReadRows,
  batchId: number,
): Promise<Vanished> {
  const counted = await readOne<{ all: number; known: number; marks: string }>(
    db,
    `select count(*)::int as all, count(k.id)::int as known,
            coalesce(sum(${MARK('s')}) filter (where k.id is not null), 0)::text as marks
       from vidbatch.row_state s left join ${knownFrom(2)} k on k.id = s.id
      where s.batch_id = $1`,
    [batchId, ...known.ranges],
  );
  if (counted.known !== known.count) throw importLost();
  if (counted.marks !== known.marks) throw batchChanged();
  if (staged === 0 && counted.all === known.count) return { pending: 0, paid: 0, invalid: 0 };
  return readOne<Vanished>(
    db,
    `select count(*) filter (where s.state = 'pending' and not s.doubtful)::int as pending,
            count(*) filter (where ${mayBePaid('s')})::int as paid,
            count(*) filter (where s.state = 'invalid')::int as invalid
       from vidbatch.submission s
      where s.batch_id = $2 and ${vanished('s')}`,
    [importId, batchId, ...known.ranges],
  );
}

async function findVanished(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number,
): Promise<Difference[]> {
  const { rows } = await db.query<Difference>(
    `select s.row_key as key, s.line, s.state, left(s.request, 2000) as ours, null as theirs
       from vidbatch.submission s
      where s.batch_id = $2 and s.state = 'pending' and not s.doubtful
        and ${vanished('s')}
      order by s.line, s.id limit 5`,
    [importId, batchId, ...known.ranges],
  );
  return rows;
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

/** The rows `t` of the manifest that are new or changed, and whose content another batch has, in a row `x` that was sent or waits. */
async function findElsewhere(
  db: Queryable,
  importId: string,
  batchId: number,
  which: typeof SENT | typeof WAITS,
): Promise<Differences> {
  const { rows } = await db.query<Difference & { count: number }>(
    `select t.row_key as key, t.line, o.state, null as ours, left(t.request, 2000) as theirs, o.name as batch,
            (count(*) over ())::int as count
       from vidbatch.staged t
       left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
       join lateral (
         select x.state, b.name from vidbatch.submission x join vidbatch.batch b on b.id = x.batch_id
          where x.content_hash = t.content_hash and x.batch_id <> $2
            and ${which}
          limit 1
       ) o on true
      where t.import_id = $1 and t.request is not null
        and (s.id is null or (not ${mayBePaid('s')} and ${isChanged('s')}))
      order by t.position limit 5`,
    [importId, batchId],
  );
  return {
    count: rows[0]?.count ?? 0,
    examples: rows.map(({ key, line, state, ours, theirs, batch = '' }) => ({
      key,
      line,
      state,
      ours,
      theirs,
      batch,
    })),
  };
}
