import { ofKind } from './window.ts';

/** The order of the index in which free rows are looked for. */
export const FEED_ORDER = (row: string): string =>
  `${row}.off_peak, ${row}.priority desc, ${row}.not_before, ${row}.id`;

/**
 * The priorities of the rows of a batch that are pending, not in a queue, and of the kind `k`, highest first, each with
 * the first moment at which one of its rows is due (`due_at`). Each costs one look at the index, and only as many are
 * looked for as are asked for: a batch has one level, seldom more, and 201 at most.
 */
export const levels = (batch: string): string => `(
  with recursive level(priority, due_at) as (
    (select s.priority, s.not_before from vidbatch.submission s
      where ${ofKind('s', batch)} and s.state = 'pending' and s.lane is null
      order by ${FEED_ORDER('s')} limit 1)
    union all
    select n.priority, n.not_before from level l cross join lateral (
      select s.priority, s.not_before from vidbatch.submission s
       where ${ofKind('s', batch)} and s.state = 'pending' and s.lane is null and s.priority < l.priority
       order by ${FEED_ORDER('s')} limit 1) n
  )
  select priority, due_at from level)`;
