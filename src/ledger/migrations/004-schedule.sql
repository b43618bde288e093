-- Manifests that are submitted again at every tick of a clock on the wall. Ticks before `next_at` are decided: each has
-- a run, or was missed. `decided_at` is the ledger's time when that was last written: if it lies ahead, the clock was
-- set back. `flags` is JSON text, as they were given.
create table vidbatch.schedule (
  id         bigint generated always as identity primary key,
  name       text not null unique,
  cron       text not null,
  zone       text not null,
  manifest   text not null,
  flags      text not null,
  overlap    text not null check (overlap in ('skip', 'queue', 'allow')),
  missed     text not null check (missed in ('skip', 'once')),
  jitter_ms  integer not null check (jitter_ms >= 0),
  next_at    timestamptz not null,
  decided_at timestamptz not null default now(),
  paused_at  timestamptz,
  created_at timestamptz not null default now()
);

-- One for each tick, whoever sees it first, and one for each time that somebody triggers it. A run is `taken` under a
-- lease; its batch and `made` are committed together. `without`: hosts on which its manifest was not found.
create table vidbatch.run (
  id          bigint generated always as identity primary key,
  schedule_id bigint not null references vidbatch.schedule on delete cascade,
  tick        timestamptz not null,
  triggered   boolean not null default false,
  batch       text not null,
  due_at      timestamptz not null,
  state       text not null default 'due',
  worker      text,
  lease_until timestamptz,
  without     text[] not null default '{}',
  batch_id    bigint references vidbatch.batch,
  code        text,
  reason      text,
  ended_at    timestamptz,
  unique (schedule_id, tick),
  constraint run_state check (state in ('due', 'taken', 'made', 'failed', 'skipped', 'missed')),
  constraint run_taken check ((state = 'taken') = (worker is not null and lease_until is not null)),
  constraint run_made check ((state = 'made') = (batch_id is not null)),
  constraint run_reason check ((state in ('failed', 'skipped', 'missed')) = (reason is not null)),
  constraint run_ended check ((state in ('due', 'taken')) = (ended_at is null))
);
create index run_open on vidbatch.run (due_at) where state in ('due', 'taken');

-- Machines on which a worker looks after the schedules.
create table vidbatch.ticker (
  host    text primary key,
  seen_at timestamptz not null default now()
);
