import type { Outcome } from '../provider/outcome.ts';
import type { Queryable } from './database.ts';
import { record } from './record.ts';

/** An attempt as a journal knows it. */
export interface JournaledAttempt {
  attempt: string;
  batch: string;
  key: string;
  number: number;
  epoch: number;
  /** When its intent was written, RFC 3339. */
  at: string;
}

/**
 * Keeps an attempt whose row this ledger does not have: it was restored from a copy that is older than the row's
 * manifest. When the row comes back, it comes back as sent.
 */
export async function keepOrphan(
  db: Queryable,
  from: { origin: string; worker: string },
  intent: JournaledAttempt,
): Promise<void> {
  await db.query(
    `insert into vidbatch.orphan (attempt_id, batch, row_key, number, epoch, worker, origin, intended_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8::timestamptz)
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
    ],
  );
}

/** Returns whether it was the answer to an orphan, and news. */
export async function keepOrphanAnswer(db: Queryable, attemptId: string, outcome: Outcome): Promise<boolean> {
  const { rows } = await db.query(
    'update vidbatch.orphan set outcome = $2 where attempt_id = $1 and outcome is null returning attempt_id',
    // JSON text escapes what Postgres text cannot hold.
    [attemptId, JSON.stringify(outcome)],
  );
  return rows.length > 0;
}

/** Rows of this batch whose attempts had lost them are in flight or settled, and not pending. Returns how many. */
export async function adoptOrphans(db: Queryable, batchId: number): Promise<number> {
  const { rows } = await db.query<{ attempt_id: string; submission_id: number; outcome: string | null }>(
    `with adopted as (
       delete from vidbatch.orphan o
        using vidbatch.submission s, vidbatch.batch b
        where b.id = $1 and o.batch = b.name and s.batch_id = b.id and s.row_key = o.row_key
       returning o.*, s.id as submission_id
     ), attempted as (
       insert into vidbatch.attempt
         (id, submission_id, number, worker, origin, epoch, claimed_at, deadline, intended_at)
       select attempt_id, submission_id, number, worker, origin, epoch, intended_at, now(), intended_at from adopted
       on conflict (id) do nothing
     ), moved as (
       update vidbatch.submission s
          set previous = s.state, state = 'submitting', attempt_id = a.attempt_id, deadline = now(), lane = null,
              attempts = greatest(s.attempts, a.number), updated_at = now()
         from (select distinct on (submission_id) * from adopted order by submission_id, number desc) a
        where s.id = a.submission_id and s.state = 'pending'
     )
     select attempt_id, submission_id, outcome from adopted order by submission_id, number`,
    [batchId],
  );
  for (const { attempt_id: attemptId, outcome } of rows) {
    if (outcome === null) continue;
    // The next worker says whether a row is exhausted: it knows its `--attempts`.
    await record(db, [
      { attemptId, outcome: JSON.parse(outcome) as Outcome, waitMs: 0, maxAttempts: 2 ** 31 - 1 },
    ]);
  }
  return new Set(rows.map((row) => row.submission_id)).size;
}
