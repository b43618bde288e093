-- The schema of the ledger, by topic:
--   1 the ledger itself    meta, window, and the function `is_open`
--   2 providers            provider, halt, poller
--   3 batches and rows     profile, batch, row, row_state, row_count, and the view `submission`
--   4 sending              attempt, feeder, worker, journal, unmatched_attempt, and the function `blocked_by`
--   5 tasks and videos     task, folder, download
--   6 limits               quota, and the functions `running` and `reserve_slots`
--   7 schedules            schedule, run, ticker
--   8 records              event_log, charge, bill_sum, notify_target, notice
--   9 one command's work   import, staged, listed, paired, suspect
-- Once released, this file does not change: a later version adds a numbered file. A ledger keeps the hash of each file.
-- It is refused when a file has another hash.
-- A CHECK accepts null, so each one names the nulls that it refuses.

-- 1 ── The ledger itself ────────────────────────────────────────────────────────────────────────────────────────────

-- A window: hours in which rows may be sent, as a person wrote them. A window never changes: another text is a new window.
create table vidbatch.window (
  id   bigint generated always as identity primary key,
  text text not null unique
);

-- The hours of a window: from `opens` to `closes`, counted from midnight, in the local time of `zone`. Hours that pass
-- midnight close after 24:00. They open on `days` (ISO: 1 is Monday), but not on the dates `except_on`.
create table vidbatch.window_hours (
  window_id bigint not null references vidbatch.window on delete cascade,
  number    integer not null,
  zone      text not null,
  days      smallint[] not null,
  opens     interval not null,
  closes    interval not null,
  except_on date[] not null,
  primary key (window_id, number),
  constraint window_hours_opens check (opens >= '0' and opens < '24:00'),
  constraint window_hours_closes check (closes > opens and closes <= opens + '24:00')
);

-- Whether a window is open at a moment and for some seconds after it, by the local time of its zone. A time that the
-- clocks skip opens nothing, and a time that they show twice opens twice. Hours that pass midnight belong to the day on
-- which they open. Windows open and shut at whole seconds, so one check a second is enough.
create function vidbatch.is_open(its_window bigint, moment timestamptz, seconds integer) returns boolean
language plpgsql stable as $$
begin
  return coalesce(seconds >= 0, false) and not exists (
    select from generate_series(0, seconds) later
     where not exists (
       select from vidbatch.window_hours h
        cross join lateral (select (moment + later * interval '1 second') at time zone h.zone as clock) wall
        cross join lateral (values (wall.clock::date), (wall.clock::date - 1)) opening(day)
        where h.window_id = its_window
          and wall.clock >= opening.day + h.opens and wall.clock < opening.day + h.closes
          and extract(isodow from opening.day) = any (h.days)
          and opening.day <> all (h.except_on)
     )
  );
exception when invalid_parameter_value then
  -- The ledger was moved to a server that does not know the zone. An error would stop rows of other windows, too.
  return false;
end $$;

-- One row about the ledger as a whole. `paused_at`: nothing is sent. `paused_models`: no row of these models is sent, in
-- any batch. `offpeak_window_id`: the window of all rows of off-peak models, in every batch. `closed_code`: another copy of
-- this ledger may send, or its rows are not all there; nothing is sent until a person reopens it. `closed_note` names the
-- other copy, or what this one is made from.
create table vidbatch.meta (
  only_row          boolean primary key default true constraint meta_only_row check (only_row),
  ledger_id         text not null,
  paused_at         timestamptz,
  paused_models     text[] not null default '{}',
  offpeak_window_id bigint references vidbatch.window,
  closed_at         timestamptz,
  closed_code       text,
  closed_note       text,
  created_at        timestamptz not null default now(),
  constraint meta_closed_code check (closed_code in ('incomplete', 'copying', 'copied', 'restored')),
  constraint meta_closed check (
    (closed_code is null) = (closed_at is null) and (closed_code is null) = (closed_note is null)
  )
);

-- 2 ── Providers ────────────────────────────────────────────────────────────────────────────────────────────────────

-- What stops or slows all workers at one provider. `probe` is the one attempt in flight that tries out a halted
-- provider. `epoch` counts these tries: an answer to an older attempt must not raise the halt again.
-- `unreached_streak` counts attempts in a row that did not reach the provider, over all rows and workers: a provider
-- that is away is the fault of no row.
create table vidbatch.provider (
  origin           text primary key,
  state            text not null default 'open',
  epoch            integer not null default 0,
  probe            uuid,
  throttled_until  timestamptz not null default '-infinity',
  throttled_since  timestamptz,
  throttle_raised  timestamptz not null default '-infinity',
  throttle_level   integer not null default 0,
  uncertain_streak integer not null default 0,
  unreached_streak integer not null default 0,
  unreached_since  timestamptz,
  constraint provider_state check (state in ('open', 'halted', 'probing'))
);

-- Why a provider was halted, and until when. At most one halt of a provider is open.
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

-- All processes that poll one provider share this. `next_slot`: when the next poll may leave. `held_until`: no poll
-- leaves before, because the provider asks for a pause or has not answered `level` times in a row.
create table vidbatch.poller (
  origin     text primary key references vidbatch.provider,
  next_slot  timestamptz not null default '-infinity',
  held_until timestamptz not null default '-infinity',
  level      integer not null default 0,
  reason     text
);

-- 3 ── Batches and rows ─────────────────────────────────────────────────────────────────────────────────────────────

