-- The orders in which rows are looked for belong to these indexes alone, so that no plan walks over rows that are done:
-- what is due, first come first served, and whether a batch has rows that are pending or in flight.
drop index vidbatch.submission_feed;
create index submission_feed on vidbatch.submission (batch_id, not_before, id) where state = 'pending' and lane is null;
drop index vidbatch.submission_open;
create index submission_open on vidbatch.submission (batch_id, state) where state in ('pending', 'submitting');

-- An attempt is written twice, the second time on the same page and without touching its indexes.
alter table vidbatch.attempt set (fillfactor = 50);

-- A row passes through four states within seconds; a fifth of a million dead versions is too many to wait for.
alter table vidbatch.submission set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
