import { HELD } from '../budget.ts';
import type { Invariant } from './invariant.ts';

/** What a budget is believed to have left is what it has left. */
export const BUDGET_INVARIANTS: readonly Invariant[] = [
  {
    name: 'budget-counted',
    holds: 'a batch with a budget holds of it what its rows have spent, or may have',
    severity: 'broken',
    next: 'submit the manifest of {batch} again: it is counted anew',
    over: 'whole',
    sql: `select b.id as batch_id, null::bigint as submission_id, null::uuid as attempt_id,
                 'batch ' || b.name || ' holds ' || trim_scale(b.held) || ' ' || b.budget_currency || ', and its rows come to ' || trim_scale(h.held) as what
            from vidbatch.batch b cross join lateral (select ${HELD} as held) h
           where b.held is not null and b.held <> h.held`,
  },
  {
    name: 'budget-priced',
    holds: 'every row that has cost something of a budget has a price in its currency',
    severity: 'broken',
    next: 'submit the manifest of {batch} again, with --prices',
    over: 'whole',
    sql: `select b.id as batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'row ' || s.id || ' was sent under a budget in ' || b.budget_currency || ', and its price is '
                 || case when s.price is null then 'not known' else 'in ' || s.currency end as what
            from vidbatch.batch b join vidbatch.submission s on s.batch_id = b.id
           where b.budget is not null and s.currency is distinct from b.budget_currency
             and (s.state in ('submitting', 'submitted', 'uncertain', 'abandoned') or s.doubtful)`,
  },
  {
    name: 'budget-kept',
    holds: 'no batch has cost more than its budget',
    severity: 'note',
    next: 'vidbatch status {batch} shows it; nothing more of it is sent',
    over: 'whole',
    sql: `select b.id as batch_id, null::bigint as submission_id, null::uuid as attempt_id,
                 'batch ' || b.name || ' holds ' || trim_scale(b.held) || ' ' || b.budget_currency || ' of a budget of ' || trim_scale(b.budget) as what
            from vidbatch.batch b where b.held > b.budget`,
  },
];
