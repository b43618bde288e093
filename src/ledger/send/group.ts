/**
 * The models and priorities of the pending rows of a batch, as a table expression with `model`, `priority` and
 * `due_at`, the first moment at which a row of the group may be sent. So rows of a model that has to wait, and rows
 * that are due later, are skipped and not read. It costs three index lookups for each group, and a batch has few
 * groups.
 */
export const groups = (batch: string): string => `(
  with recursive step(model, priority, due_at) as (
    (select s.model, s.priority, s.not_before from vidbatch.row_state s
      where s.batch_id = ${batch} and s.state = 'pending'
      order by ${CLAIM_ORDER} limit 1)
    union all
    select n.* from step l cross join lateral (
      select * from (
        (select s.model, s.priority, s.not_before from vidbatch.row_state s
          where s.batch_id = ${batch} and s.state = 'pending' and s.model = l.model and s.priority < l.priority
          order by ${CLAIM_ORDER} limit 1)
        union all
        (select s.model, s.priority, s.not_before from vidbatch.row_state s
          where s.batch_id = ${batch} and s.state = 'pending' and s.model > l.model
          order by ${CLAIM_ORDER} limit 1)
      ) either order by model, priority desc limit 1) n
  )
  select * from step)`;

/** The models that an operator paused: in the batch `b`, or in all batches. */
export const PAUSED_MODELS = '(m.paused_models || b.paused_models)';

/** The groups of batch `batch` that have a row which may be sent now, by its time, its model and the window of off-peak rows. */
export const dueGroups = (batch: string): string => `(
  select g.* from ${groups(`${batch}.id`)} g
   where g.due_at <= now() and (${batch}.off_peak_too or not vidbatch.is_off_peak(g.model))
     and g.model <> all (${batch}.paused_models))`;

/** The order of the index `row_state_claim`, of rows `s` of one batch. */
export const CLAIM_ORDER = 's.model, s.priority desc, s.not_before, s.id';

/** A pending row `s` of batch `batch` and group `g`. */
export const PENDING = (batch: string): string =>
  `s.batch_id = ${batch} and s.model = g.model and s.priority = g.priority and s.state = 'pending'`;

/** One that may be sent now, as far as the row alone decides. */
export const DUE = (batch: string): string => `${PENDING(batch)} and s.not_before <= now()`;
