import type { Outcome } from '../../core/outcome.ts';
import { transaction, type Database, type Queryable } from '../../database/database.ts';
import { lockBatch } from '../batches.ts';
import { recordWithin } from './record.ts';
import { storable } from './result.ts';

/** An attempt as a journal knows it. */
export interface JournaledAttempt {
  attempt: string;
  batch: string;
  key: string;
  /** Number of the row in the ledger, and hash of its request; older journals lack both. */
  row?: number;
  content?: string;
  number: number;
  epoch: number;
  /** When its intent was written, RFC 3339. */
  at: string;
}

/**
 * Keeps an attempt whose row this ledger does not have: it was restored from a copy that is older than the row's
 * manifest. When the row comes back, it comes back as sent.
 */
export async function keepUnmatched(
  db: Queryable,
  from: { origin: string; worker: string },
  intent: JournaledAttempt,
): Promise<void> {
  await db.query(
    `insert into vidbatch.unmatched_attempt (attempt_id, batch, row_key, number, epoch, worker, origin, intended_at, row_id, content_hash)
     values ($1, $2, $3, $4, $5, $6, $7, $8::timestamptz, $9, $10)
     on conflict (attempt_id) do nothing`,
    [
      intent.attempt,
      intent.batch,
      intent.key,
      intent.number,
      intent.epoch,
      from.worker,
      from.origin,
      intent.at,
      intent.row ?? null,
      intent.content ?? null,
    ],
  );
}

/** Returns whether it is the first answer to such an attempt. */
export async function keepUnmatchedAnswer(
  db: Queryable,
  attemptId: string,
  outcome: Outcome,
): Promise<boolean> {
  const { rows } = await db.query(
    `update vidbatch.unmatched_attempt set outcome = $2, kind = $3, task_id = $4
      where attempt_id = $1 and outcome is null returning attempt_id`,
    [
      attemptId,
      // JSON text escapes what Postgres text cannot hold.
      JSON.stringify(outcome),
      outcome.kind,
      outcome.kind === 'accepted' ? storable(outcome.taskId) : null,
    ],
  );
  return rows.length > 0;
}

/**
 * The ledger has no attempt with the id of the unmatched attempt `o`. If a replay and an import run at the same time, an
 * attempt can be in both tables. It has moved its row already, so it moves no second row.
 */
const LACKS = 'not exists (select from vidbatch.attempt k where k.id = o.attempt_id)';

/**
 * The unmatched attempts of the batch $1, each with its row. This is the row with the id and the content of the
 * attempt. If there is no such row, ids may have changed: then it is a row with the content that was never sent.
 * Otherwise the content may have changed: then it is the row with the id, if that row was never sent, or if the attempt
 * certainly cost nothing. With $2, before the manifest is read again, the row must also have the number of the attempt:
 * otherwise its id belongs to another row now.
 */
const BELONGS = `sent as (
       select o.row_key, o.content_hash, o.row_id,
              bool_and(coalesce(o.kind in ('rejected', 'throttled', 'not-sent', 'halted', 'invalid'), false)) as free_of_charge
         from vidbatch.unmatched_attempt o join vidbatch.batch b on b.name = o.batch
        where b.id = $1 and ${LACKS}
        group by o.row_key, o.content_hash, o.row_id
     ), exact as (
       select t.row_key, t.content_hash, t.row_id, s.id
         from sent t join vidbatch.submission s on s.batch_id = $1 and s.row_key = t.row_key
        where t.content_hash is null or s.content_hash = t.content_hash
     ), elsewhere as (
       select t.*, row_number() over (partition by t.content_hash order by t.row_key, t.row_id) as rank
         from sent t
        where not exists (select from exact e
                           where e.row_key = t.row_key and e.content_hash is not distinct from t.content_hash)
     ), unsent as (
       select s.id, s.row_key, s.content_hash,
              row_number() over (partition by s.content_hash order by s.line, s.id) as rank
         from vidbatch.submission s
        where s.batch_id = $1 and s.state = 'pending' and s.attempts = 0
          and (s.content_hash in (select content_hash from elsewhere) or s.row_key in (select row_key from elsewhere))
          and not exists (select from exact e where e.id = s.id)
     ), paired as (
       select k.row_key, k.content_hash, k.row_id, u.id
         from elsewhere k join unsent u using (content_hash, rank)
     ), changed as (
       select k.row_key, k.content_hash, k.row_id, s.id
         from elsewhere k join vidbatch.submission s on s.batch_id = $1 and s.row_key = k.row_key
        where (not $2::boolean or s.id = k.row_id)
          and not exists (select from paired p where p.row_key = k.row_key and p.content_hash = k.content_hash)
          and (k.free_of_charge
               -- Number and id agree: it is this row, also if earlier attempts of it were refused.
               or (s.id in (select id from unsent) or s.id = k.row_id and s.state = 'pending' and not s.doubtful)
                  and s.id not in (select id from paired))
     ), belongs as (
       select * from exact union all select * from paired union all select * from changed
     )`;

