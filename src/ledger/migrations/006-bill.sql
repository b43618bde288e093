-- Lines of the provider's own files, while they are held against the ledger; forgotten when that is over. `subject`: the
-- task id, or the request id of a line that has none; null: the line names neither. Times are the provider's.
create table vidbatch.listed (
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

-- Every task of the ledger or of the files once, with its attempt where the ledger has one. `model` to `created_to`: what
-- the task lists say of a task that the ledger does not know.
create table vidbatch.paired (
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

-- Attempts of which nobody knows whether they became a task: whatever was created in their time may be theirs. `owner`
-- is the row's, or the orphan's. `settles`: the row is uncertain, so that a task that can be nobody else's settles it.
create table vidbatch.suspect (
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

-- What was billed, entry by entry. `identity`: the provider's own number of the entry, else its time; with `occurrence`
-- it is the same in every file that has the entry, so that files may overlap and come again.
create table vidbatch.charge (
  submission_id bigint not null references vidbatch.submission,
  task_id       text not null,
  identity      text not null,
  occurrence    integer not null,
  entry         text not null check (entry in ('charge', 'refund')),
  amount        numeric not null check (amount >= 0),
  currency      text not null,
  billed_at     timestamptz,
  charge_id     text,
  file          text not null,
  line          integer not null,
  stored_at     timestamptz not null default now(),
  primary key (submission_id, task_id, identity, occurrence)
);
