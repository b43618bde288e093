-- The number of the row in the ledger that sent it, and what was sent, as a hash: an id can be given to another row. Null:
-- a journal of an older version said nothing of them.
alter table vidbatch.orphan add column row_id bigint, add column content_hash text;
