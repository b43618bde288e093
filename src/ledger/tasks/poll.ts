import type { AskedTask } from '../../core/poll-plan.ts';
import type { Queryable } from '../../database/database.ts';

export interface PollScope {
  origin: string;
  /** Only of these batches; null: of all. */
  batches: readonly number[] | null;
}

/** The task of row `s` is not over, as SQL. The index `row_state_unsettled` has the same condition. */
export const UNSETTLED = `s.state = 'submitted'
          and (s.provider_status is null or s.provider_status not in ('completed', 'failed', 'missing'))`;

/** The provider that gave the task id of row `s`, also when its batch `b` has another provider now. */
export const ORIGIN = `coalesce((select a.origin from vidbatch.attempt a
                           where a.submission_id = s.id and a.task_id = s.task_id limit 1), b.origin)`;

const OF_BATCHES = '($2::bigint[] is null or s.batch_id = any($2))';

/** Where the provider said to ask for a task, as SQL; null: where the profile says. */
export const queryUrlOf = (
  submission: string,
  task: string,
): string => `(select a.query_url from vidbatch.attempt a
              where a.submission_id = ${submission} and a.task_id = ${task} and a.query_url is not null limit 1)`;

/** A task that only this process polls, until its lease ends. */
export interface TakenTask extends AskedTask {
  /** The profile of its batch. */
  profileId: number;
  queryUrl: string | null;
  waitMs: number;
}

export interface Taking {
  asker: string;
  room: number;
  /** Milliseconds between two polls of all processes; null: no limit. */
  intervalMs: number | null;
  /** Milliseconds after which a task is due again if its poll was not recorded. */
  leaseMs: number;
  firstMs: number;
  /** Only tasks whose last poll is before this moment of the database's clock. */
  before?: string | null;
}

export async function ensurePoller(db: Queryable, origin: string): Promise<void> {
  await db.query(
    `with provider as (insert into vidbatch.provider (origin) values ($1) on conflict do nothing)
     insert into vidbatch.poller (origin) values ($1) on conflict do nothing`,
    [origin],
  );
}

/**
 * Takes the tasks that have been due for the longest, in one statement. The lease is a compare-and-set: each task goes to one
 * process, and no process waits for a lock of another. Takes nothing before `held_until`, and no more than the rate allows
 * within a second.
 */
export async function takeTasks(db: Queryable, scope: PollScope, taking: Taking): Promise<TakenTask[]> {
  const { rows } = await db.query<TakenTask>(
    `with gate as (
       select p.level,
              case when p.held_until > now() then 0
                   when $5::float8 is null then $4::int
                   else least($4::int, greatest(0, 1 + floor(
                     extract(epoch from now() + interval '1 second' - greatest(p.next_slot, now())) * 1000 / $5)::int))
              end as room
         from vidbatch.poller p where p.origin = $1
     ), due as (
       select t.submission_id, t.task_id from vidbatch.task t
        where t.origin = $1 and t.due_at <= now() and ($2::bigint[] is null or t.batch_id = any($2))
          and ($8::timestamptz is null or t.asked_at is null or t.asked_at < $8)
        order by t.due_at limit (select room from gate)
          for update skip locked
     ), again as (
       update vidbatch.task t
          set polls = t.polls + 1, asker = $3, lease_until = now() + $6 * interval '1 millisecond',
              due_at = now() + $6 * interval '1 millisecond'
         from due d where t.submission_id = d.submission_id and t.task_id = d.task_id
       returning t.*
     ), left_room as (
       select (select room from gate) - (select count(*) from due) as room
     ), first as (
       insert into vidbatch.task (submission_id, task_id, batch_id, model, origin, surplus, accepted_at, polls, asker,
                                  lease_until, due_at)
       select u.submission_id, u.task_id, u.batch_id, u.model, $1, u.surplus, u.accepted_at, 1, $3,
              now() + $6 * interval '1 millisecond', now() + $6 * interval '1 millisecond'
         from (
           -- Tasks of rows, and surplus tasks, that were accepted at least $7 ms ago and never polled.
           (select s.id as submission_id, s.task_id, s.batch_id, s.model, false as surplus, s.submitted_at as accepted_at
              from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
             where ${UNSETTLED} and s.polled_at is null and s.submitted_at <= now() - $7::float8 * interval '1 millisecond'
               and ${OF_BATCHES} and ${ORIGIN} = $1
               and not exists (select from vidbatch.task t where t.submission_id = s.id and t.task_id = s.task_id)
             order by s.polled_at, s.submitted_at limit (select room from left_room))
           union all
           (select s.id, a.task_id, s.batch_id, s.model, true, a.finished_at
              from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
             where a.surplus and a.finished_at <= now() - $7::float8 * interval '1 millisecond'
               and ${OF_BATCHES} and a.origin = $1
               and not exists (select from vidbatch.task t where t.submission_id = s.id and t.task_id = a.task_id)
             limit (select room from left_room))
           limit (select room from left_room)
         ) u
       on conflict do nothing
       returning *
     ), taken as (
       select * from again union all select * from first
     ), slotted as (
       update vidbatch.poller p
          set next_slot = greatest(p.next_slot, now()) + (select count(*) from taken) * $5 * interval '1 millisecond'
        where p.origin = $1 and $5::float8 is not null and exists (select from taken)
       returning p.next_slot
     )
     select t.submission_id as "submissionId", t.task_id as "taskId", b.profile_id as "profileId",
            ${queryUrlOf('t.submission_id', 't.task_id')} as "queryUrl", t.polls as poll, t.status, t.misses, t.failures,
            t.later_status as "laterStatus", g.level, (extract(epoch from now() - t.accepted_at) * 1000)::float8 as "ageMs",
            coalesce(extract(epoch from now() - t.missed_since) * 1000, 0)::float8 as "missedMs",
            case when $5::float8 is null then 0 else greatest(0, (extract(epoch from s.next_slot - now()) * 1000)::float8
              - $5 * row_number() over (order by t.accepted_at)) end as "waitMs"
       from taken t join vidbatch.batch b on b.id = t.batch_id cross join gate g left join slotted s on true
      order by "waitMs"`,
    [
      scope.origin,
      scope.batches,
      taking.asker,
      taking.room,
      taking.intervalMs,
      taking.leaseMs,
      taking.firstMs,
      taking.before ?? null,
    ],
  );
  return rows;
}

