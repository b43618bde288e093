import type { Limit } from '../../core/rate/limits.ts';
import { SOME_AFFORDABLE } from '../budget.ts';
import { FEED_ORDER, levels } from './level.ts';
import { BATCH_OPEN, OFF_PEAK_OPEN, ofKind } from './window.ts';

export interface FeedScope {
  /** The queue that is fed, and the name under which its feeder is known to be alive. */
  lane: string;
  origin: string;
  batches: readonly number[] | null;
  /** Of the workers: rows of a model that has to wait do not fill the queue. */
  limits?: readonly Limit[];
}

/** As which a row's job stands in the queue. `s` is the row, `b` its batch, `m` the meta row. */
export const RANK = 'case when m.ranked then s.priority + b.priority end';

/** Rows of a kind and a level that may be queued, as far as they alone decide, in the order of the index. */
export const waiting = (row: string, batch: string, level: string): string =>
  `${ofKind(row, batch)} and ${row}.priority = ${level}.priority
                and ${row}.state = 'pending' and ${row}.lane is null and ${row}.not_before <= now()`;

/** A row that waits and has not run into a halt. */
export const anyUnhalted = (batch: string, kinds: string): string =>
  `exists (select from unnest(${kinds}) k(off_peak)
            cross join lateral ${levels(batch)} v
            cross join lateral (select from vidbatch.submission u
                                 where ${waiting('u', batch, 'v')} and u.halted_at is null
                                 order by ${FEED_ORDER('u')} limit 1) one)`;

/** Limited models (`$5`) and how many rows of each may still be queued, then all others: each looked for by itself. */
export const BY_MODEL = {
  groups: `cross join lateral (
          select l.model, least(r.share, l.room - (
                   select count(*) from vidbatch.submission q
                    where q.state = 'pending' and q.lane is not null and q.model = l.model)) as most
            from unnest($5::text[], $6::bigint[]) as l(model, room)
          union all select null, r.share) g`,
  rows: `and (c.model = g.model or g.model is null and c.model <> all($5)) and g.most > 0`,
  most: 'g.most',
};
export const TOGETHER = { groups: '', rows: '', most: 'r.share' };

/**
 * Batches of which a row may be queued now, with the highest rank of such a row. `$1` is the provider, `$2` the batches,
 * `$3` the lane. Each kind of row is looked for by itself: those that wait for their window are not even looked at.
 */
export const READY = `
       select b.id, b.priority, not b.proven or p.state = 'probing' as alone, p.state = 'probing' as trying, o.kinds, w.rank, m.ranked,
              b.budget_currency as currency, b.budget - b.held as money
         from vidbatch.batch b
         join vidbatch.provider p on p.origin = b.origin
         join vidbatch.meta m on m.paused_at is null
        cross join lateral (
          select case when ${OFF_PEAK_OPEN} then array[false, true] else array[false] end as kinds) o
        cross join lateral (
          select max(b.priority + first.priority) as rank
            from unnest(o.kinds) k(off_peak)
           cross join lateral (select v.priority from ${levels('b.id')} v where v.due_at <= now() limit 1) first) w
        where b.origin = $1 and b.state = 'active' and ($2::bigint[] is null or b.id = any($2))
          and p.throttled_until <= now()
          and (b.proven or b.canary is null)
          and (p.state = 'open' or (p.state = 'probing' and p.probe is null))
          and ${BATCH_OPEN} and ${SOME_AFFORDABLE}
          and w.rank is not null
          and (b.proven or not exists (select from vidbatch.submission s
                       where s.batch_id = b.id and s.state = 'pending' and s.lane is not null))
          and (p.state = 'open' or not exists (select from vidbatch.submission s
                       where s.lane = $3 and s.state = 'pending'))`;

/** Limits of single models. */
export const limitedOf = ({ limits = [] }: FeedScope): Limit[] => limits.filter(({ model }) => model !== '');
