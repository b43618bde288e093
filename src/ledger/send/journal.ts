import type { Queryable } from '../../database/database.ts';
import { logEvent } from '../batches.ts';
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

const ACCEPTED = 'accept-foreign-journals';

/** What persons have accepted for this ledger: ids of ledgers, and names of journals that do not say theirs. */
export async function acceptedJournals(db: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ detail: string }>(
    'select detail from vidbatch.event_log where event = $1',
    [ACCEPTED],
  );
  return new Set(rows.map(({ detail }) => detail));
}

export async function acceptJournal(db: Queryable, accepted: string, who: string): Promise<void> {
  await logEvent(db, ACCEPTED, accepted, undefined, who);
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

/** What the ledger has of an attempt. */
export interface KnownAttempt {
  number: number;
  outcome: string | null;
  taskId: string | null;
  batch: string;
  key: string;
}

/** Attempts without a row are known, too: an invariant of the ledger reports them. */
export async function knownAttempts(
  db: Queryable,
  attemptIds: readonly string[],
): Promise<Map<string, KnownAttempt>> {
  const { rows } = await db.query<KnownAttempt & { id: string }>(
    `select a.id, a.number, a.outcome, a.task_id as "taskId", b.name as batch, s.row_key as key
       from vidbatch.attempt a
       join vidbatch.submission s on s.id = a.submission_id
       join vidbatch.batch b on b.id = s.batch_id
      where a.id = any($1::uuid[])
      union all
     select attempt_id, number, kind, task_id, batch, row_key from vidbatch.unmatched_attempt where attempt_id = any($1::uuid[])`,
    [attemptIds],
  );
  return new Map(rows.map(({ id, ...known }) => [id, known]));
}

/** An attempt without an answer, and without an intent found in a journal. */
export interface Unheard {
  worker: string;
  attemptId: string;
}

/**
 * Of rows in flight and of uncertain rows, every such attempt of these workers. An earlier attempt of a row decides once
 * the later ones are settled, perhaps by the journal of another worker. So all of them are looked up at once, and the
 * order of the journals does not matter.
 */
export async function unheard(db: Queryable, workers: readonly string[]): Promise<Unheard[]> {
  const { rows } = await db.query<Unheard>(
    `select a.worker, a.id as "attemptId"
       from (select id from vidbatch.row_state where state = 'submitting'
             union all select id from vidbatch.row_state where state = 'uncertain') s
       join vidbatch.attempt a on a.submission_id = s.id
      where a.outcome is null and a.intended_at is null and a.worker = any($1::text[])`,
    [workers],
  );
  return rows;
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
 * makes it uncertain. So a lost attempt is not paid again. If the row is in flight or uncertain, the later attempt decides.
 * As long as the outcome of the earlier one is unknown, no refusal of the later one makes the row pending.
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
       select s.id, s.state, s.held,
              s.state in ('submitting', 'uncertain') as waits,
              s.state in ('submitting', 'uncertain') and $4 < s.attempts as has_later
         from vidbatch.row r
         join vidbatch.row_state s on s.id = r.id
         join vidbatch.batch b on b.id = r.batch_id
        where b.name = $2
          and case when $10::text is null then r.row_key = $3
                   else r.content_hash = $10 and s.content_hash = $10 and (r.id = $9::bigint or r.row_key = $3) end
        order by s.id = $9 desc nulls last limit 1 for update of s
     ), restored as (
       insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, content_hash, claimed_at, deadline,
                                     intended_at, swept_at)
       select $1::uuid, row.id, $4, $5, $6, $7, $10, $8::timestamptz, now(), $8::timestamptz,
              -- The sweeper judges only the attempt that decides.
              case when row.has_later then now() end
         from row
       on conflict (id) do nothing
       returning submission_id
     ), moved as (
       update vidbatch.row_state s
          -- The ledger has also lost how the row became pending.
          set previous = case when row.waits then s.previous else 'pending' end,
              state = case when s.state = 'uncertain' then 'uncertain' else 'submitting' end,
              deadline = case when s.state <> 'uncertain' then coalesce(s.deadline, now()) end,
              doubtful = s.doubtful or row.has_later
                or row.waits and ${unknownOf('s.id', 'and o.id <> $1::uuid')} is not null,
              attempt_id = case when row.has_later then s.attempt_id else $1::uuid end,
              called_at = case when row.has_later then s.called_at else $8::timestamptz end,
              attempts = greatest(s.attempts, $4), updated_at = now()
         from restored r join row on row.id = r.submission_id
        where s.id = row.id and s.content_hash is not null
          and (row.waits or s.state in ('pending', 'rejected', 'exhausted', 'cancelled', 'invalid'))
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
