import { roomOf } from '../../core/rate/limits.ts';
import type { Queryable } from '../../database/database.ts';
import type { Queued } from './feed.ts';
import { FEED_ORDER, levels } from './level.ts';
import { BY_MODEL, limitedOf, RANK, READY, waiting } from './ready.ts';
import type { FeedScope } from './ready.ts';
import { WINDOW_OPEN } from './window.ts';

/**
 * Takes rows out of this lane whose window has shut, so that they wait in the ledger and not in the way of others, and
 * those whose priority has changed since, to be queued anew in their place. Returns their jobs.
 */
export async function withdraw(
  db: Queryable,
  lane: string,
): Promise<(Pick<Queued, 'submissionId' | 'generation'> & { shut: boolean })[]> {
  const { rows } = await db.query<{ id: number; generation: number; shut: boolean }>(
    `update vidbatch.submission s set lane = null
       from vidbatch.batch b, vidbatch.meta m
      where s.lane = $1 and s.state = 'pending' and b.id = s.batch_id
        and (not ${WINDOW_OPEN} or s.rank is distinct from ${RANK})
     returning s.id, s.generation, not ${WINDOW_OPEN} as shut`,
    [lane],
  );
  return rows.map((row) => ({ submissionId: row.id, generation: row.generation, shut: row.shut }));
}

/**
 * Takes rows of the lowest rank out of this lane, the last that came first, as far as rows of a higher rank wait for which
 * there is no `room`. Returns their jobs.
 */
export async function makeRoom(
  db: Queryable,
  scope: FeedScope,
  { depth, room }: { depth: number; room: number },
): Promise<Pick<Queued, 'submissionId' | 'generation'>[]> {
  const limited = limitedOf(scope);
  const { rows } = await db.query<{ id: number; generation: number }>(
    `with low as (
       select min(s.rank) as rank from vidbatch.submission s where s.lane = $3 and s.state = 'pending'
     -- Asked once, before any batch is looked at: mostly no row has a rank, or few are queued.
     ), ready as (${READY} and (select rank from low) is not null and w.rank > (select rank from low)
        order by w.rank desc limit $4
     ), higher as (
       select r.priority + c.priority as rank
         from (select *, case when alone then 1 else $4 end::bigint as share from ready) r
        cross join lateral unnest(r.kinds) k(off_peak)
        ${BY_MODEL.groups}
        cross join lateral (
          select c.priority from ${levels('r.id')} v
           cross join lateral (select c.priority from vidbatch.submission c
                                where ${waiting('c', 'r.id', 'v')} ${BY_MODEL.rows}
                                order by ${FEED_ORDER('c')} limit greatest(0, ${BY_MODEL.most})) c
           where r.priority + v.priority > (select rank from low)
           limit greatest(0, ${BY_MODEL.most})
        ) c
        order by rank desc limit $4
     ), outranked as (
       select s.id from vidbatch.submission s
        where s.lane = $3 and s.state = 'pending' and s.rank < (select max(rank) from higher)
        order by s.rank, s.queued_at desc, s.id desc
        limit greatest(0, (select count(*) from higher) - $7)
          for update skip locked
     )
     update vidbatch.submission s set lane = null from outranked o where o.id = s.id
     returning s.id, s.generation`,
    [
      scope.origin,
      scope.batches,
      scope.lane,
      depth,
      limited.map(({ model }) => model),
      limited.map(roomOf),
      room,
    ],
  );
  return rows.map((row) => ({ submissionId: row.id, generation: row.generation }));
}

/**
 * Takes rows out of this lane, the last that came first and all but `keep`, when a batch that ranks no lower has to wait
 * behind more than these: it came later, and a long one had filled the queue. Fed again, all batches take turns. Returns
 * their jobs.
 */
export async function takeTurns(
  db: Queryable,
  scope: FeedScope,
  { keep }: { keep: number },
): Promise<Pick<Queued, 'submissionId' | 'generation'>[]> {
  const { rows } = await db.query<{ id: number; generation: number }>(
    `with queued as (
       select s.id, s.batch_id, s.queued_at, coalesce(s.rank, 0) as rank,
              -- Those that were fed together stand in turns already.
              rank() over (partition by coalesce(s.rank, 0) order by s.queued_at) - 1 as before
         from vidbatch.submission s where s.lane = $3 and s.state = 'pending'
     ), waits as (
       select r.rank from (${READY} and (select count(*) from queued) > $4) r
        where not exists (select from queued q where q.batch_id = r.id)
          and (select count(*) from queued q where q.rank = r.rank) > $4
       union all
       select q.rank from queued q group by q.batch_id, q.rank having min(q.before) > $4
     ), late as (
       select q.id from queued q
        where q.rank <= (select max(rank) from waits)
        order by q.queued_at desc, q.id desc
        limit greatest(0, (select count(*) from queued) - $4)
     ), taken as (
       select s.id from vidbatch.submission s join late on late.id = s.id
        where s.lane = $3 and s.state = 'pending'
          for update of s skip locked
     )
     update vidbatch.submission s set lane = null from taken t where t.id = s.id
     returning s.id, s.generation`,
    [scope.origin, scope.batches, scope.lane, keep],
  );
  return rows.map((row) => ({ submissionId: row.id, generation: row.generation }));
}
