-- Folders into which videos of a batch are downloaded. Each is known by an id that a file in it holds: where it is may
-- change.
create table vidbatch.folder (
  id       uuid primary key,
  batch_id bigint not null references vidbatch.batch,
  host     text not null,
  path     text not null,
  used_at  timestamptz not null default now()
);
create index folder_batch on vidbatch.folder (batch_id);

-- What became of a row's video in a folder. `fetching`: a part of it may be there, of the version that `validator` names
-- (an ETag or a date) and of `total` bytes; with a checksum, it is whole and about to get its name.
create table vidbatch.download (
  folder_id     uuid not null references vidbatch.folder,
  submission_id bigint not null references vidbatch.submission,
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