/** Makes every task due now: rows wait for tasks to end. */
export async function pollSoon(db: Queryable, origin: string): Promise<void> {
  await db.query(
    `update vidbatch.task set due_at = now() where origin = $1 and due_at > now() + interval '1 second' and asker is null`,
    [origin],
  );
}

/** Frees every taken task. For the holder of an embedded folder at its start, when no other process can poll. */
export async function freeAllTasks(db: Queryable): Promise<void> {
  await db.query(
    `update vidbatch.task set asker = null, lease_until = null, due_at = now() where lease_until is not null`,
  );
}

/** Makes taken tasks due again. Unless the provider was `asked`, the poll does not count. */
export async function releaseTasks(
  db: Queryable,
  tasks: readonly TakenTask[],
  { asked = false } = {},
): Promise<void> {
  await db.query(
    `update vidbatch.task t set polls = t.polls - case when $4 then 0 else 1 end, asker = null, lease_until = null, due_at = now()
       from unnest($1::bigint[], $2::text[], $3::int[]) as g(submission_id, task_id, polls)
      where t.submission_id = g.submission_id and t.task_id = g.task_id and t.polls = g.polls
        and t.lease_until is not null`,
    [
      tasks.map((task) => task.submissionId),
      tasks.map((task) => task.taskId),
      tasks.map((task) => task.poll),
      asked,
    ],
  );
}

/** Whether a process has polled this provider's tasks. */
export async function isPolled(db: Queryable, origin: string): Promise<boolean> {
  const { rows } = await db.query('select from vidbatch.poller where origin = $1', [origin]);
  return rows.length > 0;
}

/**
 * Milliseconds until a task may be polled; undefined: no task is open. `before`: only tasks that were not polled since that
 * moment. Tasks of another process count too, because that process may be dead.
 */
export async function readNextPoll(
  db: Queryable,
  scope: PollScope,
  { firstMs, before = null }: Pick<Taking, 'firstMs' | 'before'>,
): Promise<number | undefined> {
  const { rows } = await db.query<{ waitMs: number }>(
    `select (extract(epoch from greatest(d.due_at, p.held_until, p.next_slot - interval '1 second', now()) - now())
              * 1000)::float8 as "waitMs"
       from vidbatch.poller p
      cross join lateral (
        select least(
          (select t.due_at from vidbatch.task t
            where t.origin = $1 and t.due_at is not null and ($2::bigint[] is null or t.batch_id = any($2))
              and ($4::timestamptz is null or t.asked_at is null or t.asked_at < $4)
            order by t.due_at limit 1),
          (select s.submitted_at + $3::float8 * interval '1 millisecond'
             from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
            where ${UNSETTLED} and s.polled_at is null and ${OF_BATCHES} and ${ORIGIN} = $1
              and not exists (select from vidbatch.task t where t.submission_id = s.id and t.task_id = s.task_id)
            order by s.polled_at, s.submitted_at limit 1),
          (select min(a.finished_at) + $3::float8 * interval '1 millisecond'
             from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
            where a.surplus and ${OF_BATCHES} and a.origin = $1
              and not exists (select from vidbatch.task t where t.submission_id = s.id and t.task_id = a.task_id))
        ) as due_at
      ) d
      where p.origin = $1 and d.due_at is not null`,
    [scope.origin, scope.batches, firstMs, before],
  );
  return rows[0]?.waitMs;
}
