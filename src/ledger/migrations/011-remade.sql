-- A task that failed at the provider can be made again, because a person wants that and pays once more. Its attempt
-- keeps its task id: `remade_at` says that the second payment was wanted, and `remade_price` what the first one cost.
alter table vidbatch.attempt
  add column remade_at timestamptz,
  add column remade_price numeric check (remade_price >= 0),
  add constraint attempt_remade check (remade_at is null or (outcome = 'accepted' and not surplus));
create index attempt_remade on vidbatch.attempt (submission_id) where remade_at is not null;

-- How often that was done with a row.
alter table vidbatch.submission
  add column remade integer not null default 0,
  drop constraint submission_move,
  add constraint submission_move check (
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
      ('invalid', 'cancelled'), ('submitted', 'pending')
    )
  );
