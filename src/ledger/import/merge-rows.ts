import type { Queryable } from '../../database/database.ts';
import { PAID, vanished, versionOf } from './comparison.ts';
import type { Comparison } from './comparison.ts';
import { isChanged } from './known.ts';
import type { ReadRows } from './known.ts';
import { writeScratch } from './stage.ts';

/** One row of a manifest, checked, on its way into the ledger. Without `request` it is invalid. */
export interface StagedRow {
  position: number;
  line: number;
  /** The id, or what the key is made of when rows are told apart by content. */
  keyBasis: string;
  /** Rows with the same basis are told apart by their occurrence. */
  numbered: boolean;
  input: string;
  request: string | null;
  contentHash: string | null;
  model: string | null;
  mode: string | null;
  notBefore: string | null;
  priority: number;
  errorCode: string | null;
  error: string | null;
}

/** @throws VidbatchError `IMPORT_LOST` */
export async function stageRows(db: Queryable, importId: string, rows: readonly StagedRow[]): Promise<void> {
  await writeScratch(
    db,
    `with seen as (update vidbatch.import set seen_at = now() where id = $1)
     insert into vidbatch.staged
       (import_id, position, line, key_basis, numbered, row_key, input, request, content_hash, model, mode, not_before, priority,
        error_code, error)
     select $1, position, line, key_basis, numbered, case when not numbered then key_basis end, input, request, content_hash,
            model, mode, not_before, priority, error_code, error
       from unnest($2::bigint[], $3::int[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
                              $9::text[], $10::text[], $11::timestamptz[], $12::smallint[], $13::text[], $14::text[])
         as r(position, line, key_basis, numbered, input, request, content_hash, model, mode, not_before, priority, error_code, error)`,
    [
      importId,
      rows.map((row) => row.position),
      rows.map((row) => row.line),
      rows.map((row) => row.keyBasis),
      rows.map((row) => row.numbered),
      rows.map((row) => row.input),
      rows.map((row) => row.request),
      rows.map((row) => row.contentHash),
      rows.map((row) => row.model),
      rows.map((row) => row.mode),
      rows.map((row) => row.notBefore),
      rows.map((row) => row.priority),
      rows.map((row) => row.errorCode),
      rows.map((row) => row.error),
    ],
  );
}

/**
 * Without ids, identical rows are told apart by their occurrence: two identical rows are two videos. Those of an export
 * know their keys; the others take the numbers that are left, the lowest first.
 */
export async function assignKeys(db: Queryable, importId: string, rows: number): Promise<void> {
  if (rows > FEW) await analyseStaged(db);
  const { rows: numbered } = await db.query(
    'select from vidbatch.staged where import_id = $1 and numbered limit 1',
    [importId],
  );
  if (numbered.length === 0) return;
  await db.query(
    `with row as (
       select position, key_basis, row_number() over (partition by key_basis order by position) as rank
         from vidbatch.staged where import_id = $1 and numbered
     ), given as (
       select substring(key_basis from '^(.*)#') as key_basis, substring(key_basis from '#(.*)$')::numeric as occurrence
         from vidbatch.staged where import_id = $1 and not numbered and key_basis ~ '^(h1|invalid):[0-9a-f]+#[0-9]+$'
     ), mixed as (
       select key_basis, count(*) + (select count(*) from given g where g.key_basis = row.key_basis) as most
         from row where key_basis in (select key_basis from given) group by key_basis
     ), left_over as (
       select m.key_basis, n as occurrence, row_number() over (partition by m.key_basis order by n) as rank
         from mixed m cross join lateral generate_series(1, m.most) n
        where not exists (select from given g where g.key_basis = m.key_basis and g.occurrence = n)
     )
     update vidbatch.staged s
        set row_key = s.key_basis || '#' || k.occurrence
       from (select t.position, coalesce(l.occurrence, r.rank) as occurrence
               from vidbatch.staged t
               left join row r on r.position = t.position
               left join left_over l on l.key_basis = r.key_basis and l.rank = r.rank
              where t.import_id = $1 and t.numbered) k
      where s.import_id = $1 and s.position = k.position`,
    [importId],
  );
  await analyseStaged(db);
}

/** With so few rows, a plan that compares each row with each other row is fast enough. */
const FEW = 100;

/**
 * The rows of every import are new to the planner, and a planner that believes in a handful compares each with each:
 * 10 s for 10,000 rows instead of 25 ms.
 */
async function analyseStaged(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.staged (import_id, position, row_key, content_hash)');
}

/** What row `s` was before it took another version: for the trail, in full. */
export const WAS = `'was ' || s.state
              || coalesce(' (' || nullif(concat_ws(' · ', 'HTTP ' || s.http_status, s.error_code, s.error), '') || ')', '')
              || ${versionOf('s')}`;

export interface Merged {
  added: number;
  updated: number;
  pruned: number;
}

/**
 * The staged rows become the batch's: new ones are added, changed unpaid ones take the manifest's version. The
 * `comparison` comes from the same transaction. A step for which it counts no rows is left out.
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

async function updateChanged(
  db: Queryable,
  importId: string,
  batchId: number,
  exported: boolean,
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with old as materialized (
       select s.id, ${WAS} as was
         from vidbatch.staged t join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and (s.attempts > 0 or s.state <> 'pending' or $3) and t.request is not null
          and ${isChanged('s')}
     ), changed as materialized (
       select s.id, t.*, case when t.request is null then 'invalid' else 'pending' end as next
         from vidbatch.staged t join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and s.state not in ${PAID} and not s.doubtful
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
         -- A worker may have claimed it meanwhile: only rows of which something else was known are locked.
         from changed t where s.id = t.id and s.state not in ${PAID} and not s.doubtful
       returning s.id
     ), edited as (
       update vidbatch.row r
          set line = t.line, input = t.input, request = t.request, content_hash = t.content_hash, mode = t.mode
         from changed t join moved using (id) where r.id = t.id
     ), told as (
       insert into vidbatch.trail (batch_id, submission_id, event, detail)
       select $2, id, case when $3 then 'submit of an export' else 'submit' end, was from moved join old using (id) order by id
     )
     select count(*)::int as n from moved`,
    [importId, batchId, exported],
  );
  return rows[0]?.n ?? 0;
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
            -- Its own time is no part of what is sent. Unedited rows keep the backoff that they may have here.
            not_before = case when s.state = 'pending' then coalesce(m.not_before, '-infinity') else s.not_before end
       from moved m where s.id = m.id and m.rewritten`,
    [importId, batchId],
  );
}

async function addFresh(db: Queryable, importId: string, batchId: number): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
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
  return rows[0]?.n ?? 0;
}

/** A person corrected or deleted an invalid row that is no longer in the file. It was never sent. */
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

/** After a large merge, before autovacuum or upkeep come round. */
export async function analyseSubmissions(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.row_state');
  // Without the texts, which are long and never compared.
  await db.query('analyze vidbatch.row (id, batch_id, row_key, line, content_hash)');
}
