-- What the provider says of a task, by every task id that a row has, a surplus one too. Nobody has asked yet: there is
-- no line. `due_at` is when it is to be asked next; null: it has come to its end, or the provider does not know it, and
-- it is asked again only when a person wants that. Whoever asks holds it under a lease and by the number of its poll:
-- `due_at` is then the lease's end, so that a task whose asker died is due again.
create table vidbatch.task (
  submission_id  bigint not null references vidbatch.submission,
  task_id        text not null,
  batch_id       bigint not null references vidbatch.batch,
  origin         text not null,
  surplus        boolean not null,
  accepted_at    timestamptz not null,
  status         text not null default 'queued',
  -- As the provider wrote it, and its whole answer.
  raw_status     text,
  body           text,
  progress       integer,
  fail_reason    text,
  -- `url_expires_at` only where the answer or the URL itself says so (`url_expiry`).
  result_url     text,
  url_seen_at    timestamptz,
  url_expires_at timestamptz,
  url_expiry     text check (url_expiry in ('answer', 'url')),
  started_at     timestamptz,
  finished_at    timestamptz,
  polls          integer not null default 0,
  asked_at       timestamptz,
  -- `answered_at`: the last answer that said something of the task. `failures`: polls since then without one, and why.
  answered_at    timestamptz,
  failures       integer not null default 0,
  problem        text,
  -- Answers in a row that it does not exist.
  misses         integer not null default 0,
  missed_since   timestamptz,
  -- It had come to its end, and the provider says otherwise: what came first stays as it is.
  later_status   text,
  later_body     text,
  later_at       timestamptz,
  due_at         timestamptz,
  asker          text,
  lease_until    timestamptz,
  primary key (submission_id, task_id),
  constraint task_status check (status in ('queued', 'in_progress', 'completed', 'failed', 'unknown', 'missing')),
  -- What is not over is never forgotten.
  constraint task_due check (due_at is not null or status in ('completed', 'failed', 'missing')),
  constraint task_asked check ((asker is null) = (lease_until is null)),
  constraint task_expiry check ((url_expires_at is null) = (url_expiry is null)),
  constraint task_later check ((later_status is null) = (later_at is null))
);
create index task_due on vidbatch.task (origin, due_at) where due_at is not null;
create index task_difference on vidbatch.task (batch_id) where status = 'missing' or later_status is not null;
create index task_surplus on vidbatch.task (batch_id) where surplus;
alter table vidbatch.task set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- The asking of one provider, by all who ask: when the next question may leave under a rate, and until when none may,
-- because the provider wants it so or has not answered `level` times in a row.
create table vidbatch.poller (
  origin     text primary key references vidbatch.provider,
  next_slot  timestamptz not null default '-infinity',
  held_until timestamptz not null default '-infinity',
  level      integer not null default 0,
  reason     text
);

-- `submission.provider_status` follows its task's; `polled_at` is when it was first asked. What was asked before now:
insert into vidbatch.task (submission_id, task_id, batch_id, origin, surplus, accepted_at, status, progress, result_url,
                           url_seen_at, fail_reason, finished_at, polls, asked_at, answered_at, due_at)
select s.id, s.task_id, s.batch_id, t.origin, false, coalesce(s.submitted_at, s.updated_at), s.provider_status,
       s.progress, s.result_url, case when s.result_url is not null then s.polled_at end,
       case when s.provider_status = 'failed' then s.error end,
       case when s.provider_status in ('completed', 'failed') then s.polled_at end, 1, s.polled_at, s.polled_at,
       case when s.provider_status not in ('completed', 'failed') then now() end
  from vidbatch.submission s
  join vidbatch.batch b on b.id = s.batch_id
 cross join lateral (
   select coalesce((select a.origin from vidbatch.attempt a
                     where a.submission_id = s.id and a.task_id = s.task_id limit 1), b.origin) as origin
 ) t
 where s.state = 'submitted' and s.polled_at is not null and s.provider_status is not null and t.origin is not null;
update vidbatch.submission s set polled_at = null
 where s.polled_at is not null and not exists (select from vidbatch.task t where t.submission_id = s.id);
alter table vidbatch.submission drop column progress;

-- Tasks that are not over, those that nobody has asked for first (in the order of `polled_at, submitted_at`, by itself
-- no reason to sort): to be asked, and to be counted.
drop index vidbatch.submission_unsettled;
create index submission_unsettled on vidbatch.submission (polled_at, submitted_at) include (batch_id, model)
  where state = 'submitted' and (provider_status is null or provider_status not in ('completed', 'failed', 'missing'));
