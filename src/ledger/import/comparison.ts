import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

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
  /** Known rows that are waiting, or were stopped, with other content now: they take the manifest's version. */
  changed: number;
  /** The same, but they may have been paid: they cannot change. */
  changedPaid: { count: number; examples: Difference[] };
  /** Known rows, sent or not, of which the manifest has a version that a newer one from elsewhere has replaced. */
  outdated: { count: number; examples: Difference[] };
  vanishedPending: { count: number; examples: Difference[] };
  vanishedPaid: number;
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

/** Compares and locks the rows that will change, so that no worker claims one of them before the merge. */
export async function compare(db: Queryable, importId: string, batchId: number): Promise<Comparison> {
  const { rows: totals } = await db.query<Record<'rows' | 'fresh' | 'known', number>>(
    `select count(*)::int as rows,
            count(*) filter (where s.id is null)::int as fresh,
            count(*) filter (where s.content_hash is not distinct from t.content_hash and s.id is not null
                               and (s.content_hash is not null or s.input = t.input))::int as known
       from vidbatch.staged t
       left join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
      where t.import_id = $1`,
    [importId, batchId],
  );
  const { rows: changed } = await db.query<Changed>(
    `select s.row_key, t.line, s.state, left(coalesce(s.request, s.input), 2000) as ours,
            left(coalesce(t.request, t.input), 2000) as theirs, s.state in ${PAID} or s.doubtful as paid,
            exists (select from vidbatch.trail r
                     where r.submission_id = s.id and r.event in ${REPLACES}
                       and right(r.detail, length(${versionOf('t')})) = ${versionOf('t')}) as outdated
       from vidbatch.staged t
       join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
      where t.import_id = $1
        and (s.content_hash is distinct from t.content_hash or (s.content_hash is null and s.input <> t.input))
      order by t.position
        for update of s`,
    [importId, batchId],
  );
  const { rows: vanished } = await db.query<{
    row_key: string;
    line: number;
    state: State;
    ours: string;
    n: number;
  }>(
    `select s.row_key, s.line, s.state, left(s.request, 2000) as ours, (count(*) over ())::int as n
       from vidbatch.submission s
      where s.batch_id = $2 and s.state = 'pending' and not s.doubtful
        and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = s.row_key)
      order by s.line, s.id limit 5`,
    [importId, batchId],
  );
  const { rows: vanishedPaid } = await db.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.submission s
      where s.batch_id = $2 and (s.state in ${PAID} or s.doubtful)
        and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = s.row_key)`,
    [importId, batchId],
  );
  const { rows: elsewhere } = await db.query<{
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
            and (x.state in ('submitting', 'submitted', 'uncertain') or x.doubtful or x.remade > 0)
          limit 1
       ) o on true
      where t.import_id = $1 and t.request is not null
        and (s.id is null or (s.state not in ${PAID} and s.content_hash is distinct from t.content_hash))
      order by t.position limit 5`,
    [importId, batchId],
  );
  const outdated = changed.filter((row) => row.outdated);
  const paid = changed.filter((row) => row.paid && !row.outdated);
  const total = totals[0] ?? { rows: 0, fresh: 0, known: 0 };
  return {
    ...total,
    changed: changed.length - paid.length - outdated.length,
    changedPaid: firstOf(paid),
    outdated: firstOf(outdated),
    vanishedPending: {
      count: vanished[0]?.n ?? 0,
      examples: vanished.map(({ row_key: key, line, state, ours }) => ({
        key,
        line,
        state,
        ours,
        theirs: null,
      })),
    },
    vanishedPaid: vanishedPaid[0]?.n ?? 0,
    elsewhere: {
      count: elsewhere[0]?.n ?? 0,
      examples: elsewhere.map(({ row_key: key, line, state, batch, theirs }) => ({
        key,
        line,
        state,
        ours: null,
        theirs,
        batch,
      })),
    },
  };
}
