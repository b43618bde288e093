import { SPENT } from '../budget.ts';
import type { Queryable } from '../../database/database.ts';
import { FEED_ORDER, levels } from './level.ts';
import { BATCH_OPEN, OFF_PEAK_OPEN, ofKind } from './window.ts';

/** Rows whose jobs are in the queue. */
const anyQueued = (batch: string): string =>
  `exists (select from vidbatch.submission s where s.batch_id = ${batch} and s.state = 'pending' and s.lane is not null)`;

/** Rows of batch `b` that may be sent now, or were tried and wait for their next try: for two hours at most. */
const anyReady = (kinds: string): string =>
  `exists (select from unnest(${kinds}) k(off_peak)
            cross join lateral ${levels('b.id')} v
            cross join lateral (select from vidbatch.submission s
                                 where ${ofKind('s', 'b.id')} and s.priority = v.priority
                                   and s.state = 'pending' and s.lane is null
                                   and s.not_before <= now() + interval '2 hours'
                                   and (s.not_before <= now() or s.attempts > 0)
                                   and (b.held is null or s.price - s.held <= b.budget - b.held)
                                 order by ${FEED_ORDER('s')} limit 1) one)`;

/**
 * What a worker of this provider still has to do for these batches. `held`: rows are pending, and every one of them
 * behind an operator's pause; `halted`: the provider, or a batch, is stopped and nothing is in flight; `later`: all that is left
 * waits for its window or for a time of its own; `expired`: for none that is ever to come; `spent`: no row that is left
 * fits its batch's budget.
 */
export type Left = 'work' | 'held' | 'halted' | 'later' | 'expired' | 'spent' | 'nothing';

export async function workLeft(db: Queryable, origin: string, ids: readonly number[] | null): Promise<Left> {
  const { rows } = await db.query<{
    flying: boolean;
    held: boolean;
    paused: boolean;
    stopped: boolean;
    waiting: boolean;
    hoping: boolean;
    ready: boolean;
    state: string | null;
  }>(
    `with open as materialized (
       select b.*, o.first, o.last, w.paused, w.active, w.kinds
         from vidbatch.meta m, vidbatch.batch b
        cross join lateral (
          -- In the order of the alphabet, pending comes before submitting: a look at either end of the index tells.
          select (select s.state from vidbatch.submission s
                   where s.batch_id = b.id and s.state in ('pending', 'submitting') order by s.state limit 1) as first,
                 (select s.state from vidbatch.submission s
                   where s.batch_id = b.id and s.state in ('pending', 'submitting') order by s.state desc limit 1) as last
        ) o
        cross join lateral (
          select b.state not in ('active', 'stopped') or m.paused_at is not null as paused,
                 b.state = 'active' and m.paused_at is null and not ${SPENT} as active,
                 case when not ${BATCH_OPEN} then '{}' when ${OFF_PEAK_OPEN} then array[false, true] else array[false] end as kinds
        ) w
        where b.origin = $1 and ($2::bigint[] is null or b.id = any($2)) and o.first is not null
     ), waiting as (
       select * from open where first = 'pending'
     )
     select exists (select from open where last = 'submitting') as flying,
            exists (select from waiting) as held,
            exists (select from waiting where paused) as paused,
            exists (select from waiting where state = 'stopped') as stopped,
            exists (select from waiting where active) as waiting,
            exists (select from waiting where active and not_after > now()) as hoping,
            exists (select from waiting b where active and (${anyQueued('b.id')} or ${anyReady('b.kinds')})) as ready,
            (select state from vidbatch.provider where origin = $1) as state`,
    [origin, ids],
  );
  const row = rows[0];
  if (row?.held !== true) return row?.flying === true ? 'work' : 'nothing';
  if (row.flying) return 'work';
  if (!row.waiting && row.paused) return 'held';
  if (!row.waiting) return row.stopped ? 'halted' : 'spent';
  if (row.state === 'halted') return 'halted';
  if (row.ready) return 'work';
  return row.hoping ? 'later' : 'expired';
}