/** It is not known whether the adopted attempt `o` was accepted. */
const MAY_BE_ACCEPTED = `coalesce(o.kind, 'uncertain') = 'uncertain'`;

/** The row has an attempt that decides. An adopted one does not. */
const IN_HAND = `s.state in ('submitting', 'uncertain')`;

/**
 * Rows of this batch whose attempts had lost them are in flight or settled, and not pending. `again`: its manifest is
 * read again just now, so its ids are those of today. Returns how many attempts found their row.
 */
export async function adoptUnmatched(db: Queryable, batchId: number, again = true): Promise<number> {
  const { rows } = await db.query<{ attempt_id: string; submission_id: number; outcome: string | null }>(
    `with ${BELONGS}, known as (
       delete from vidbatch.unmatched_attempt o
        using vidbatch.attempt a, vidbatch.batch b
        where b.id = $1 and o.batch = b.name and a.id = o.attempt_id
       returning o.attempt_id, o.number, o.outcome, a.submission_id
     ), adopted as (
       delete from vidbatch.unmatched_attempt o
        using belongs l, vidbatch.batch b
        where b.id = $1 and o.batch = b.name and ${LACKS} and l.row_key = o.row_key
          and l.content_hash is not distinct from o.content_hash and l.row_id is not distinct from o.row_id
       returning o.*, l.id as submission_id
     ), attempted as (
       insert into vidbatch.attempt
         (id, submission_id, number, worker, origin, epoch, content_hash, claimed_at, deadline, intended_at, swept_at)
       select o.attempt_id, o.submission_id, o.number, o.worker, o.origin, o.epoch, o.content_hash, o.intended_at, now(),
              o.intended_at,
              -- The sweeper judges only the attempt that decides.
              case when ${IN_HAND} or o.number < max(o.number) over (partition by o.submission_id) then now() end
         from adopted o join vidbatch.row_state s on s.id = o.submission_id
       on conflict (id) do nothing
     ), doubted as (
       -- The import of the row was followed by a claim before its lost attempt was read. The claim decides, but its refusal
       -- sends nothing again.
       update vidbatch.row_state s set doubtful = true, updated_at = now()
        where ${IN_HAND} and exists (select from adopted o where o.submission_id = s.id and ${MAY_BE_ACCEPTED})
     ), moved as (
       update vidbatch.row_state s
          set previous = 'pending', state = 'submitting', attempt_id = a.attempt_id, called_at = a.intended_at,
              deadline = now(), attempts = greatest(s.attempts, a.number),
              -- The latest attempt decides. If an earlier one may have been accepted, a refusal of the latest sends
              -- nothing again.
              doubtful = s.doubtful or exists (
                select from adopted o where o.submission_id = s.id and o.attempt_id <> a.attempt_id
                                        and ${MAY_BE_ACCEPTED}),
              updated_at = now()
         from (select distinct on (submission_id) * from adopted order by submission_id, number desc) a
        where s.id = a.submission_id
          -- A worker found it invalid, in a past that this ledger does not know to the end.
          and (s.state = 'pending' or s.state = 'invalid' and s.content_hash is not null
               -- A retry sends these rows again, so none of them may hide an attempt that may have been accepted.
               or s.state in ('rejected', 'exhausted', 'cancelled') and s.content_hash is not null and exists (
                 select from adopted o where o.submission_id = s.id and ${MAY_BE_ACCEPTED}))
       returning s.id, s.held
     ), kept as (
       -- What these rows cost at most is counted from now on, as by a claim.
       update vidbatch.batch b set held = b.held + m.more
         from (select sum(m.held - s.held) as more from moved m join vidbatch.submission s using (id)) m
        where b.id = $1 and b.held is not null and m.more <> 0
     )
     select attempt_id, submission_id, outcome
       from (select attempt_id, submission_id, number, outcome from adopted
             union all select attempt_id, submission_id, number, outcome from known) found
      order by submission_id, number`,
    [batchId, !again],
  );
  for (const { attempt_id: attemptId, outcome } of rows) {
    if (outcome === null) continue;
    // The next worker says whether a row is exhausted: it knows its `--attempts`.
    await recordWithin(db, [
      { attemptId, outcome: JSON.parse(outcome) as Outcome, waitMs: 0, maxAttempts: 2 ** 31 - 1 },
    ]);
  }
  return rows.length;
}

/** The same for every batch, once all journals are read: only then is it known which rows have attempts of their own. */
export async function adoptAllUnmatched(db: Database): Promise<number> {
  const { rows } = await db.query<{ id: number }>(
    'select distinct b.id from vidbatch.unmatched_attempt o join vidbatch.batch b on b.name = o.batch order by b.id',
  );
  let adopted = 0;
  for (const { id } of rows) {
    adopted += await transaction(db, async (session) => {
      // A manifest that is merged at this moment may give a row other content.
      await lockBatch(session, id);
      return adoptUnmatched(session, id, false);
    });
  }
  return adopted;
}
