import type { Queryable } from '../../database/database.ts';
import { vanished, versionOf, type Comparison } from './comparison.ts';
import { mayBePaid } from '../money/budget.ts';
import { readCount } from '../read/query.ts';
import { isChanged, type ReadRows } from './known.ts';

/** For the event log: what row `s` was before it took another version, in full. */
export const WAS = `'was ' || s.state
              || coalesce(' (' || nullif(concat_ws(' · ', 'HTTP ' || s.http_status, s.error_code, s.error), '') || ')', '')
              || ${versionOf('s')}`;

export interface Merged {
  added: number;
  updated: number;
  pruned: number;
}

/**
 * Merges the staged rows into the batch: new rows are added, changed unpaid rows take the manifest's version. Call it in the
 * transaction of the `comparison`. It skips the steps for which the comparison counts no rows.
 */
export async function mergeRows(
  db: Queryable,
  read: ReadRows,
  batchId: number,
  comparison: Pick<Comparison, 'fresh' | 'changed' | 'moved' | 'vanishedInvalid'>,
  { prune, exported }: { prune: boolean; exported: boolean },
): Promise<Merged> {
  const { importId } = read;
  const updated = comparison.changed > 0 ? await updateChanged(db, importId, batchId, exported) : 0;
  if (comparison.moved > 0) await updateMoved(db, importId, batchId);
  const added = comparison.fresh > 0 ? await addFresh(db, importId, batchId) : 0;
  if (comparison.vanishedInvalid > 0) await cancelInvalid(db, read, batchId);
  const pruned = prune ? await cancelVanished(db, read, batchId) : 0;
  return { added, updated, pruned };
}

function updateChanged(db: Queryable, importId: string, batchId: number, exported: boolean): Promise<number> {
  return readCount(
    db,
    `with old as materialized (
       select s.id, ${WAS} as was
         from vidbatch.staged t join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and (s.attempts > 0 or s.state <> 'pending' or $3) and t.request is not null
          and ${isChanged('s')}
     ), changed as materialized (
       select s.id, t.*, case when t.request is null then 'invalid' else 'pending' end as next
         from vidbatch.staged t join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and not ${mayBePaid('s')}
          and ${isChanged('s')}
          and (t.request is not null or s.state in ('pending', 'invalid'))
     ), moved as (
       update vidbatch.row_state s
          set previous = case when t.next = s.state then s.previous else s.state end,
              state = t.next, content_hash = t.content_hash, model = t.model,
              price = case when s.content_hash = t.content_hash then s.price end,
              currency = case when s.content_hash = t.content_hash then s.currency end, not_before = coalesce(t.not_before, '-infinity'), priority = t.priority,
              spent = 0, halted_at = null, error_code = t.error_code, error = t.error, http_status = null,
              updated_at = now()
         -- A worker may have claimed it meanwhile: a row that was unchanged in the comparison is not locked.
         from changed t where s.id = t.id and not ${mayBePaid('s')}
       returning s.id
     ), edited as (
       update vidbatch.row r
          set line = t.line, input = t.input, request = t.request, content_hash = t.content_hash, mode = t.mode
         from changed t join moved using (id) where r.id = t.id
     ), told as (
       insert into vidbatch.event_log (batch_id, submission_id, event, detail)
       select $2, id, case when $3 then 'submit of an export' else 'submit' end, was from moved join old using (id) order by id
     )
     select count(*)::int as n from moved`,
    [importId, batchId, exported],
  );
}

async function updateMoved(db: Queryable, importId: string, batchId: number): Promise<void> {
  await db.query(
    `with moved as materialized (
       select r.id, r.input <> t.input as rewritten, t.line, t.input, t.priority, t.not_before
         from vidbatch.staged t join vidbatch.row r on r.batch_id = $2 and r.row_key = t.row_key
        where t.import_id = $1 and r.content_hash = t.content_hash and (r.line <> t.line or r.input <> t.input)
     ), replaced as (
       update vidbatch.row r set line = m.line, input = m.input from moved m where r.id = m.id
     )
     update vidbatch.row_state s
        set priority = m.priority,
            -- The row's own time is not part of what is sent. Unedited rows keep their backoff, which this column also
            -- holds.
            not_before = case when s.state = 'pending' then coalesce(m.not_before, '-infinity') else s.not_before end
       from moved m where s.id = m.id and m.rewritten`,
    [importId, batchId],
  );
}

function addFresh(db: Queryable, importId: string, batchId: number): Promise<number> {
  return readCount(
    db,
    `with fresh as (
       insert into vidbatch.row (batch_id, row_key, line, input, request, content_hash, mode)
       select $2, t.row_key, t.line, t.input, t.request, t.content_hash, t.mode
         from vidbatch.staged t
        where t.import_id = $1
          and not exists (select from vidbatch.row r where r.batch_id = $2 and r.row_key = t.row_key)
        order by t.position
       returning id, row_key
     ), waiting as (
       insert into vidbatch.row_state
         (id, batch_id, state, content_hash, model, not_before, priority, error_code, error)
       select f.id, $2, case when t.request is null then 'invalid' else 'pending' end, t.content_hash, t.model,
              coalesce(t.not_before, '-infinity'), t.priority, t.error_code, t.error
         from fresh f join vidbatch.staged t on t.import_id = $1 and t.row_key = f.row_key
        order by f.id
     )
     select count(*)::int as n from fresh`,
    [importId, batchId],
  );
}

/** Invalid rows that a person has corrected or deleted in the file. They were never sent. */
async function cancelInvalid(db: Queryable, { importId, known }: ReadRows, batchId: number): Promise<void> {
  await db.query(
    `update vidbatch.row_state s set previous = state, state = 'cancelled', updated_at = now()
       from vidbatch.row r
      where r.id = s.id and s.batch_id = $2 and s.state = 'invalid' and ${vanished('r')}`,
    [importId, batchId, ...known.ranges],
  );
}

async function cancelVanished(
  db: Queryable,
  { importId, known }: ReadRows,
  batchId: number,
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with moved as (
       update vidbatch.row_state s set previous = state, state = 'cancelled', updated_at = now()
         from vidbatch.row r
        where r.id = s.id and s.batch_id = $2 and s.state = 'pending' and not s.doubtful and ${vanished('r')}
       returning s.id
     )
     select count(*)::int as n from moved`,
    [importId, batchId, ...known.ranges],
  );
  return rows[0]?.n ?? 0;
}

/** Call it after a large merge: autovacuum and upkeep come later. */
export async function analyseSubmissions(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.row_state');
  // Without the texts: they are long and never compared.
  await db.query('analyze vidbatch.row (id, batch_id, row_key, line, content_hash)');
}
