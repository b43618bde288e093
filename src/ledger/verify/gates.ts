import { overLedger, overRows, type Invariant } from './invariant.ts';
import { isKnownZone } from '../send/window.ts';
import { ABANDONED } from '../import/stage.ts';

/** What keeps rows from being sent has a real reason. */
export const GATE_INVARIANTS: readonly Invariant[] = [
  overLedger({
    name: 'canary-in-flight',
    holds: 'the canary of a batch is in flight',
    severity: 'broken',
    next: 'vidbatch work frees the slot',
    from: `vidbatch.batch b
      where b.canary is not null
        and not exists (select from vidbatch.submission s
                         where s.attempt_id = b.canary and s.state = 'submitting' and s.batch_id = b.id)`,
    batch: 'b.id',
    attempt: 'b.canary',
    what: `'batch ' || b.name || ' has a canary that is not in flight'`,
  }),
  overLedger({
    name: 'probe-in-flight',
    holds: 'the probe of a halted provider is in flight',
    severity: 'broken',
    next: 'vidbatch work frees the slot',
    from: `vidbatch.provider p
      where p.probe is not null
        and not exists (select from vidbatch.attempt a join vidbatch.submission s on s.attempt_id = a.id
                         where a.id = p.probe and a.origin = p.origin and s.state = 'submitting')`,
    attempt: 'p.probe',
    what: `p.origin || ' has a probe that is not in flight'`,
  }),
  overLedger({
    name: 'halt-told',
    holds: 'a provider is stopped exactly while there is an open halt with its reason',
    severity: 'broken',
    next: 'vidbatch work tries the provider with one row',
    from: `vidbatch.provider p
      cross join lateral (select count(*) as n from vidbatch.halt h
                           where h.origin = p.origin and h.lifted_at is null) h
      where (p.state = 'open') <> (h.n = 0)`,
    what: `p.origin || ' is ' || p.state || case when h.n = 0 then ' without a halt' else ' with an open halt' end`,
  }),
  overRows({
    name: 'provider-known',
    holds:
      'the ledger has the provider of every attempt and of every tried batch: without it, no answer can be recorded',
    severity: 'broken',
    from: `vidbatch.attempt a
      join vidbatch.submission s on s.id = a.submission_id
      join vidbatch.batch b on b.id = s.batch_id`,
    attempt: 'a.id',
    where: `b.origin is null or not exists (select from vidbatch.provider p where p.origin = a.origin)`,
    what: `case when b.origin is null then 'was tried, and its batch has no provider'
      else 'was sent to ' || a.origin || ', which the ledger does not know' end`,
  }),
  overRows({
    name: 'cancelled-rests',
    holds: 'no row of a cancelled batch waits to be sent',
    severity: 'note',
    next: 'vidbatch work cancels it; it is not sent',
    from: `vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id`,
    where: `b.state = 'cancelled' and s.state = 'pending'`,
    what: `'is pending in a cancelled batch'`,
  }),
  overLedger({
    name: 'zone-known',
    holds: 'the database knows the time zones of all windows in use',
    severity: 'note',
    next: 'update the time zone data of the database; until then the window stays shut',
    from: `(select distinct window_id, zone from vidbatch.window_hours) h
       join vidbatch.window w on w.id = h.window_id
      where (exists (select from vidbatch.meta m where m.offpeak_window_id = w.id)
             or exists (select from vidbatch.batch b where b.window_id = w.id))
        and not ${isKnownZone('h.zone')}`,
    what: `'the database does not know the time zone ' || h.zone || ' of the window ' || w.text`,
  }),
  overLedger({
    name: 'import-ended',
    holds: 'interrupted imports have left nothing behind',
    severity: 'note',
    next: 'the next `vidbatch submit` deletes it',
    from: `vidbatch.import i where ${ABANDONED}`,
    what: `'import ' || i.id || ' was interrupted and left '
      || (select count(*) from vidbatch.staged g where g.import_id = i.id) || ' rows'`,
  }),
];
