import type { Queryable } from '../../database/database.ts';
import { unknownOf } from './doubt.ts';
import type { JournaledAttempt } from './orphan.ts';

/** Journals that this ledger has taken in whole: name → bytes. A ledger restored from an older copy knows fewer. */
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
 * A worker that ends says that its journal is read, but only where the ledger has as many answers of it as it has
 * recorded. A ledger that was restored from a backup while the worker ran has fewer: its next start reads the journal.
 * `since`: a moment before its first claim, so that the count does not read the attempts of all workers.
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

/** Of these attempts, those whose answer the ledger lacks (`answer`), or which it has never heard of (`attempt`). */
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

/** An attempt that decides its row, and of which nothing was ever heard: no answer, and no intent found in a journal. */
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
 * An attempt that the ledger has lost: it was restored from an older copy, or cut off by a power failure. Its row, if
 * it can be sent or retried, is in flight again with its deadline passed: the answer that follows settles it, or else
 * the sweeper, as uncertain. It is not sent again for having been forgotten. A row that is in flight or uncertain under
 * an earlier attempt is decided by this one: what is still heard of the earlier one does not make it pending, and
 * as long as nobody knows of that one, no refusal does either.
 *
 * The row is the one with the content that was sent, and with its number or its id: an id may belong to another row now
 * (`submit --rename`). A journal of an older version knows the id alone. False: the ledger has no such row.
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
          -- Whatever brought the row from there to pending, the ledger has forgotten that, too.
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
