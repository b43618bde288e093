/**
 * Five uncertain answers in a row without an accept, or this long throttled without one: the provider is halted. Ten
 * tries in a row that reached nobody: one row at a time goes on knocking, and if nobody was ever there, or for this long,
 * it is halted.
 */
export const AVALANCHE = {
  uncertainInARow: 5,
  throttledMs: 15 * 60_000,
  unreachedInARow: 10,
  unreachedMs: 15 * 60_000,
} as const;

/** `$2` to `$5` of the statement that holds the guard. */
export const GUARD_PARAMS = [
  AVALANCHE.uncertainInARow,
  AVALANCHE.throttledMs,
  AVALANCHE.unreachedInARow,
  AVALANCHE.unreachedMs,
] as const;

/**
 * For `record`, as its last part: what the answers of a group, as they were `decided`, mean for their providers. In
 * `guarded` are those for which they mean something.
 */
export const GUARD = `per_origin as (
       select origin,
              count(*) filter (where kind = 'accepted') as accepted,
              bool_or(kind = 'accepted' and epoch = provider_epoch) as accepted_now,
              count(*) filter (where kind = 'uncertain' and epoch = provider_epoch) as uncertain,
              bool_or(halting) as halting,
              max(wait_ms) filter (where kind = 'throttled') as throttled_ms,
              max(claimed_at) filter (where kind = 'throttled') as throttled_claim,
              bool_or(reached) as reached,
              count(*) filter (where unreached and epoch = provider_epoch) as unreached,
              array_agg(attempt_id) as attempts
         from decided group by origin
     ), shaken as (
       select o.*, n.nobody, n.nobody and n.given_up as hopeless,
              (n.nobody and n.given_up) or o.accepted = 0 and (
                (o.uncertain > 0 and p.uncertain_streak + o.uncertain >= $2)
                or (o.throttled_ms is not null and p.throttled_since < now() - $3 * interval '1 millisecond')
              ) as raised
         from per_origin o join vidbatch.provider p on p.origin = o.origin
        cross join lateral (
          select o.unreached > 0 and not o.reached and p.unreached_streak + o.unreached >= $4 as nobody,
                 -- Who was there before may come back.
                 coalesce(p.unreached_since < now() - $5 * interval '1 millisecond', false)
                   or not exists (select from vidbatch.batch b where b.origin = o.origin and b.proven) as given_up
        ) n
        -- The batches before their provider, as whoever claims alone locks them: or each waits for the other.
        where (select count(*) from weighed) >= 0
          and (o.halting or o.uncertain > 0 or o.throttled_ms is not null or p.probe = any(o.attempts)
               or o.unreached > 0 or (o.reached and p.unreached_streak > 0)
               or (o.accepted > 0 and (p.throttle_level > 0 or p.uncertain_streak > 0
                                       or p.throttled_since is not null or p.state = 'probing')))
          for update of p
     ), guarded as (
       update vidbatch.provider p
          set state = case
                when t.halting or t.raised then 'halted'
                when p.state = 'probing' and t.accepted_now then 'open'
                when p.state = 'open' and t.nobody then 'probing'
                else p.state
              end,
              probe = case when p.probe = any(t.attempts) then null else p.probe end,
              throttled_until = greatest(p.throttled_until, now() + t.throttled_ms * interval '1 millisecond',
                case when t.nobody and not t.raised
                  then now() + least(60, 2 ^ least(p.unreached_streak + t.unreached - $4, 6)) * interval '1 second' end),
              throttled_since = case
                when t.accepted > 0 or t.raised then null
                when t.throttled_ms is not null then coalesce(p.throttled_since, now())
                else p.throttled_since
              end,
              throttle_level = case
                when t.accepted > 0 then 0
                when t.throttled_claim >= p.throttle_raised then p.throttle_level + 1
                else p.throttle_level
              end,
              throttle_raised = case
                when t.accepted = 0 and t.throttled_claim >= p.throttle_raised then now()
                else p.throttle_raised
              end,
              uncertain_streak = case when t.accepted > 0 or t.raised then 0 else p.uncertain_streak + t.uncertain end,
              unreached_streak = case when t.reached then 0 else p.unreached_streak + t.unreached end,
              unreached_since = case when not t.reached and t.unreached > 0 then coalesce(p.unreached_since, now())
                                     when not t.reached then p.unreached_since end
         from shaken t
        where p.origin = t.origin
       returning p.origin, p.state, t.halting, t.raised, t.hopeless, p.unreached_streak,
                 t.throttled_ms is not null as throttled
     ), halted as (
       insert into vidbatch.halt (origin, code, reason, http_status, attempt_id)
       select distinct on (g.origin) g.origin,
              case when g.halting then coalesce(d.code, 'HALTED')
                   when g.hopeless then 'NOBODY_ANSWERS'
                   when g.throttled then 'THROTTLED_TOO_LONG' else 'UNCERTAIN_IN_A_ROW' end,
              case when g.halting then coalesce(d.message, 'the provider refuses every row')
                   when g.hopeless then 'nobody answers at ' || g.origin || ': ' || g.unreached_streak
                                        || ' tries in a row reached nobody, the last: ' || coalesce(d.message, '')
                   when g.throttled then 'throttled for over 15 minutes without one accept: ' || coalesce(d.message, '')
                   else $2 || ' answers in a row that nobody can judge, the last: ' || coalesce(d.message, '') end,
              d.http_status, d.attempt_id
         from guarded g join decided d on d.origin = g.origin and (d.halting or not g.halting)
        where g.halting or g.raised
        order by g.origin, d.halting desc, (d.unreached and g.hopeless) desc, (d.kind in ('uncertain', 'throttled')) desc
       on conflict (origin) where lifted_at is null do update
          set code = excluded.code, reason = excluded.reason, http_status = excluded.http_status,
              attempt_id = excluded.attempt_id
     ), lifted as (
       update vidbatch.halt h set lifted_at = now()
         from guarded g where h.origin = g.origin and h.lifted_at is null and g.state = 'open'
     )`;
