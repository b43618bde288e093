import { randomUUID } from 'node:crypto';
import { VidbatchError } from '../../core/errors.ts';
import { PAID, versionOf } from './comparison.ts';
import type { Queryable } from '../../database/database.ts';

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

/** Opens an import, and sweeps away those of producers that died in the middle. */
export async function beginImport(db: Queryable): Promise<string> {
  const id = randomUUID();
  await db.query(`delete from vidbatch.import where seen_at < now() - interval '15 minutes'`);
  await db.query('insert into vidbatch.import (id) values ($1)', [id]);
  return id;
}

export async function stage(db: Queryable, importId: string, rows: readonly StagedRow[]): Promise<void> {
  await db.query(
    `with seen as (update vidbatch.import set seen_at = now() where id = $1)
     insert into vidbatch.staged
       (import_id, position, line, key_basis, numbered, input, request, content_hash, model, mode, not_before, priority, error_code, error)
     select $1, * from unnest($2::bigint[], $3::int[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
                              $9::text[], $10::text[], $11::timestamptz[], $12::smallint[], $13::text[], $14::text[])`,
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
export async function assignKeys(db: Queryable, importId: string): Promise<void> {
  await analyseStaged(db);
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
        set row_key = case when s.numbered then s.key_basis || '#' || k.occurrence else s.key_basis end
       from (select t.position, coalesce(l.occurrence, r.rank) as occurrence
               from vidbatch.staged t
               left join row r on r.position = t.position
               left join left_over l on l.key_basis = r.key_basis and l.rank = r.rank
              where t.import_id = $1) k
      where s.import_id = $1 and s.position = k.position`,
    [importId],
  );
  await analyseStaged(db);
}

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

/** The staged rows become the batch's: new ones are added, changed unpaid ones take the manifest's version. */
export async function merge(
  db: Queryable,
  importId: string,
  batchId: number,
  { prune, exported }: { prune: boolean; exported: boolean },
): Promise<Merged> {
  const updated = await db.query<{ n: number }>(
    `with old as materialized (
       select s.id, ${WAS} as was
         from vidbatch.staged t join vidbatch.submission s on s.batch_id = $2 and s.row_key = t.row_key
        where t.import_id = $1 and (s.attempts > 0 or s.state <> 'pending' or $3) and t.request is not null
          and s.content_hash is distinct from t.content_hash
     ), moved as (
       update vidbatch.submission s
          set previous = case when t.next = s.state then s.previous else s.state end,
              state = t.next,
              input = t.input, request = t.request, content_hash = t.content_hash, model = t.model, mode = t.mode,
              price = null, currency = null, not_before = coalesce(t.not_before, '-infinity'), priority = t.priority,
              line = t.line, spent = 0, halted_at = null,
              error_code = t.error_code, error = t.error, http_status = null,
              lane = case when t.next = 'pending' then s.lane end, updated_at = now()
         from (
           select t.*, case when t.request is null then 'invalid' else 'pending' end as next
             from vidbatch.staged t where t.import_id = $1
         ) t
        where s.batch_id = $2 and s.row_key = t.row_key and s.state not in ${PAID} and not s.doubtful
          and (s.content_hash is distinct from t.content_hash or (s.content_hash is null and s.input <> t.input))
          and (t.request is not null or s.state in ('pending', 'invalid'))
       returning s.id
     ), told as (
       insert into vidbatch.trail (batch_id, submission_id, event, detail)
       select $2, id, case when $3 then 'submit of an export' else 'submit' end, was from moved join old using (id) order by id
     )
     select count(*)::int as n from moved`,
    [importId, batchId, exported],
  );
  await db.query(
    `update vidbatch.submission s
        set line = t.line, input = t.input, priority = t.priority,
            -- Its own time is no part of what is sent. Unedited rows keep the backoff that they may have here.
            not_before = case when s.state = 'pending' and s.input <> t.input
              then coalesce(t.not_before, '-infinity') else s.not_before end
       from vidbatch.staged t
      where t.import_id = $1 and s.batch_id = $2 and s.row_key = t.row_key
        and s.content_hash = t.content_hash and (s.line <> t.line or s.input <> t.input)`,
    [importId, batchId],
  );
  const added = await db.query<{ n: number }>(
    `with fresh as (
       insert into vidbatch.submission
         (batch_id, row_key, line, state, input, request, content_hash, model, mode, not_before, priority, error_code, error)
       select $2, t.row_key, t.line, case when t.request is null then 'invalid' else 'pending' end, t.input, t.request,
              t.content_hash, t.model, t.mode, coalesce(t.not_before, '-infinity'), t.priority,
              t.error_code, t.error
         from vidbatch.staged t
        where t.import_id = $1
          and not exists (select from vidbatch.submission s where s.batch_id = $2 and s.row_key = t.row_key)
        order by t.position
       returning id
     )
     select count(*)::int as n from fresh`,
    [importId, batchId],
  );
  // An invalid row that is gone was corrected, or thrown away; it was never sent.
  await db.query(
    `update vidbatch.submission s set previous = state, state = 'cancelled', updated_at = now()
      where s.batch_id = $2 and s.state = 'invalid'
        and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = s.row_key)`,
    [importId, batchId],
  );
  let pruned = 0;
  if (prune) {
    const { rows } = await db.query<{ n: number }>(
      `with moved as (
         update vidbatch.submission s set previous = state, state = 'cancelled', lane = null, updated_at = now()
          where s.batch_id = $2 and s.state = 'pending' and not s.doubtful
            and not exists (select from vidbatch.staged t where t.import_id = $1 and t.row_key = s.row_key)
         returning id
       )
       select count(*)::int as n from moved`,
      [importId, batchId],
    );
    pruned = rows[0]?.n ?? 0;
  }
  return { added: added.rows[0]?.n ?? 0, updated: updated.rows[0]?.n ?? 0, pruned };
}

/** After a large merge, before autovacuum or upkeep come round. */
export async function analyseSubmissions(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.submission');
}

/**
 * Says that the command is still at work, and holds its staged rows until the transaction ends. Rows that are gone must
 * not look like an empty file: a new batch would be empty, and rows of a known one would count as removed.
 * @throws VidbatchError `IMPORT_LOST` when another command has swept them away.
 */
export async function keepImport(db: Queryable, importId: string): Promise<void> {
  const { rowCount } = await db.query('update vidbatch.import set seen_at = now() where id = $1', [importId]);
  if (rowCount !== 0) return;
  throw new VidbatchError(
    'IMPORT_LOST',
    'the rows that were read from the file are no longer in the ledger: this command stood still for 15 minutes',
    { hint: 'Nothing was taken from the file. Repeat the command: rows that were sent are not sent again.' },
  );
}

/** Forgets the staged rows, merged or refused. */
export async function endImport(db: Queryable, importId: string): Promise<void> {
  await db.query('delete from vidbatch.import where id = $1', [importId]);
}
