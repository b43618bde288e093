-- Tries in a row that reached nobody, over all rows and workers, and since when: a provider that is away is no row's fault.
alter table vidbatch.provider
  add column unreached_streak integer not null default 0,
  add column unreached_since timestamptz;
