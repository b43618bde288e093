-- Tries in a row that reached nobody, over all rows and workers, and since when: a provider that is away is no row's fault.
alter table vidbatch.provider
  add column unreached_streak integer not null default 0,
  add column unreached_since timestamptz;

-- Higher first. The priority of a row counts from that of its batch: both are added. `rank` is that sum as its job in the
-- queue has it; null: its job has none, as long as no row of the ledger has a priority (`ranked`).
alter table vidbatch.batch
  add column priority smallint not null default 0 check (priority between -100 and 100);
alter table vidbatch.submission
  add column priority smallint not null default 0 check (priority between -100 and 100),
  add column rank smallint;
alter table vidbatch.staged add column priority smallint not null default 0;
alter table vidbatch.meta add column ranked boolean not null default false;

-- Within a priority first come first served; rows that wait do not stand in the way of others of a lower one.
drop index vidbatch.submission_feed;
create index submission_feed on vidbatch.submission (batch_id, off_peak, priority desc, not_before, id)
  where state = 'pending' and lane is null;

-- A batch that is wrong as a whole is stopped, with a reason. `fail_share`: of the outcomes of its trial, so many may be
-- failures; `canary_rows`: so many rows go one after another, and have to be accepted before the rest goes (`canaries`:
-- so many still have to be). A trial begins at `trial_at`; attempts from before do not count for it.
alter table vidbatch.batch drop constraint batch_state_check;
alter table vidbatch.batch
  add constraint batch_state check (state in ('active', 'paused', 'cancelled', 'stopped')),
  add column fail_share numeric check (fail_share > 0 and fail_share <= 1),
  add column canary_rows integer check (canary_rows > 0),
  add column canaries integer not null default 0,
  add column trial_at timestamptz not null default '-infinity',
  add column succeeded integer not null default 0,
  add column failed integer not null default 0,
  add column stop_code text,
  add column stop_reason text,
  add constraint batch_stop check ((state = 'stopped') <= (stop_reason is not null));
