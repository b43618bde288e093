import { EXPLAIN, overAttempts, overLedger, overRows, RESOLVED, type Invariant } from './invariant.ts';
import { HELD, mayBePaid } from '../money/budget.ts';

/** It is not known whether the provider accepted the attempt. */
const UNKNOWN = `(a.outcome = 'uncertain' or (a.outcome is null and a.swept_at is not null))`;

/** Paid once, and no task id is lost. */
export const PAYMENT_INVARIANTS: readonly Invariant[] = [
  overAttempts({
    name: 'paid-once',
    holds: 'a row is accepted once',
    severity: 'risk',
    next: 'both tasks exist at the provider: cancel or use the second one there',
    where: `a.surplus`,
    what: `'was paid twice: attempt ' || a.number || ' has task ' || a.task_id
      || coalesce(' besides task ' || s.task_id, '')`,
  }),
  overAttempts({
    name: 'task-id-kept',
    holds:
      'the task id of every accepted attempt belongs to its row, or is known as surplus or as made again',
    severity: 'risk',
    where: `a.outcome = 'accepted' and not a.surplus and a.remade_at is null
      and a.task_id is distinct from s.task_id
      -- An id that comes twice is one task.
      and not exists (select from vidbatch.attempt o
                       where o.submission_id = s.id and o.task_id = a.task_id
                         and (o.surplus or o.remade_at is not null))`,
    what: `'is ' || s.state || coalesce(' as task ' || s.task_id, '') || ', and attempt ' || a.number
      || ' was accepted as task ' || a.task_id`,
  }),
  overRows({
    name: 'submitted-accepted',
    holds: 'a submitted row has the task id of an accepted attempt, or one that a person has found',
    severity: 'broken',
    where: `s.state = 'submitted'
      and not exists (select from vidbatch.attempt a
                       where a.submission_id = s.id and a.outcome = 'accepted' and not a.surplus
                         and a.task_id = s.task_id)`,
    what: `'is submitted as task ' || s.task_id || ', which no answer and no person has reported'`,
  }),
  {
    name: 'task-id-once',
    holds: 'a task id belongs to one row',
    severity: 'risk',
    next: EXPLAIN,
    over: 'whole',
    sql: `with named as (
            select a.submission_id, a.task_id, a.origin from vidbatch.attempt a where a.task_id is not null
            union
            -- A task id without an attempt is broken, and counts for the provider of its batch.
            select s.id, s.task_id, coalesce(b.origin, '')
              from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
             where s.task_id is not null
               and not exists (select from vidbatch.attempt a
                                where a.submission_id = s.id and a.task_id = s.task_id)
          ), shared as (
            select task_id, origin, count(*) as n from named group by task_id, origin having count(*) > 1
          )
          select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'task ' || d.task_id || ' belongs to ' || d.n || ' rows, one of them row ' || s.id as what
            from shared d
            join named n on n.task_id = d.task_id and n.origin = d.origin
            join vidbatch.submission s on s.id = n.submission_id`,
  },
  overAttempts({
    name: 'unknown-kept',
    holds: 'a row stays uncertain until an answer or a person settles it',
    severity: 'risk',
    where: `${UNKNOWN} and not s.doubtful
      and s.state not in ('uncertain', 'submitted', 'submitting')
      and not ${RESOLVED}`,
    what: `'is ' || s.state || ' though it is not known whether attempt ' || a.number || ' was accepted'`,
  }),
  overRows({
    name: 'unknown-not-resent',
    holds:
      'a row is sent again only when its last attempt is known not to have been accepted, or under the same idempotency key',
    severity: 'risk',
    from: `vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
      cross join lateral (select id, number, claimed_at, same_key from vidbatch.attempt n
                           where n.submission_id = a.submission_id and n.number > a.number
                             and not starts_with(n.worker, 'resolve by ')
                           order by n.number limit 1) n`,
    attempt: 'n.id',
    where: `${UNKNOWN} and not n.same_key
      and not exists (select from vidbatch.event_log t
                       where t.submission_id = s.id and starts_with(t.event, 'resolve')
                         and t.at between a.claimed_at and n.claimed_at)`,
    what: `'was sent again as attempt ' || n.number || ' though it is not known whether attempt ' || a.number
      || ' was accepted'`,
  }),
  overRows({
    name: 'doubt-has-reason',
    holds: 'a row in doubt has an attempt whose outcome was not known, at least for a while',
    severity: 'broken',
    where: `s.doubtful
      and not exists (select from vidbatch.attempt a
                       where a.submission_id = s.id
                         and not (s.state = 'submitting' and a.id = s.attempt_id)
                         and (a.outcome is null or a.outcome = 'uncertain' or a.swept_at is not null))`,
    what: `'is ' || s.state || ' and in doubt without a reason'`,
  }),
  overLedger({
    name: 'orphan-adopted',
    holds: 'every attempt that was restored from a journal has found its row',
    severity: 'risk',
    next: 'submit its manifest again: the row comes back as sent',
    from: `vidbatch.unmatched_attempt o left join vidbatch.batch b on b.name = o.batch`,
    batch: 'b.id',
    attempt: 'o.attempt_id',
    what: `'attempt ' || o.number || ' of ' || o.batch || ' ' || o.row_key
      || coalesce(', accepted as task ' || o.task_id, '') || ', has no row (' || o.attempt_id || ')'`,
  }),
];

