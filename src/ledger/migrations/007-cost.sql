-- What a row costs at most, by the price file that came with its manifest; null: nobody has said. `held` is what of it
-- has been spent, or may have been: all of it, from the claim until a refusal is known.
alter table vidbatch.submission
  add column price numeric check (price >= 0),
  add column currency text,
  add column held numeric not null generated always as (
    case when doubtful or state in ('submitting', 'submitted', 'uncertain', 'abandoned') then coalesce(price, 0) else 0 end
  ) stored,
  add constraint submission_price check ((price is null) = (currency is null));

-- `held` is the sum over the rows and their surplus tasks, kept by whoever moves a row, in the same statement; null:
-- the batch was just given a budget, and is to be counted. Batches without one are not kept account of.
alter table vidbatch.batch
  add column budget numeric check (budget >= 0),
  add column budget_currency text,
  add column held numeric,
  add constraint batch_budget check ((budget is null) = (budget_currency is null) and (held is null or budget is not null));

-- Whether any row fits what is left: by the cheapest one that waits.
create index submission_cheapest on vidbatch.submission (batch_id, (price - held))
  where state = 'pending' and price is not null;
