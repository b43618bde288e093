import { EXPLAIN, IN_SLICE } from './invariant.ts';
import type { Invariant } from './invariant.ts';

/** What keeps rows waiting names its reason, and the reason is real. */
export const GATE_INVARIANTS: readonly Invariant[] = [
  {
    name: 'canary-in-flight',
    holds: 'the one row that tries out a batch is in flight, and a batch that was accepted needs none',
    severity: 'broken',
    next: 'vidbatch work frees the slot',
    over: 'whole',
    sql: `select b.id as batch_id, null::bigint as submission_id, b.canary as attempt_id,
                 'batch ' || b.name || case when b.proven then ' was accepted and still tries itself out'
                   else ' is tried out by an attempt that is not in flight' end as what
            from vidbatch.batch b
           where b.canary is not null
             and (b.proven or not exists (select from vidbatch.submission s
                                           where s.attempt_id = b.canary and s.state = 'submitting' and s.batch_id = b.id))`,
  },
  {
    name: 'probe-in-flight',
    holds: 'the one row that tries out a halted provider is in flight',
    severity: 'broken',
    next: 'vidbatch work frees the slot',
    over: 'whole',
    sql: `select null::bigint as batch_id, null::bigint as submission_id, p.probe as attempt_id,
                 p.origin || ' is tried out by an attempt that is not in flight' as what
            from vidbatch.provider p
           where p.probe is not null
             and not exists (select from vidbatch.attempt a join vidbatch.submission s on s.attempt_id = a.id
                              where a.id = p.probe and a.origin = p.origin and s.state = 'submitting')`,
  },
  {
    name: 'halt-told',
    holds: 'a provider is stopped exactly while there is an open halt with its reason',
    severity: 'broken',
    next: 'vidbatch work tries the provider out with one row',
    over: 'whole',
    sql: `select null::bigint as batch_id, null::bigint as submission_id, null::uuid as attempt_id,
                 p.origin || ' is ' || p.state || case when h.n = 0 then ' without a halt' else ' with an open halt' end as what
            from vidbatch.provider p
           cross join lateral (select count(*) as n from vidbatch.halt h
                                where h.origin = p.origin and h.lifted_at is null) h
           where (p.state = 'open') <> (h.n = 0)`,
  },
  {
    name: 'provider-known',
    holds:
      'the provider of every attempt and of every batch that was tried is in the ledger, which could not record answers without it',
    severity: 'broken',
    next: EXPLAIN,
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, a.id as attempt_id,
                 case when b.origin is null then 'was tried, and its batch has no provider'
                      else 'was sent to ' || a.origin || ', which the ledger does not know' end as what
            from vidbatch.attempt a
            join vidbatch.submission s on s.id = a.submission_id
            join vidbatch.batch b on b.id = s.batch_id
           where ${IN_SLICE}
             and (b.origin is null or not exists (select from vidbatch.provider p where p.origin = a.origin))`,
  },
  {
    name: 'cancelled-rests',
    holds: 'no row of a cancelled batch waits to be sent',
    severity: 'note',
    next: 'vidbatch work cancels it; it is not sent',
    over: 'slice',
    sql: `select s.batch_id, s.id as submission_id, null::uuid as attempt_id,
                 'is pending in a cancelled batch' as what
            from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
           where ${IN_SLICE} and b.state = 'cancelled' and s.state = 'pending'`,
  },
  {
    name: 'window-known',
    holds: 'the ledger knows when the windows are open for which rows wait',
    severity: 'note',
    next: 'vidbatch work reckons it anew; until then the window is shut',
    over: 'whole',
    sql: `select null::bigint as batch_id, null::bigint as submission_id, null::uuid as attempt_id,
                 'of the window ' || h.text || ' nothing is known any more' as what
            from vidbatch.window h
           where h.known_until < now()
             and (exists (select from vidbatch.meta m where m.offpeak_window_id = h.id)
                  or exists (select from vidbatch.batch b where b.window_id = h.id))`,
  },
  {
    name: 'import-ended',
    holds: 'nothing is left of imports that never ended',
    severity: 'note',
    next: 'the next `vidbatch submit` sweeps it away',
    over: 'whole',
    sql: `select null::bigint as batch_id, null::bigint as submission_id, null::uuid as attempt_id,
                 'import ' || i.id || ' never ended and left '
                 || (select count(*) from vidbatch.staged g where g.import_id = i.id) || ' rows' as what
            from vidbatch.import i where i.seen_at < now() - interval '15 minutes'`,
  },
];
