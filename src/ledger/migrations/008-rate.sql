-- What all workers share of a provider's limits, for all of its requests (model '') and for those of one model: when the
-- next one may leave, how many were let go so far, and what was last said of how fast and how many. `auto`: what was found
-- of a quota that nobody has told, as JSON text.
create table vidbatch.quota (
  origin      text not null references vidbatch.provider,
  model       text not null,
  next_slot   timestamptz not null default '-infinity',
  slots       bigint not null default 0,
  interval_ms float8 check (interval_ms > 0),
  in_flight   integer check (in_flight > 0),
  auto        text,
  said_at     timestamptz not null default '-infinity',
  primary key (origin, model)
);
alter table vidbatch.provider drop column next_slot;

-- Tasks of a provider (and model) that may be running, or `most` if there are as many: rows in flight, accepted ones that
-- have not come to an end, and those of which nobody knows, for as long as such a task can last. Volatile, so that it
-- sees what was committed while its caller waited for a lock.
create function vidbatch.running(its_origin text, its_model text, most integer) returns integer
language plpgsql volatile as $$
begin
  return (
    select count(*) from (
      select from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'submitting'
      union all
      select from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'submitted'
         and (s.provider_status is null or s.provider_status not in ('completed', 'failed', 'missing'))
      union all
      select from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'uncertain'
         and s.updated_at > now() - case when s.off_peak then interval '48 hours' else interval '1 hour' end
      union all
      select from vidbatch.attempt a
        join vidbatch.submission s on s.id = a.submission_id
        left join vidbatch.task t on t.submission_id = a.submission_id and t.task_id = a.task_id
       where a.surplus and a.origin = its_origin and its_model in ('', s.model)
         and (t.status is null or t.status not in ('completed', 'failed', 'missing'))
      limit most
    ) one
  );
end $$;

-- Gives turns to those of the rows that may have one now, in the order in which they are named: under each limit, slots
-- that lie apart, at most `ahead_ms` from now, and no more tasks at a time than it allows. Called in the statement that
-- claims them: until that is committed, the locks keep all others waiting. `intervals`: 0 for none, null for the one that
-- was found. `alone`: also rows that are claimed one by one. The models come sorted, so that no two calls wait
-- for each other.
create function vidbatch.turns(
  its_origin text, ids bigint[], models text[], intervals float8[], caps integer[], ahead_ms float8, alone boolean
) returns table (submission_id bigint, turn_ms float8)
language plpgsql volatile as $$
declare
  one   record;
  slot  timestamptz;
  free  timestamptz[];
  apart interval[];
  room  integer[];
  taken integer[] := array_fill(0, array[cardinality(models)]);
begin
  insert into vidbatch.quota (origin, model)
  select its_origin, m from unnest(models) m
   where not exists (select from vidbatch.quota q where q.origin = its_origin and q.model = m)
  on conflict do nothing;
  for n in 1 .. cardinality(models) loop
    select q.next_slot, coalesce(intervals[n], 1000 / (q.auto::jsonb ->> 'perSecond')::float8, 0) as interval_ms into one
      from vidbatch.quota q where q.origin = its_origin and q.model = models[n] for update;
    free[n] := one.next_slot;
    apart[n] := one.interval_ms * interval '1 millisecond';
    room[n] := case when caps[n] is not null then caps[n] - vidbatch.running(its_origin, models[n], caps[n]) end;
  end loop;
  for one in
    select s.id, s.model
      from unnest(ids) with ordinality w(id, place)
      join vidbatch.submission s on s.id = w.id
      join vidbatch.batch b on b.id = s.batch_id
      join vidbatch.provider p on p.origin = b.origin
     where s.state = 'pending' and s.not_before <= now() and b.origin = its_origin and b.state = 'active'
       and p.throttled_until <= now() and (alone or b.proven and p.state = 'open' and b.budget is null)
     order by w.place
  loop
    slot := now();
    for n in 1 .. cardinality(models) loop
      continue when models[n] not in ('', one.model);
      slot := greatest(slot, free[n], case when room[n] <= 0 then 'infinity'::timestamptz end);
    end loop;
    continue when slot > now() + ahead_ms * interval '1 millisecond';
    for n in 1 .. cardinality(models) loop
      continue when models[n] not in ('', one.model);
      free[n] := slot + apart[n];
      room[n] := room[n] - 1;
      taken[n] := taken[n] + 1;
    end loop;
    submission_id := one.id;
    turn_ms := extract(epoch from slot - now()) * 1000;
    return next;
  end loop;
  update vidbatch.quota q set next_slot = greatest(q.next_slot, free[n]), slots = q.slots + taken[n]
    from generate_subscripts(models, 1) n
   where q.origin = its_origin and q.model = models[n] and taken[n] > 0;
end $$;
