/**
 * Parts of the statements that claim rows. Parameters: $1 the batch, $2 ids of the attempts, $3 the worker, $4 the
 * provider's origin, $5 milliseconds to the deadline, $6 the only batches that count, or null; then those of the limits.
 */
import { affordable } from '../money/budget.ts';
import { doubtMsOf } from './unknown-outcome.ts';
import { CLAIM_ORDER, DUE, dueGroups, PAUSED_MODELS } from './group.ts';
import { MODELS_WITH_ROOM, SLOTS } from './rate-limiter.ts';

/** How many rows are asked for. */
export const ASKED = '(select count(*) from wish)';

/** The claim's own attempt is not there yet for the statement that makes it. */
const DOUBT_MS = `case when s.doubtful then ${doubtMsOf('s', 'batch.profile_id')} end as doubt_ms`;

/** Ids that no attempt has: a statement whose answer was lost may be repeated, and each id makes one attempt. */
export const UNUSED = `
     wish as materialized (
       select w.id, row_number() over (order by w.place) as n from unnest($2::uuid[]) with ordinality as w(id, place)
        where not exists (select from vidbatch.attempt a where a.id = w.id)
     )`;

/** The batch, if nothing keeps its rows from being sent. */
export const OPEN_BATCH = `
       select b.id, b.name, b.profile_id, b.proven, b.budget_currency as currency, b.budget - b.held as money, p.epoch, p.throttle_level,
              p.origin, p.state = 'probing' as probing, 'off-peak-window' <> all (vidbatch.blocked_by(b, p, m)) as off_peak_too,
              ${PAUSED_MODELS} as paused_models
         from vidbatch.batch b
         join vidbatch.provider p on p.origin = b.origin
        cross join vidbatch.meta m
        where b.id = $1 and b.origin = $4 and ($6::bigint[] is null or b.id = any($6))
          and vidbatch.blocked_by(b, p, m) <@ '{off-peak-window,model-paused}'`;

/** The batch has a row that may be sent now and has not caused a halt. */
export const HAS_UNHALTED = `exists (
                select from ${dueGroups('locked')} g
                 cross join lateral (
                   select from vidbatch.row_state s
                    where ${DUE('locked.id')} and s.halted_at is null and ${affordable('locked')} limit 1) unhalted)`;

/**
 * Rows of the batch that are due, up to `most`: the higher priority first, then the one that was due first, then the
 * order of the manifest. Rows that another worker is claiming are skipped.
 */
export const pick = (most: string, limited: boolean, budgeted: boolean): string => `
     due as materialized (
       select g.model, g.priority from batch
        cross join lateral ${dueGroups('batch')} g
        ${limited ? `where ${MODELS_WITH_ROOM}` : ''}
     ), picked as materialized (
       select c.* from batch cross join due g
        cross join lateral (
          select s.id, s.priority, s.not_before, s.price - s.held as adds, s.halted_at
            from vidbatch.row_state s
           where ${DUE('batch.id')}
             ${
               budgeted
                 ? `and ${affordable('batch')} and (not batch.probing or s.halted_at is null or not batch.has_unhalted)`
                 : ''
             }
           order by ${CLAIM_ORDER}
           limit ${most}
             for update skip locked
        ) c
     )`;

/** pending → submitting, with the attempts. A row that was edited while the claim waited for it is left for the next one. */
export const CLAIMED = `
     claimed as (
       update vidbatch.row_state s
          set previous = s.state, state = 'submitting', attempt_id = w.id, called_at = now(),
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from chosen c join wish w on w.n = c.n join vidbatch.row r on r.id = c.id cross join batch
        where s.id = c.id and s.content_hash = r.content_hash
       returning s.id as submission_id, s.attempt_id, r.request, s.content_hash, s.attempts as number, s.spent, s.deadline,
                 r.row_key, batch.name as batch, batch.epoch, batch.profile_id,
                 batch.throttle_level, s.refusals, ${DOUBT_MS}, c.slot_ms, c.adds,
                 s.model, s.priority, s.not_before
     ), attempted as (
       insert into vidbatch.attempt
         (id, submission_id, number, worker, origin, epoch, profile_id, content_hash, refusals, same_key, deadline)
       select attempt_id, submission_id, number, $3, $4, epoch, profile_id, content_hash, refusals,
              doubt_ms is not null, deadline
         from claimed
     )`;

export const IN_ORDER = 'order by priority desc, not_before, id';

/** Of the picked rows, those that have a turn under the limits. */
export const chosen = (most: string, limited: boolean, from = 'picked'): string =>
  limited
    ? `
     chosen as materialized (
       select p.id, row_number() over (order by p.priority desc, p.not_before, p.id) as n, t.slot_ms, p.adds
         from ${SLOTS(`array(select id from ${from} ${IN_ORDER})`, most)} t
         join ${from} p on p.id = t.submission_id
     )`
    : `
     chosen as materialized (
       select id, row_number() over (${IN_ORDER}) as n, null::float8 as slot_ms, adds from ${from}
        ${IN_ORDER} limit ${most}
     )`;
