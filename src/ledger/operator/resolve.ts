import type { State } from '../../core/states.ts';
import { transaction, type Database, type Session } from '../../database/database.ts';
import { refuseCopied } from '../closed.ts';
import { readOne } from '../read/query.ts';
import { CHOSEN, choiceValues, type Choice } from '../read/uncertain.ts';

/** Who settles the rows, and why. It goes into the event log. */
export interface Said {
  who: string;
  reason: string;
}

/**
 * Which rows, as a person saw them. Rows whose state has changed since are not touched, because a late answer is better
 * evidence than the person had.
 */
export interface Seen extends Choice {
  /** `Counted.asOf` of the count that the person saw. */
  asOf: string;
}

export interface Moved {
  pending: number;
  /** Rows that were resolved as not sent and whose batch was cancelled. */
  cancelled: number;
  abandoned: number;
}

/**
 * The chosen rows, locked in the same order as by a record: a late answer is seen here, or waits. After the parameters of
 * the choice, $9 to $12 are: as of when, event, who, reason.
 */
const LOCKED = `seen as materialized (${CHOSEN}), locked as (
       select s.id, s.held, c.batch_state, c.waits, c.evidence_id from seen c join vidbatch.row_state s on s.id = c.id
        where s.state = 'uncertain' and s.updated_at <= $9::timestamptz
        order by s.id for update of s
     )`;

/**
 * A person knows that the provider did not get these rows, or refused them. They become pending with fresh attempts, or
 * cancelled with their batch, and free what they held of a budget. Rows whose deadline is still to come stay: an answer may
 * be under way. The idempotency key stays too: if the person is wrong, a provider that honours the key does not charge again.
 */
export async function resolveNotSent(db: Database, seen: Seen, said: Said): Promise<Moved> {
  return move(
    db,
    `with ${LOCKED}, moved as (
       update vidbatch.row_state s
          set previous = s.state, state = case when l.batch_state = 'cancelled' then 'cancelled' else 'pending' end,
              spent = 0, halted_at = null, doubtful = false, not_before = now(),
              http_status = null, error_code = null, error = null, updated_at = now()
         from locked l where s.id = l.id and not l.waits
       returning s.id, s.batch_id, s.state, s.held
     ), freed as (
       update vidbatch.batch b set held = b.held - t.freed
         from (select m.batch_id, sum(l.held - m.held) as freed from moved m join locked l on l.id = m.id group by m.batch_id) t
        where b.id = t.batch_id and b.held is not null
     ), told as (${LOGGED})
     select state, count(*)::int as n from moved group by state`,
    seen,
    'resolve --not-sent',
    said,
  );
}

/** A person gives these rows up, paid or not. A task id that still arrives is kept. */
export async function resolveAbandon(db: Database, seen: Seen, said: Said): Promise<Moved> {
  return move(
    db,
    `with ${LOCKED}, moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'abandoned', doubtful = false, updated_at = now()
         from locked l where s.id = l.id
       returning s.id, s.batch_id, s.state
     ), told as (${LOGGED})
     select state, count(*)::int as n from moved group by state`,
    seen,
    'resolve --abandon',
    said,
  );
}

const LOGGED = `insert into vidbatch.event_log (batch_id, submission_id, event, who, detail)
       select batch_id, id, $10::text, $11::text, $12::text from moved order by id`;

/** A copy that is begun meanwhile waits for the end of `work`, and has what it has written. */
function whileUncopied<T>(db: Database, work: (session: Session) => Promise<T>): Promise<T> {
  return transaction(db, async (session) => {
    await refuseCopied(session);
    return work(session);
  });
}

async function move(
  db: Database,
  statement: string,
  seen: Seen,
  event: string,
  { who, reason }: Said,
): Promise<Moved> {
  const values = [...choiceValues(seen), seen.asOf, event, who, reason];
  const { rows } = await whileUncopied(db, (session) =>
    session.query<{ state: State; n: number }>(statement, values),
  );
  const of = (state: State): number => rows.find((row) => row.state === state)?.n ?? 0;
  return { pending: of('pending'), cancelled: of('cancelled'), abandoned: of('abandoned') };
}

export type Accepted =
  | { kind: 'submitted'; attemptId: string; number: number }
  | { kind: 'taken'; batch: string; key: string }
  | { kind: 'moved' };

/**
 * A person has found the row's task at the provider. The task id gets an attempt of its own. So the attempt that made the
 * row uncertain keeps its evidence and can still take a late answer; if that brings another id, both are kept. `taken`: the
 * id belongs to another row. `moved`: the row is no longer uncertain.
 */
export async function resolveAccepted(
  db: Database,
  seen: Seen & { submissionId: number },
  taskId: string,
  said: Said,
): Promise<Accepted> {
  const { attemptId, number, batch, key } = await whileUncopied(db, (session) =>
    readOne<{
      attemptId: string | null;
      number: number | null;
      batch: string | null;
      key: string | null;
    }>(
      session,
      `with ${LOCKED}, evidence as (
       select a.* from locked l join vidbatch.attempt a on a.id = l.evidence_id
     ), taken as (
       select b.name, s.row_key
         from evidence e
         join vidbatch.attempt a on a.task_id = $13 and a.origin = e.origin and a.submission_id <> e.submission_id
         join vidbatch.submission s on s.id = a.submission_id
         join vidbatch.batch b on b.id = s.batch_id
        limit 1
     ), settled as (
       insert into vidbatch.attempt
         (id, submission_id, number, worker, origin, epoch, content_hash, claimed_at, deadline, finished_at, outcome, task_id)
       select gen_random_uuid(), e.submission_id, s.attempts + 1, 'resolve by ' || $11::text, e.origin, e.epoch, e.content_hash,
              now(), now(), now(), 'accepted', $13
         from evidence e join vidbatch.submission s on s.id = e.submission_id
        where not exists (select from taken)
       returning id, submission_id, number
     ), moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'submitted', task_id = $13, submitted_at = now(), provider_status = 'queued',
              attempt_id = t.id, called_at = now(), attempts = t.number, doubtful = false, http_status = null, error_code = null, error = null, updated_at = now()
         from settled t where s.id = t.submission_id
       returning s.id, s.batch_id
     ), told as (${LOGGED})
     select t.id as "attemptId", t.number, (select name from taken) as batch, (select row_key from taken) as key
       from (select) one left join (settled t join moved m on m.id = t.submission_id) on true`,
      [
        ...choiceValues(seen),
        seen.asOf,
        'resolve --task-id',
        said.who,
        `task ${taskId}: ${said.reason}`,
        taskId,
      ],
    ),
  );
  if (batch !== null && key !== null) return { kind: 'taken', batch, key };
  return attemptId === null || number === null ? { kind: 'moved' } : { kind: 'submitted', attemptId, number };
}
