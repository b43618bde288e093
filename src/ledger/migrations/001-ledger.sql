create table vidbatch.meta (
  only_row   boolean primary key default true check (only_row),
  ledger_id  text not null,
  paused_at  timestamptz,
  created_at timestamptz not null default now()
);

-- The provider as a whole: what stops or slows every worker at once. `probe` is the one attempt in flight while a
-- halt is being tried out; `epoch` counts the tries, so that answers to older attempts cannot raise a halt anew.
create table vidbatch.provider (
  origin           text primary key,
  state            text not null default 'open' check (state in ('open', 'halted', 'probing')),
  epoch            integer not null default 0,
  probe            uuid,
  throttled_until  timestamptz not null default '-infinity',
  throttled_since  timestamptz,
  throttle_raised  timestamptz not null default '-infinity',
  throttle_level   integer not null default 0,
  uncertain_streak integer not null default 0,
  next_slot        timestamptz not null default '-infinity'
);

create table vidbatch.halt (
  id          bigint generated always as identity primary key,
  origin      text not null references vidbatch.provider,
  code        text not null,
  reason      text not null,
  http_status integer,
  attempt_id  uuid,
  raised_at   timestamptz not null default now(),
  lifted_at   timestamptz
);
create unique index halt_open on vidbatch.halt (origin) where lifted_at is null;

-- `canary` is the one attempt in flight until the batch has had its first accept (`proven`).
create table vidbatch.batch (
  id         bigint generated always as identity primary key,
  name       text not null unique,
  source     text not null,
  key_scheme text not null check (key_scheme in ('id', 'h1')),
  format     text not null,
  delimiter  text,
  columns    text,
  origin     text references vidbatch.provider,
  state      text not null default 'active' check (state in ('active', 'paused', 'cancelled')),
  proven     boolean not null default false,
  canary     uuid,
  created_at timestamptz not null default now(),
  check (not proven or canary is null)
);

-- `input` is the row as read and `request` the exact body to send, both as JSON text: what goes out is what was
-- checked, to the byte. `previous` is the state before the last move; with it, a CHECK can refuse an illegal move.
-- `doubtful`: sent again although an earlier attempt may have been accepted, because the provider honours the
-- idempotency key. `refusals` counts the answers after which the key may change: never while the row is in doubt.
create table vidbatch.submission (
  id              bigint generated always as identity primary key,
  batch_id        bigint not null references vidbatch.batch,
  row_key         text not null,
  line            integer not null,
  state           text not null,
  previous        text,
  input           text not null,
  request         text,
  content_hash    text,
  model           text,
  mode            text,
  not_before      timestamptz not null default '-infinity',
  attempt_id      uuid,
  deadline        timestamptz,
  attempts        integer not null default 0,
  spent           integer not null default 0,
  refusals        integer not null default 0,
  doubtful        boolean not null default false,
  halted_at       timestamptz,
  generation      integer not null default 0,
  lane            text,
  queued_at       timestamptz,
  task_id         text,
  http_status     integer,
  error_code      text,
  error           text,
  submitted_at    timestamptz,
  provider_status text,
  progress        integer,
  result_url      text,
  polled_at       timestamptz,
  updated_at      timestamptz not null default now(),
  unique (batch_id, row_key),
  constraint submission_state check (state in (
    'pending', 'submitting', 'submitted', 'uncertain', 'rejected', 'exhausted', 'invalid', 'cancelled', 'abandoned'
  )),
  constraint submission_move check (
    (previous is null and state in ('pending', 'invalid'))
    -- Without the first half a null would pass: a CHECK refuses only what is false.
    or previous is not null and (previous, state) in (
      ('pending', 'submitting'), ('pending', 'invalid'), ('pending', 'cancelled'), ('pending', 'uncertain'),
      ('submitting', 'submitted'), ('submitting', 'rejected'), ('submitting', 'pending'),
      ('submitting', 'cancelled'), ('submitting', 'exhausted'), ('submitting', 'uncertain'),
      ('uncertain', 'submitted'), ('uncertain', 'pending'), ('uncertain', 'cancelled'),
      ('uncertain', 'rejected'), ('uncertain', 'exhausted'), ('uncertain', 'abandoned'),
      ('pending', 'submitted'), ('rejected', 'submitted'), ('exhausted', 'submitted'),
      ('cancelled', 'submitted'), ('invalid', 'submitted'), ('abandoned', 'submitted'),
      ('rejected', 'pending'), ('exhausted', 'pending'), ('cancelled', 'pending'), ('invalid', 'pending'),
      ('invalid', 'cancelled')
    )
  ),
  -- What may have been paid is not called refused, cancelled or invalid.
  constraint submission_doubtful check (not doubtful or state in ('pending', 'submitting', 'uncertain')),
  constraint submission_task_id check ((state = 'submitted') = (task_id is not null)),
  constraint submission_in_flight check (
    state <> 'submitting' or (attempt_id is not null and deadline is not null)
  ),
  constraint submission_sendable check (state in ('invalid', 'cancelled') or (request is not null and content_hash is not null)),
  constraint submission_lane check (lane is null or state in ('pending', 'submitting'))
);
create index submission_order on vidbatch.submission (batch_id, line, id);
create index submission_content on vidbatch.submission (content_hash);
create index submission_feed on vidbatch.submission (batch_id, id) where state = 'pending' and lane is null;
create index submission_queued on vidbatch.submission (lane, batch_id, id) where state = 'pending' and lane is not null;
create index submission_deadline on vidbatch.submission (deadline) where state = 'submitting';
create index submission_uncertain on vidbatch.submission (batch_id, id) where state = 'uncertain';
create index submission_open on vidbatch.submission (batch_id) where state in ('pending', 'submitting');
create index submission_unsettled on vidbatch.submission (batch_id, id)
  where state = 'submitted' and (provider_status is null or provider_status not in ('completed', 'failed'));

