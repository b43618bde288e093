import type { Queryable } from '../../database/database.ts';
import { unknownOf } from './unknown-outcome.ts';
import type { JournaledAttempt } from './unmatched-attempts.ts';

/** Journals that this ledger has read to their end: name → bytes. A ledger restored from an older copy knows fewer. */
export async function knownJournals(db: Queryable, names: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ name: string; bytes: number }>(
    'select name, bytes from vidbatch.journal where name = any($1::text[])',
    [names],
  );
  return new Map(rows.map((row) => [row.name, row.bytes]));
}

export async function rememberJournal(db: Queryable, name: string, bytes: number): Promise<void> {
  await db.query(
    `insert into vidbatch.journal (name, bytes) values ($1, $2)
     on conflict (name) do update set bytes = excluded.bytes, replayed_at = now()`,
    [name, bytes],
  );
}

/**
 * A worker that ends marks its journal as read, but only if the ledger has all answers that the worker recorded. A ledger
 * that was restored from a backup meanwhile has fewer, and the next start reads the journal. `since` is a moment before
 * the worker's first claim, so that the count does not read the attempts of all workers.
 */
export async function rememberOwnJournal(
  db: Queryable,
  journal: { name: string; bytes: number },
  { worker, since, recorded }: { worker: string; since: Date; recorded: number },
): Promise<void> {
  await db.query(
    `insert into vidbatch.journal (name, bytes)
     select $1, $2
      where (select count(*) from vidbatch.attempt
              where worker = $3 and claimed_at >= $4::timestamptz and outcome is not null) >= $5
     on conflict (name) do update set bytes = excluded.bytes, replayed_at = now()`,
    [journal.name, journal.bytes, worker, since, recorded],
  );
}

/** Those of the attempts whose answer the ledger lacks (`answer`), or which it does not know at all (`attempt`). */
export async function unrecorded(
  db: Queryable,
  attemptIds: readonly string[],
): Promise<Map<string, 'attempt' | 'answer'>> {
  const { rows } = await db.query<{ id: string; known: boolean }>(
    `select w.id, a.id is not null as known
       from unnest($1::uuid[]) as w(id) left join vidbatch.attempt a on a.id = w.id
      where a.outcome is null`,
    [attemptIds],
  );
  return new Map(rows.map((row) => [row.id, row.known ? 'answer' : 'attempt']));
}

/** The deciding attempt of a row, without an answer, and without an intent found in a journal. */
export interface Unheard {
  worker: string;
  attemptId: string;
}

export async function unheard(db: Queryable, workers: readonly string[]): Promise<Unheard[]> {
  const { rows } = await db.query<{ worker: string; id: string }>(
    `select a.worker, a.id
       from (select attempt_id from vidbatch.row_state where state = 'submitting'
             union all select attempt_id from vidbatch.row_state where state = 'uncertain') s
       join vidbatch.attempt a on a.id = s.attempt_id
      where a.outcome is null and a.intended_at is null and a.worker = any($1::text[])`,
    [workers],
  );
  return rows.map((row) => ({ worker: row.worker, attemptId: row.id }));
}

/** The latest attempts of a worker that are known to have left it, newest first. */
export async function lastSent(db: Queryable, worker: string, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id from vidbatch.attempt where worker = $1 and outcome is not null and phase <> 'connecting'
      order by claimed_at desc limit $2`,
    [worker, limit],
  );
  return rows.map((row) => row.id);
}

/** These attempts may have left: a journal holds their intents. */
export async function confirmIntents(db: Queryable, attemptIds: readonly string[]): Promise<void> {
  await db.query('update vidbatch.attempt set intended_at = now() where id = any($1::uuid[])', [attemptIds]);
}

/**
 * Restores an attempt that the ledger has lost, because it was restored from an older copy or lost its last writes. If the
 * row can be sent or retried, it is in flight again, with its deadline passed: the next answer settles it, or the sweeper
 * makes it uncertain. So a lost attempt is not paid again. If the row is in flight or uncertain under an earlier attempt,
 * this attempt decides: no answer to the earlier one makes the row pending, and as long as the outcome of the earlier one
 * is unknown, no refusal does.
 *
 * The row is found by the content that was sent, and by its number or its id, because an id can be given to another row
 * (`submit --rename`). A journal of an older version holds only the id. False: the ledger has no such row.
 */
export async function restoreAttempts(
  db: Queryable,
  from: { origin: string; worker: string },
  intent: JournaledAttempt,
): Promise<boolean> {
  const { rows } = await db.query(
    `with row as (
       select s.id, s.state, s.held
         from vidbatch.row r
         join vidbatch.row_state s on s.id = r.id
         join vidbatch.batch b on b.id = r.batch_id
        where b.name = $2
          and case when $10::text is null then r.row_key = $3
                   else r.content_hash = $10 and s.content_hash = $10 and (r.id = $9::bigint or r.row_key = $3) end
        order by s.id = $9 desc nulls last limit 1 for update of s
     ), restored as (
       insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, content_hash, claimed_at, deadline,
                                     intended_at)
       select $1::uuid, row.id, $4, $5, $6, $7, $10, $8::timestamptz, now(), $8::timestamptz from row
       on conflict (id) do nothing
       returning submission_id
     ), moved as (
       update vidbatch.row_state s
          -- The ledger has also lost how the row became pending.
          set previous = case when s.state in ('submitting', 'uncertain') then s.previous else 'pending' end,
              state = case when s.state = 'uncertain' then 'uncertain' else 'submitting' end,
              deadline = case when s.state <> 'uncertain' then coalesce(s.deadline, now()) end,
              doubtful = s.doubtful or s.state in ('submitting', 'uncertain')
                and ${unknownOf('s.id', 'and o.id <> $1::uuid')} is not null,
              attempt_id = $1::uuid, attempts = greatest(s.attempts, $4), updated_at = now()
         from restored r
        where s.id = r.submission_id and s.content_hash is not null
          and (s.state in ('pending', 'rejected', 'exhausted', 'cancelled', 'invalid')
               or s.state in ('submitting', 'uncertain') and $4 >= s.attempts)
       returning s.id, s.batch_id, s.held
     ), kept as (
       update vidbatch.batch b set held = b.held + m.held - row.held
         from moved m join row on row.id = m.id
        where b.id = m.batch_id and b.held is not null and m.held <> row.held
     )
     select submission_id from restored`,
    [
      intent.attempt,
      intent.batch,
      intent.key,
      intent.number,
      from.worker,
      from.origin,
      intent.epoch,
      intent.at,
      intent.row ?? null,
      intent.content ?? null,
    ],
  );
  return rows.length > 0;
}
