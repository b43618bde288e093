-- Hours in which rows may be sent, by their text, and when they are open: reckoned for the days to come by whoever has
-- the newest tz database (`tz`), so that all workers go by one calendar. After `known_until` nothing is known: shut.
create table vidbatch.window (
  id          bigint generated always as identity primary key,
  text        text not null unique,
  openings    tstzmultirange not null,
  known_until timestamptz not null,
  tz          text not null
);

-- For rows of off-peak models, whatever their batch.
alter table vidbatch.meta add column offpeak_window_id bigint references vidbatch.window;

-- `window_id`: for all rows of the batch. `deadline` is what a person hopes for; from `not_after` on nothing is sent.
alter table vidbatch.batch
  add column window_id bigint references vidbatch.window,
  add column deadline timestamptz,
  add column not_after timestamptz not null default 'infinity';

alter table vidbatch.submission
  add column off_peak boolean not null generated always as (coalesce(model like '%-offpeak', false)) stored;

-- A million rows that wait for their window must not stand in the way of the others.
drop index vidbatch.submission_feed;
create index submission_feed on vidbatch.submission (batch_id, off_peak, not_before, id)
  where state = 'pending' and lane is null;
