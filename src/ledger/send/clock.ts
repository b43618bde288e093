import type { Queryable } from '../../database/database.ts';

/** Feeders store every few seconds when they were seen. A moment this far in the future means that the clock was set back. */
const SET_BACK_MS = 5_000;

/**
 * If the database's clock was set back (an embedded database uses this machine's clock), everything that the ledger
 * waits for would come late. So all moments that it took from that clock and that now lie in the future go back with
 * it: waits of rows and providers, deadlines of attempts in flight, sightings of feeders, times of the next polls. A
 * row's own `not_before` stays, because a person has chosen it. Returns by how many milliseconds; 0: the clock was not
 * set back.
 */
export async function followClock(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ by_ms: number }>(
    `with seen as (
       select queue, seen_at from vidbatch.feeder where seen_at > now() + $1 * interval '1 millisecond' for update
     ), back as (
       select max(seen_at) - now() as by from seen having max(seen_at) is not null
     ), feeders as (
       update vidbatch.feeder f set seen_at = now() from back where f.seen_at > now()
     ), providers as (
       update vidbatch.provider p
          set throttled_until = case when p.throttled_until > now() then p.throttled_until - by else p.throttled_until end,
              throttled_since = least(p.throttled_since, now()), throttle_raised = least(p.throttle_raised, now()),
              unreached_since = least(p.unreached_since, now())
         from back
     ), quotas as (
       update vidbatch.quota q
          set next_slot = case when q.next_slot > now() then q.next_slot - by else q.next_slot end, said_at = least(q.said_at, now())
         from back
     ), trials as (
       update vidbatch.batch b set counted_since = now() from back where b.counted_since > now()
     ), waiting as (
       update vidbatch.row_state s
          set updated_at = now(),
              -- 'record' sets both, at most an hour and a half apart.
              not_before = case when s.not_before > s.updated_at and s.not_before < s.updated_at + interval '2 hours'
                then s.not_before - (select by from back) else s.not_before end
        -- Asked once, before any row: as long as no clock was set back, none is looked at.
        where (select by from back) is not null and s.state = 'pending' and s.attempts > 0 and s.updated_at > now()
     ), sending as (
       update vidbatch.row_state s set deadline = s.deadline - (select by from back)
         from vidbatch.attempt a
        where (select by from back) is not null
          and s.state = 'submitting' and a.id = s.attempt_id and a.claimed_at > now()
     ), asking as (
       -- A poll that is too early costs one request. A poll that is too late can cost a result URL.
       update vidbatch.task t
          set due_at = t.due_at - (select by from back), lease_until = t.lease_until - (select by from back),
              asked_at = least(t.asked_at, now())
        where (select by from back) is not null and t.due_at > now()
     ), askers as (
       update vidbatch.poller p
          set held_until = case when p.held_until > now() then p.held_until - by else p.held_until end,
              next_slot = case when p.next_slot > now() then p.next_slot - by else p.next_slot end
         from back
     )
     select (extract(epoch from by) * 1000)::float8 as by_ms from back`,
    [SET_BACK_MS],
  );
  return Math.round(rows[0]?.by_ms ?? 0);
}