-- What one kind of provider looks like, as batches remember it: the whole `text` of a file, so that no batch needs the
-- file any more. Null: a built-in profile, found by its name. `hash` is of the text, and of how idempotency keys are sent.
-- A profile never changes: another text is a new profile.
create table vidbatch.profile (
  id         bigint generated always as identity primary key,
  name       text not null,
  hash       text not null,
  text       text,
  created_at timestamptz not null default now(),
  unique (name, hash)
);

-- One manifest and what a person wants for all of its rows.
create table vidbatch.batch (
  id              bigint generated always as identity primary key,
  name            text not null unique,
  origin          text references vidbatch.provider,
  profile_id      bigint not null references vidbatch.profile,
  state           text not null default 'active',
  -- No row of these models is sent.
  paused_models   text[] not null default '{}',
  priority        smallint not null default 0,
  created_at      timestamptz not null default now(),
  -- The manifest, and how its rows are identified.
  source          text not null,
  key_scheme      text not null,
  format          text not null,
  delimiter       text,
  columns         text,
  -- When its rows may be sent. `deadline` is only used for forecasts; from `not_after` on, no row is sent.
  window_id       bigint references vidbatch.window,
  deadline        timestamptz,
  not_after       timestamptz not null default 'infinity',
  -- Until the first accepted row (`proven`), `canary` is the only attempt in flight: a batch that is wrong as a whole
  -- then fails once.
  proven          boolean not null default false,
  canary          uuid,
  -- A trial stops a batch that is wrong as a whole. `fail_share`: the share of its outcomes that may be failures.
  -- `canary_rows`: that many rows must be accepted one by one; `canaries` is how many are still needed. Attempts from
  -- before `counted_since` do not count.
  fail_share      numeric,
  canary_rows     integer,
  canaries        integer not null default 0,
  counted_since        timestamptz not null default '-infinity',
  succeeded       integer not null default 0,
  failed          integer not null default 0,
  stop_code       text,
  stop_reason     text,
  -- `held` is the sum over its rows and their surplus tasks. The statement that moves a row updates it. Null: there is
  -- no budget, or the budget is new and the sum must be counted first.
  budget          numeric,
  budget_currency text,
  held            numeric,
  constraint batch_state check (state in ('active', 'paused', 'cancelled', 'stopped')),
  constraint batch_priority check (priority between -100 and 100),
  constraint batch_key_scheme check (key_scheme in ('id', 'h1')),
  constraint batch_canary check (not proven or canary is null),
  constraint batch_fail_share check (fail_share > 0 and fail_share <= 1),
  constraint batch_canary_rows check (canary_rows > 0),
  constraint batch_stop check ((state = 'stopped') <= (stop_reason is not null)),
  constraint batch_budget_amount check (budget >= 0),
  constraint batch_budget check ((budget is null) = (budget_currency is null) and (held is null or budget is not null))
);

-- Rows of this model are cheaper outside of the peak hours, and wait for `meta.offpeak_window_id`.
create function vidbatch.is_off_peak(its_model text) returns boolean
language sql immutable as $$ select coalesce(its_model like '%-offpeak', false) $$;

-- When the quarter of an hour began in which a moment is. A day is made of whole quarters in every time zone.
create function vidbatch.quarter_of(moment timestamptz) returns timestamptz
language sql immutable as $$
  select to_timestamp(floor(extract(epoch from moment - timestamptz '2000-01-01 00:00:00+00') / 900) * 900 + 946684800)
$$;

-- What the manifest says about a row. It is written once, and again when the row is edited. `input` is the row as read,
-- `request` the body to send, both as JSON text: the bytes that were checked are the bytes that are sent.
create table vidbatch.row (
  id           bigint generated always as identity primary key,
  batch_id     bigint not null references vidbatch.batch,
  row_key      text not null,
  line         integer not null,
  input        text not null,
  request      text,
  content_hash text,
  mode         text,
  unique (batch_id, row_key)
);
create index row_order on vidbatch.row (batch_id, line, id);
create index row_content on vidbatch.row (content_hash);