/** What was billed is summed correctly. */
export const BILL_INVARIANTS: readonly Invariant[] = [
  overLedger({
    name: 'bills-summed',
    holds: 'the sums of what was billed are those of the entries of the bills',
    severity: 'broken',
    next: 'copy the ledger with `vidbatch ledger copy`: the copy sums its bills again',
    from: `(select n.batch_id, n.currency, sum(n.amount) as off
              from (select batch_id, model, currency, quarter, amount from vidbatch.bill_sum
                    union all
                    select batch_id, model, currency, quarter, case entry when 'refund' then amount else - amount end
                      from vidbatch.charge) n
             group by n.batch_id, n.model, n.currency, n.quarter having sum(n.amount) <> 0) d
      join vidbatch.batch b on b.id = d.batch_id`,
    batch: 'b.id',
    what: `'batch ' || b.name || ' sums ' || trim_scale(abs(d.off)) || ' ' || d.currency
      || case when d.off > 0 then ' more' else ' less' end || ' than was billed'`,
  }),
];

/** What batches hold of their budgets is counted correctly. */
export const BUDGET_INVARIANTS: readonly Invariant[] = [
  overLedger({
    name: 'budget-counted',
    holds: 'a batch holds the part of its budget that its rows have spent or may have spent',
    severity: 'broken',
    next: 'submit the manifest of {batch} again: this counts its budget again',
    from: `vidbatch.batch b cross join lateral (select ${HELD} as held) h
      where b.held is not null and b.held <> h.held`,
    batch: 'b.id',
    what: `'batch ' || b.name || ' holds ' || trim_scale(b.held) || ' ' || b.budget_currency || ', and its rows come to ' || trim_scale(h.held)`,
  }),
  overLedger({
    name: 'budget-priced',
    holds: 'every row that was paid from a budget has a price in the currency of the budget',
    severity: 'broken',
    next: 'submit the manifest of {batch} again, with --prices',
    from: `vidbatch.batch b join vidbatch.submission s on s.batch_id = b.id
      where b.budget is not null and s.currency is distinct from b.budget_currency
        and ${mayBePaid('s')}`,
    batch: 'b.id',
    row: 's.id',
    what: `'row ' || s.id || ' was sent under a budget in ' || b.budget_currency || ', and its price is '
      || case when s.price is null then 'not known' else 'in ' || s.currency end`,
  }),
  overLedger({
    name: 'budget-kept',
    holds: 'no batch has cost more than its budget',
    severity: 'note',
    next: 'vidbatch status {batch} shows it; no more rows of this batch are sent',
    from: `vidbatch.batch b where b.held > b.budget`,
    batch: 'b.id',
    what: `'batch ' || b.name || ' holds ' || trim_scale(b.held) || ' ' || b.budget_currency || ' of a budget of ' || trim_scale(b.budget)`,
  }),
];