-- One row for each POST that may have been made. `outcome` stays null until an answer is recorded; `swept_at` says
-- that its deadline passed first, `intended_at` that a dead worker's journal holds its intent: it may have left.
-- A second task id for a submission is kept here, as `surplus`. `headers` is the answer's, as JSON text. A task id
-- that a person has found stands in a row of its own, beside the one of the POST that it answers. `same_key`: sent
-- although an earlier attempt may have been accepted, under the idempotency key of that one.
create table vidbatch.attempt (
  id            uuid primary key,
  submission_id bigint not null references vidbatch.submission,
  number        integer not null,
  worker        text not null,
  origin        text not null,
  epoch         integer not null,
  same_key      boolean not null default false,
  claimed_at    timestamptz not null default now(),
  deadline      timestamptz not null,
  intended_at   timestamptz,
  swept_at      timestamptz,
  finished_at   timestamptz,
  outcome       text check (outcome in ('accepted', 'rejected', 'throttled', 'not-sent', 'halted', 'uncertain')),
  phase         text,
  http_status   integer,
  error_code    text,
  error         text,
  request_id    text,
  headers       text,
  task_id       text,
  surplus       boolean not null default false,
  body          text,
  check ((outcome = 'accepted') = (task_id is not null) or outcome is null),
  check ((outcome is null) = (finished_at is null)),
  check (not surplus or outcome = 'accepted')
);
create index attempt_submission on vidbatch.attempt (submission_id, number);
create index attempt_surplus on vidbatch.attempt (submission_id) where surplus;

-- What operators did and why, and what nobody should have to guess later.
create table vidbatch.trail (
  id            bigint generated always as identity primary key,
  at            timestamptz not null default now(),
  batch_id      bigint references vidbatch.batch,
  submission_id bigint references vidbatch.submission,
  event         text not null,
  who           text,
  detail        text not null
);
create index trail_submission on vidbatch.trail (submission_id) where submission_id is not null;

-- Journals of workers that this ledger has taken in whole. A copy restored from a backup knows fewer, and reads the
-- others again.
create table vidbatch.journal (
  name        text primary key,
  bytes       bigint not null,
  replayed_at timestamptz not null default now()
);

-- Attempts that a journal knows and whose rows this ledger does not have: it was restored from a copy that is older
-- than their manifest. Whoever brings the rows back finds them sent. `outcome` is JSON text, as in the journal.
create table vidbatch.orphan (
  attempt_id  uuid primary key,
  batch       text not null,
  row_key     text not null,
  number      integer not null,
  epoch       integer not null,
  worker      text not null,
  origin      text not null,
  intended_at timestamptz not null,
  outcome     text
);
create index orphan_row on vidbatch.orphan (batch, row_key);

-- Which feeders are alive: rows queued in a lane that nobody feeds any more are taken over by others.
create table vidbatch.lane (
  name    text primary key,
  seen_at timestamptz not null default now()
);

-- A manifest on its way into the ledger. Rows of an import that never ended are swept away by the next one.
create table vidbatch.import (
  id      uuid primary key,
  seen_at timestamptz not null default now()
);
create table vidbatch.staged (
  import_id    uuid not null references vidbatch.import on delete cascade,
  position     bigint not null,
  line         integer not null,
  key_basis    text not null,
  numbered     boolean not null,
  row_key      text,
  input        text not null,
  request      text,
  content_hash text,
  model        text,
  mode         text,
  not_before   timestamptz,
  error_code   text,
  error        text,
  primary key (import_id, position)
);
create index staged_key on vidbatch.staged (import_id, row_key);