-- The state of a row. Each move writes the whole record again, so it is narrow and has few indexes.
create table vidbatch.row_state (
  id              bigint primary key references vidbatch.row,
  batch_id        bigint not null,
  -- `previous` is the state before the last move: with it, `row_state_move` refuses an illegal move.
  state           text not null,
  previous        text,
  updated_at      timestamptz not null default now(),
  -- The same as that of the row, for statements that lock this record: what they read of the row can be older than an
  -- edit.
  content_hash    text,
  -- When and in which order it is sent. `priority` is added to that of the batch. `halted_at`: a halt was raised by it.
  model           text,
  off_peak        boolean not null generated always as (vidbatch.is_off_peak(model)) stored,
  not_before      timestamptz not null default '-infinity',
  priority        smallint not null default 0,
  halted_at       timestamptz,
  -- The attempt that is in flight or was the last one. `refusals` counts the answers after which the idempotency key
  -- may change. `doubtful`: the row is sent again although an earlier attempt may have been accepted, because the
  -- provider honours the key; then the key stays. `remade`: how often a person paid for it again.
  attempt_id      uuid,
  -- When `attempt_id` was claimed: a copy from `attempt`.
  called_at       timestamptz,
  deadline        timestamptz,
  attempts        integer not null default 0,
  spent           integer not null default 0,
  refusals        integer not null default 0,
  doubtful        boolean not null default false,
  remade          integer not null default 0,
  -- The answer to the POST, or why it is invalid.
  http_status     integer,
  error_code      text,
  error           text,
  task_id         text,
  submitted_at    timestamptz,
  -- The status of its task: a copy from `task`. `polled_at` is the time of the first poll.
  provider_status text,
  result_url      text,
  polled_at       timestamptz,
  -- The video of its task is in a folder. Downloads keep it (`note_stored`).
  stored          boolean not null default false,
  -- `price` is the most that the row can cost, by the price file of its manifest; null: unknown. `held` is the part of
  -- it that is spent or may be spent: all of it, from the claim until a refusal is known.
  price           numeric,
  currency        text,
  held            numeric not null generated always as (
    case when doubtful or state in ('submitting', 'submitted', 'uncertain', 'abandoned') then coalesce(price, 0) else 0 end
  ) stored,
  -- If it may be paid: when the quarter of an hour began in which its last call was claimed. The condition is that of `held`.
  quarter         timestamptz generated always as (
    case when doubtful or state in ('submitting', 'submitted', 'uncertain', 'abandoned') then
      vidbatch.quarter_of(coalesce(called_at, updated_at)) end
  ) stored,
  constraint row_state_state check (state in (
    'pending', 'submitting', 'submitted', 'uncertain', 'rejected', 'exhausted', 'invalid', 'cancelled', 'abandoned'
  )),
  constraint row_state_move check (
    (previous is null and state in ('pending', 'invalid'))
    -- Without the first half a null would pass: a CHECK refuses only what is false.
    or previous is not null and (previous, state) in (
      ('pending', 'submitting'), ('pending', 'invalid'), ('pending', 'cancelled'), ('pending', 'uncertain'),
      ('submitting', 'submitted'), ('submitting', 'rejected'), ('submitting', 'pending'),
      ('submitting', 'cancelled'), ('submitting', 'exhausted'), ('submitting', 'invalid'), ('submitting', 'uncertain'),
      ('uncertain', 'submitted'), ('uncertain', 'pending'), ('uncertain', 'cancelled'),
      ('uncertain', 'rejected'), ('uncertain', 'exhausted'), ('uncertain', 'invalid'), ('uncertain', 'abandoned'),
      ('pending', 'submitted'), ('rejected', 'submitted'), ('exhausted', 'submitted'),
      ('cancelled', 'submitted'), ('invalid', 'submitted'), ('abandoned', 'submitted'),
      ('rejected', 'pending'), ('exhausted', 'pending'), ('cancelled', 'pending'), ('invalid', 'pending'),
      ('invalid', 'cancelled'), ('submitted', 'pending')
    )
  ),
  -- A row that may have been paid is never called refused, cancelled or invalid.
  constraint row_state_doubtful check (not doubtful or state in ('pending', 'submitting', 'uncertain')),
  constraint row_state_task_id check ((state = 'submitted') = (task_id is not null)),
  constraint row_state_in_flight check (
    state <> 'submitting' or (attempt_id is not null and deadline is not null)
  ),
  constraint row_state_sendable check (state in ('invalid', 'cancelled') or content_hash is not null),
  constraint row_state_claimable check (state <> 'pending' or model is not null),
  constraint row_state_priority check (priority between -100 and 100),
  constraint row_state_price_amount check (price >= 0),
  constraint row_state_price check ((price is null) = (currency is null))
-- A row passes through four states within seconds. By default, vacuum waits until a fifth of the table is dead: too late
-- for a million rows.
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- Each order in which workers look for rows has its own partial index, so that no plan walks over rows that are done.
-- What may be claimed, by model: the higher priority first, then first come, first served. A worker skips rows of a model
-- that has to wait without reading them.
create index row_state_claim on vidbatch.row_state (batch_id, model, priority desc, not_before, id)
  where state = 'pending';
create index row_state_in_flight on vidbatch.row_state (batch_id, deadline) where state = 'submitting';
-- The rows of a batch, and how many are in each state, with each status of their tasks and each error. Counting a million
-- rows reads this index alone. Equal entries share their space, so it is as small as one of the state.
create index row_state_batch on vidbatch.row_state (batch_id, state, provider_status, error_code);
-- Only rows that were submitted have the status of a task. Postgres must know it to find the few rows of a filter.
create statistics vidbatch.row_state_task (mcv) on state, provider_status, stored from vidbatch.row_state;
-- Rows that failed, to be grouped by cause: to count a hundred thousand of them reads this index alone.
create index row_state_failed on vidbatch.row_state (batch_id, state, model, error_code, http_status, updated_at, id)
  where state in ('rejected', 'exhausted', 'invalid');
-- Uncertain rows, with what tells their age and their most cost: to count thousands of them reads this index alone.
create index row_state_uncertain on vidbatch.row_state (batch_id, id) include (updated_at, price, currency)
  where state = 'uncertain';
-- Whether any row fits into what is left of the budget: the cheapest one that waits.
create index row_state_cheapest on vidbatch.row_state (batch_id, (price - held))
  where state = 'pending' and price is not null;
-- Tasks that are not over, to poll and to count. Tasks that were never polled have no `polled_at`.
create index row_state_unsettled on vidbatch.row_state (polled_at, submitted_at) include (batch_id, model)
  where state = 'submitted' and (provider_status is null or provider_status not in ('completed', 'failed', 'missing'));

-- How many rows of a batch are alike: the sum of `rows` over the records that are alike. Each statement that writes to
-- `row_state` adds a record for what became more and one for what became less, so no two statements wait for each other.
-- Pages and sums read it instead of a million rows. A sweeper adds up old records; `at` is then that of the oldest.
-- It has no foreign key: the check would lock the batch, and so write it again, for each statement.
create table vidbatch.row_count (
  batch_id        bigint not null,
  state           text not null,
  provider_status text,
  error_code      text,
  model           text,
  price           numeric,
  currency        text,
  doubtful        boolean not null,
  stored          boolean not null,
  quarter         timestamptz,
  rows            bigint not null,
  at              timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index row_count_batch on vidbatch.row_count (batch_id);

create function vidbatch.count_rows() returns trigger
language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into vidbatch.row_count (batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored,
                                    quarter, rows)
    select n.batch_id, n.state, n.provider_status, n.error_code, n.model, n.price, n.currency, n.doubtful, n.stored, n.quarter,
           count(*)
      from after_write n group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
  else
    insert into vidbatch.row_count (batch_id, state, provider_status, error_code, model, price, currency, doubtful, stored,
                                    quarter, rows)
    select c.batch_id, c.state, c.provider_status, c.error_code, c.model, c.price, c.currency, c.doubtful, c.stored, c.quarter,
           sum(c.rows)
      from (select n.batch_id, n.state, n.provider_status, n.error_code, n.model, n.price, n.currency, n.doubtful, n.stored,
                   n.quarter, 1 as rows
              from after_write n
            union all
            select o.batch_id, o.state, o.provider_status, o.error_code, o.model, o.price, o.currency, o.doubtful, o.stored,
                   o.quarter, -1
              from before_write o) c
     group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 having sum(c.rows) <> 0;
  end if;
  return null;
end $$;
create trigger row_state_inserted after insert on vidbatch.row_state
  referencing new table as after_write for each statement execute function vidbatch.count_rows();
create trigger row_state_updated after update on vidbatch.row_state
  referencing old table as before_write new table as after_write for each statement execute function vidbatch.count_rows();

-- Completed videos that are in no folder, to find those whose URLs expire soon.
create index row_state_unstored on vidbatch.row_state (id) include (batch_id, task_id)
  where state = 'submitted' and provider_status = 'completed' and not stored;

-- A row with its state, for readers. The plan leaves out the join for queries that read only the state.
create view vidbatch.submission as
  select s.id, s.batch_id, r.row_key, r.line, s.state, s.previous, s.updated_at, r.input, r.request, r.content_hash, s.model,
         r.mode, s.off_peak, s.not_before, s.priority, s.halted_at, s.attempt_id, s.deadline, s.attempts, s.spent, s.refusals,
         s.doubtful, s.remade, s.http_status, s.error_code, s.error, s.task_id, s.submitted_at, s.provider_status,
         s.result_url, s.polled_at, s.price, s.currency, s.held
    from vidbatch.row_state s left join vidbatch.row r on r.id = s.id and r.batch_id = s.batch_id;

-- 4 ── Sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- Why rows of a batch may not be sent now: every reason, the most important for a person first. Empty: they may.
-- `off-peak-window` keeps only rows of off-peak models, and `model-paused` only rows of paused models. The one rule for
-- the claim, the feeder and all that tell people why rows wait. Each claim calls it. It is one simple expression, so it takes a few microseconds.
create function vidbatch.blocked_by(b vidbatch.batch, p vidbatch.provider, m vidbatch.meta) returns text[]
language plpgsql stable as $$
declare
  -- What is claimed may leave for 5 s, and arrives within another one.
  seconds constant integer := 6;
  spent   boolean := false;
  stands  boolean := false;
begin
  if cardinality(m.paused_models) + cardinality(b.paused_models) > 0 then
    stands := exists (
      select from vidbatch.row_state c
       where c.batch_id = b.id and c.state = 'pending' and c.model = any (m.paused_models || b.paused_models));
  end if;
  if b.budget is not null then
    spent := b.held is null or not exists (
      select from vidbatch.row_state c
       where c.batch_id = b.id and c.state = 'pending' and c.price is not null and c.currency = b.budget_currency
         and c.price - c.held <= b.budget - b.held);
  end if;
  return array_remove(array[
    case when b.state = 'cancelled' then 'cancelled' end,
    case when m.closed_code is not null then 'closed' end,
    case when m.paused_at is not null then 'all-paused' end,
    case when b.state = 'paused' then 'paused' end,
    case when stands then 'model-paused' end,
    case when b.state = 'stopped' then 'stopped' end,
    case when p.state = 'halted' then 'halted' end,
    case when b.not_after <= now() + make_interval(secs => seconds) then 'expired' end,
    case when b.window_id is not null and not vidbatch.is_open(b.window_id, now(), seconds) then 'window' end,
    case when m.offpeak_window_id is not null and not vidbatch.is_open(m.offpeak_window_id, now(), seconds)
         then 'off-peak-window' end,
    case when spent then 'budget' end,
    case when p.throttled_until > now() then 'throttled' end,
    -- The canary of the batch, or the probe of the provider, is in flight.
    case when not b.proven and b.canary is not null or p.state = 'probing' and p.probe is not null then 'alone' end
  ], null);
end $$;

-- One row for each POST that may have been made. A task id that a person has found has its own row, beside that of the
-- POST that it answers.
-- Its row has no foreign key: the check would lock the row, and so write it again, for each attempt. No row is ever deleted.
create table vidbatch.attempt (
  id            uuid primary key,
  submission_id bigint not null,
  number        integer not null,
  worker        text not null,
  origin        text not null,
  epoch         integer not null,
  -- Hash of what was sent, because a row can be edited later. Null: the journal of an older version does not hold it.
  content_hash  text,
  -- The profile by which it was sent, and the known refusals of its row before it: with the row and its content, they
  -- make its idempotency key. Null: a person or a journal brought it.
  profile_id    bigint,
  refusals      integer,
  -- It was sent although an earlier attempt may have been accepted, under the idempotency key of that attempt.
  same_key      boolean not null default false,
  claimed_at    timestamptz not null default now(),
  deadline      timestamptz not null,
  -- The journal of a dead worker holds its intent: it may have left.
  intended_at   timestamptz,
  -- Its deadline passed before an answer was recorded.
  swept_at      timestamptz,
  finished_at   timestamptz,
  -- The answer; null until it is recorded. `headers` is JSON text.
  outcome       text,
  phase         text,
  http_status   integer,
  error_code    text,
  error         text,
  request_id    text,
  headers       text,
  body          text,
  task_id       text,
  -- Where the provider says that the task is asked for: path and query on its own origin.
  query_url     text,
  -- It brought a second task id for its row.
  surplus       boolean not null default false,
  -- Its task failed, and a person pays for the row again: it keeps its task id, and `remade_price` is what it cost.
  remade_at     timestamptz,
  remade_price  numeric,
  constraint attempt_outcome
    check (outcome in ('accepted', 'rejected', 'throttled', 'not-sent', 'halted', 'uncertain', 'invalid')),
  constraint attempt_finished check ((outcome is null) = (finished_at is null)),
  constraint attempt_task_id check ((outcome = 'accepted') = (task_id is not null) or outcome is null),
  constraint attempt_surplus check (not surplus or outcome = 'accepted'),
  constraint attempt_remade check (remade_at is null or (outcome = 'accepted' and not surplus)),
  constraint attempt_remade_price check (remade_price >= 0)
-- An attempt is written twice. With room on its page, the second write does not touch the indexes.
) with (fillfactor = 50);
create index attempt_submission on vidbatch.attempt (submission_id, number);
-- Attempts come in the order of time: such an index costs nothing, and finds those since a moment.
create index attempt_claimed on vidbatch.attempt using brin (claimed_at) with (pages_per_range = 32);
create index attempt_surplus on vidbatch.attempt (submission_id) where surplus;
create index attempt_remade on vidbatch.attempt (submission_id) where remade_at is not null;

-- Queues that a worker keeps filled, and when one was last seen to do so. The queue of a `run` goes with it.
create table vidbatch.feeder (
  queue   text primary key,
  seen_at timestamptz not null default now()
);

-- Workers that send rows, as each last described itself. A worker that ends as it should removes its record. `batches`: the
-- only ones whose rows it sends; null: of all. `recorded` and `per_second`: rows since its start, and in the last seconds.
create table vidbatch.worker (
  id          text primary key,
  host        text not null,
  pid         integer not null,
  version     text not null,
  origin      text not null references vidbatch.provider,
  batches     bigint[],
  concurrency integer not null,
  limits      json not null,
  started_at  timestamptz not null default now(),
  seen_at     timestamptz not null default now(),
  in_flight   integer not null default 0,
  recorded    bigint not null default 0,
  per_second  float8 not null default 0,
  draining    boolean not null default false
);

-- Journals of workers that this ledger has read to their end. A ledger that was restored from a backup knows fewer of
-- them, and reads the others again.
create table vidbatch.journal (
  name        text primary key,
  bytes       bigint not null,
  replayed_at timestamptz not null default now()
);

-- Attempts in a journal whose rows this ledger lacks: it was restored from a backup that is older than their manifest.
-- When the rows come back, they count as sent. `row_id` is the row's number in the ledger that sent it, `content_hash`
-- what was sent: an id can be given to another row. Null: the journal is of an older version and does not say.
-- `outcome` is JSON text, as in the journal. Postgres cannot convert every such text, so no statement reads inside it:
-- `kind` and `task_id` are copies.
create table vidbatch.unmatched_attempt (
  attempt_id   uuid primary key,
  batch        text not null,
  row_key      text not null,
  row_id       bigint,
  content_hash text,
  number       integer not null,
  epoch        integer not null,
  worker       text not null,
  origin       text not null,
  intended_at  timestamptz not null,
  outcome      text,
  kind         text,
  task_id      text,
  constraint unmatched_attempt_outcome check ((outcome is null) = (kind is null))
);
create index unmatched_attempt_row on vidbatch.unmatched_attempt (batch, row_key);

-- 5 ── Tasks and videos ─────────────────────────────────────────────────────────────────────────────────────────────

-- What the provider says about a task: one row for every task id of a row, also a surplus one, from the first poll on.
create table vidbatch.task (
  submission_id  bigint not null references vidbatch.row,
  task_id        text not null,
  batch_id       bigint not null references vidbatch.batch,
  -- That of the row at the first poll.
  model          text,
  origin         text not null,
  surplus        boolean not null,
  accepted_at    timestamptz not null,
  status         text not null default 'queued',
  -- The status in the provider's words, and the whole answer.
  raw_status     text,
  body           text,
  progress       integer,
  fail_reason    text,
  started_at     timestamptz,
  finished_at    timestamptz,
  -- `url_expires_at` is known only where the answer, the URL or the profile says so (`url_expiry`).
  result_url     text,
  url_seen_at    timestamptz,
  url_expires_at timestamptz,
  url_expiry     text,
  -- What the provider says that the task costs. Null: it has not said so.
  cost           numeric,
  cost_unit      text,
  -- `due_at` is when to ask next. Null: the task is over, or the provider does not know it; then only a person has it
  -- asked again. A process asks under a lease (`asker`), with the number of its poll, and `due_at` is the end of the
  -- lease: when the process dies, the task is due again.
  due_at         timestamptz,
  asker          text,
  lease_until    timestamptz,
  polls          integer not null default 0,
  asked_at       timestamptz,
  -- The last answer that says something about the task. `failures`: polls without one since then, and why (`problem`).
  answered_at    timestamptz,
  failures       integer not null default 0,
  problem        text,
  -- Answers in a row that the task does not exist.
  misses         integer not null default 0,
  missed_since   timestamptz,
  -- The task was over, and the provider gave another status later: the first status stays.
  later_status   text,
  later_body     text,
  later_at       timestamptz,
  -- How and when the task of a row failed, for counting: null for every other task. A reason may end in an id, and its
  -- beginning names the kind of failure.
  failure        text generated always as (
    case when status = 'failed' and not surplus then left(coalesce(fail_reason, 'the provider gave no reason'), 80) end
  ) stored,
  failed_at      timestamptz generated always as (
    case when status = 'failed' and not surplus then coalesce(finished_at, answered_at) end
  ) stored,
  primary key (submission_id, task_id),
  constraint task_status check (status in ('queued', 'in_progress', 'completed', 'failed', 'unknown', 'missing')),
  constraint task_url_expiry check (url_expiry in ('answer', 'url', 'profile')),
  constraint task_cost check ((cost is null) = (cost_unit is null)),
  constraint task_expiry check ((url_expires_at is null) = (url_expiry is null)),
  -- A task that is not over is always polled again.
  constraint task_due check (due_at is not null or status in ('completed', 'failed', 'missing')),
  constraint task_asked check ((asker is null) = (lease_until is null)),
  constraint task_later check ((later_status is null) = (later_at is null))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index task_due on vidbatch.task (origin, due_at) where due_at is not null;
-- Videos come in the order of time: such an index costs nothing, and finds the URLs that expire soon.
create index task_expiry on vidbatch.task using brin (url_expires_at) with (pages_per_range = 32);
create index task_difference on vidbatch.task (batch_id) where status = 'missing' or later_status is not null;
create index task_surplus on vidbatch.task (batch_id) where surplus;
-- Tasks of rows that failed, by when: those of the last day are found without the others.
create index task_failed on vidbatch.task (failed_at) where failure is not null;
-- The same, to be grouped by cause: it reads this index alone.
create index task_failure on vidbatch.task (batch_id, model, failure, failed_at, submission_id, task_id)
  where failure is not null;
-- Answers in which the profile of the batch does not find the task, its status or its video.
create index task_unread on vidbatch.task (batch_id)
  where status = 'unknown' or (status = 'completed' and result_url is null) or (answered_at is null and failures > 0);

-- Folders into which videos of a batch are downloaded. A file in the folder holds the id: the folder may move.
create table vidbatch.folder (
  id       uuid primary key,
  batch_id bigint not null references vidbatch.batch,
  host     text not null,
  path     text not null,
  used_at  timestamptz not null default now()
);
create index folder_batch on vidbatch.folder (batch_id);

-- The download of a row's video into a folder. While it is `fetching`, a part of the file may be there: of the version
-- that `validator` names (an ETag or a date) and of `total` bytes. With a checksum, the file is whole and gets its name
-- next.
create table vidbatch.download (
  folder_id     uuid not null references vidbatch.folder,
  submission_id bigint not null references vidbatch.row,
  task_id       text not null,
  state         text not null,
  validator     text,
  total         bigint,
  file          text,
  bytes         bigint,
  sha256        text,
  media_type    text,
  code          text,
  reason        text,
  updated_at    timestamptz not null default now(),
  primary key (folder_id, submission_id),
  constraint download_state check (state in ('fetching', 'downloaded', 'failed', 'expired')),
  constraint download_whole check ((file is null) = (bytes is null) and (file is null) = (sha256 is null)),
  constraint download_there check (state <> 'downloaded' or file is not null),
  constraint download_reason check ((state in ('failed', 'expired')) = (code is not null and reason is not null))
);
create index download_submission on vidbatch.download (submission_id);

-- Keeps `row_state.stored`. The row is locked first: of two folders, the second sees what the first one has done.
create function vidbatch.note_stored() returns trigger
language plpgsql as $$
declare
  its_row bigint := case tg_op when 'DELETE' then old.submission_id else new.submission_id end;
begin
  perform from vidbatch.row_state where id = its_row for no key update;
  update vidbatch.row_state s set stored = not s.stored
   where s.id = its_row
     and s.stored <> exists (select from vidbatch.download d
                              where d.submission_id = s.id and d.task_id = s.task_id and d.state = 'downloaded');
  return null;
end $$;
create trigger download_inserted after insert on vidbatch.download
  for each row when (new.state = 'downloaded') execute function vidbatch.note_stored();
create trigger download_updated after update on vidbatch.download
  for each row when ((old.state = 'downloaded' or new.state = 'downloaded') and (old.state, old.task_id) <> (new.state, new.task_id))
  execute function vidbatch.note_stored();
create trigger download_deleted after delete on vidbatch.download
  for each row when (old.state = 'downloaded') execute function vidbatch.note_stored();

-- 6 ── Limits of a provider ─────────────────────────────────────────────────────────────────────────────────────────

-- What all workers share of a provider's limits: of all its requests (model '') and of those of one model. `next_slot`:
-- when the next request may leave. `slots`: how many turns were given. `interval_ms` and `in_flight`: the limits last told, at
-- `said_at`. `auto`: what the workers found out about a limit that is not told, as JSON text.
create table vidbatch.quota (
  origin      text not null references vidbatch.provider,
  model       text not null,
  next_slot   timestamptz not null default '-infinity',
  slots       bigint not null default 0,
  interval_ms float8,
  in_flight   integer,
  said_at     timestamptz not null default '-infinity',
  auto        text,
  primary key (origin, model),
  constraint quota_interval_ms check (interval_ms > 0),
  constraint quota_in_flight check (in_flight > 0)
);

-- How many tasks of a provider (and model) may be running, counted up to `most`: rows in flight, accepted rows whose
-- task is not over, and uncertain rows for as long as such a task can last. Volatile: it must see what was committed
-- while its caller waited for a lock.
create function vidbatch.running(its_origin text, its_model text, most integer) returns integer
language plpgsql volatile as $$
begin
  return (
    select count(*) from (
      select from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'submitting'
      union all
      select from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'submitted'
         and (s.provider_status is null or s.provider_status not in ('completed', 'failed', 'missing'))
      union all
      select from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
       where b.origin = its_origin and its_model in ('', s.model) and s.state = 'uncertain'
         and s.updated_at > now() - case when s.off_peak then interval '48 hours' else interval '1 hour' end
      union all
      select from vidbatch.attempt a
        join vidbatch.row_state s on s.id = a.submission_id
        left join vidbatch.task t on t.submission_id = a.submission_id and t.task_id = a.task_id
       where a.surplus and a.origin = its_origin and its_model in ('', s.model)
         and (t.status is null or t.status not in ('completed', 'failed', 'missing'))
      limit most
    ) one
  );
end $$;

-- Gives turns to up to `most` of the rows, in the order of `ids`. Under each limit, turns are one interval apart, at most
-- `ahead_ms` from now, and no more tasks run than its cap allows. The statement that claims the rows calls it: its locks
-- keep other claims waiting until it is committed. `intervals`: 0 for no limit, null for the one found out. `models` are
-- sorted, so that two calls cannot wait for each other.
create function vidbatch.reserve_slots(
  its_origin text, ids bigint[], models text[], intervals float8[], caps integer[], ahead_ms float8, most bigint
) returns table (submission_id bigint, slot_ms float8)
language plpgsql volatile as $$
declare
  one   record;
  slot  timestamptz;
  free  timestamptz[];
  apart interval[];
  room  integer[];
  taken integer[] := array_fill(0, array[cardinality(models)]);
  given bigint := 0;
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
      join vidbatch.row_state s on s.id = w.id
     order by w.place
  loop
    exit when given >= most;
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
    given := given + 1;
    submission_id := one.id;
    slot_ms := extract(epoch from slot - now()) * 1000;
    return next;
  end loop;
  update vidbatch.quota q set next_slot = greatest(q.next_slot, free[n]), slots = q.slots + taken[n]
    from generate_subscripts(models, 1) n
   where q.origin = its_origin and q.model = models[n] and taken[n] > 0;
end $$;

-- 7 ── Schedules ────────────────────────────────────────────────────────────────────────────────────────────────────

-- Manifests that are submitted again at every tick of a cron expression in a time zone. Ticks before `next_at` are
-- decided: each has a run, or was missed. `decided_at` is the ledger's time of that decision; if it lies in the future,
-- the clock was set back. `flags` is JSON text, as given.
create table vidbatch.schedule (
  id         bigint generated always as identity primary key,
  name       text not null unique,
  cron       text not null,
  zone       text not null,
  manifest   text not null,
  flags      text not null,
  overlap    text not null,
  missed     text not null,
  jitter_ms  integer not null,
  next_at    timestamptz not null,
  decided_at timestamptz not null default now(),
  paused_at  timestamptz,
  created_at timestamptz not null default now(),
  constraint schedule_overlap check (overlap in ('skip', 'queue', 'allow')),
  constraint schedule_missed check (missed in ('skip', 'once')),
  constraint schedule_jitter check (jitter_ms >= 0)
);

-- One run for each tick, made by the worker that sees it first, and one each time a person triggers the schedule. A
-- worker takes a run under a lease; the batch and the state `made` are committed together. `without`: hosts that do not
-- have the manifest.
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

-- 8 ── Records ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- What operators did and why, and what the program decided that the states alone do not explain.
create table vidbatch.event_log (
  id            bigint generated always as identity primary key,
  at            timestamptz not null default now(),
  batch_id      bigint references vidbatch.batch,
  submission_id bigint references vidbatch.row,
  event         text not null,
  who           text,
  detail        text not null
);
create index event_log_submission on vidbatch.event_log (submission_id) where submission_id is not null;
-- Rows that got the task id of another row.
create index event_log_shared on vidbatch.event_log (submission_id) where event = 'task-shared';

-- What was billed, entry by entry. `identity` is the provider's own number of the entry, or else its time. Together with
-- `occurrence` it is the same in every file that has the entry: files may overlap and be read again. `batch_id` and `model`
-- are those of the row when the bill came.
create table vidbatch.charge (
  submission_id bigint not null references vidbatch.row,
  batch_id      bigint not null,
  model         text,
  task_id       text not null,
  identity      text not null,
  occurrence    integer not null,
  entry         text not null,
  amount        numeric not null,
  currency      text not null,
  billed_at     timestamptz,
  charge_id     text,
  file          text not null,
  line          integer not null,
  stored_at     timestamptz not null default now(),
  quarter       timestamptz not null generated always as (vidbatch.quarter_of(coalesce(billed_at, stored_at))) stored,
  primary key (submission_id, task_id, identity, occurrence),
  constraint charge_entry check (entry in ('charge', 'refund')),
  constraint charge_amount check (amount >= 0)
);

-- What was billed in all: the sum of `amount` over the records that are alike. Each statement that writes to `charge` adds
-- records, as `row_count` does for rows.
create table vidbatch.bill_sum (
  batch_id bigint not null,
  model    text,
  currency text not null,
  quarter  timestamptz not null,
  amount   numeric not null
);

create function vidbatch.sum_bills() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    insert into vidbatch.bill_sum (batch_id, model, currency, quarter, amount)
    select o.batch_id, o.model, o.currency, o.quarter, - sum(case o.entry when 'refund' then - o.amount else o.amount end)
      from before_write o group by 1, 2, 3, 4;
  end if;
  insert into vidbatch.bill_sum (batch_id, model, currency, quarter, amount)
  select n.batch_id, n.model, n.currency, n.quarter, sum(case n.entry when 'refund' then - n.amount else n.amount end)
    from after_write n group by 1, 2, 3, 4;
  return null;
end $$;
create index charge_quarter on vidbatch.charge (quarter);
create trigger charge_inserted after insert on vidbatch.charge
  referencing new table as after_write for each statement execute function vidbatch.sum_bills();
create trigger charge_updated after update on vidbatch.charge
  referencing old table as before_write new table as after_write for each statement execute function vidbatch.sum_bills();

-- Where notifications go. `id` is a hash of the URL, because the URL is a secret. The process that holds a lock on the
-- record looks for news. Attempts that were claimed before `looked_at` are looked at. `place`: format, scheme and host, for
-- people.
create table vidbatch.notify_target (
  id         text primary key,
  place      text not null,
  created_at timestamptz not null default now(),
  looked_at  timestamptz not null default now()
);

-- What a target is told, once for each event. Without a `message` it waits for its event, which sets `began_at` again.
-- `ended_at` is null while the event lasts: it is not told again until it has ended. `next_at`: when the next try is due;
-- null: no try is due, because it was told, it is given up, or its event has not come. `failure`: why the last try failed.
create table vidbatch.notice (
  id          bigint generated always as identity primary key,
  target      text not null references vidbatch.notify_target,
  event       text not null,
  subject     text not null,
  began_at    timestamptz not null default now(),
  ended_at    timestamptz,
  message     text,
  tries       integer not null default 0,
  next_at     timestamptz,
  told_at     timestamptz,
  given_up_at timestamptz,
  failure     text,
  constraint notice_message check (message is not null or next_at is null and told_at is null),
  constraint notice_told check (told_at is null or next_at is null),
  constraint notice_given_up check (given_up_at is null or next_at is null and told_at is null and failure is not null)
);
create unique index notice_lasts on vidbatch.notice (target, event, subject) where ended_at is null;
create index notice_event on vidbatch.notice (target, event, subject, ended_at);
create index notice_due on vidbatch.notice (target, next_at) where next_at is not null;
create index notice_given_up on vidbatch.notice (given_up_at) where given_up_at is not null;

-- 9 ── One command's work ───────────────────────────────────────────────────────────────────────────────────────────

-- Files on their way into the ledger, or compared with it. The command deletes its import at its end, and the rows of
-- the tables below go with it. The next import deletes one whose command died.
-- All of these tables are unlogged: no row outlives its command, and none is written twice. A crash of Postgres empties
-- them together, so an import that still exists proves that its rows are complete. A logged import would not.
create unlogged table vidbatch.import (
  id      uuid primary key,
  seen_at timestamptz not null default now()
);

-- Rows of a manifest, before they become rows of a batch. Rows without an id are `numbered` among those with the same
-- `key_basis`; they get their `row_key` once all rows are there.
create unlogged table vidbatch.staged (
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
  priority     smallint not null default 0,
  error_code   text,
  error        text,
  primary key (import_id, position)
);
create index staged_key on vidbatch.staged (import_id, row_key);

-- Lines of the provider's own files (task lists and bills). `subject` is the task id, or the request id of a line that
-- has no task id; null: the line names neither. Times are the provider's.
create unlogged table vidbatch.listed (
  import_id  uuid not null references vidbatch.import on delete cascade,
  position   bigint not null,
  file       text not null,
  line       integer not null,
  subject    text,
  task_id    text,
  request_id text,
  listed     boolean not null,
  model      text,
  duration   integer,
  prompt     text,
  status     text,
  created_at timestamptz,
  client     text,
  charge_id  text,
  entry      text,
  amount     numeric,
  currency   text,
  billed_at  timestamptz,
  identity   text,
  aside      boolean not null,
  fault      text,
  raw        text not null,
  primary key (import_id, position)
);
create index listed_subject on vidbatch.listed (import_id, subject);

-- Every task of the ledger or of the files, once, with its attempt where the ledger has one. `model` to `created_to`
-- are what the task lists say about a task that the ledger does not know.
create unlogged table vidbatch.paired (
  import_id    uuid not null references vidbatch.import on delete cascade,
  subject      text not null,
  attempt_id   uuid,
  orphaned     boolean not null default false,
  candidate    boolean not null default false,
  model        text,
  duration     integer,
  prompt       text,
  created_from timestamptz,
  created_to   timestamptz,
  primary key (import_id, subject)
);
create index paired_unknown on vidbatch.paired (import_id, model, created_from) where attempt_id is null;

-- Attempts that may have become a task without the ledger knowing it: a task that was created `during` their time may be
-- theirs. `owner` is the row or the unmatched attempt. `settles`: the row is uncertain, and a task that can only be its own settles
-- it.
create unlogged table vidbatch.suspect (
  import_id     uuid not null references vidbatch.import on delete cascade,
  attempt_id    uuid not null,
  owner         text not null,
  submission_id bigint,
  settles       boolean not null,
  model         text,
  duration      integer,
  prompt        text,
  during        tstzrange not null,
  primary key (import_id, attempt_id)
);
create index suspect_during on vidbatch.suspect using gist (during);
create index suspect_owner on vidbatch.suspect (import_id, owner);
