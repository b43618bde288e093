import type { Counts, State } from '../../core/submission.ts';
import { noCounts } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';
import { FEED_ORDER, levels } from '../send/level.ts';
import { ofKind } from '../send/window.ts';

/** The rows of all batches by state. A pass over every row: the one reading here that costs. */
export async function tally(db: Queryable): Promise<Counts> {
  const { rows } = await db.query<{ state: State; n: number }>(
    'select state, count(*) as n from vidbatch.submission group by state',
  );
  const counts = noCounts();
  for (const row of rows) counts[row.state] = row.n;
  return counts;
}

/** What needs a person, or says that things do not move. */
export interface Standing {
  uncertain: number;
  /** Task ids beyond one a row. */
  surplus: number;
  /** Seconds since the oldest pending row came in or was first tried; 0: none is pending. */
  oldestPendingSeconds: number;
  /** Open halts by their code. */
  halts: Record<string, number>;
  /** Batches that stopped themselves, by the code of the reason. */
  stopped: Record<string, number>;
  /** Schedules whose newest run that was to make a batch has failed. */
  failingSchedules: number;
}

/**
 * Each part reads an index of few rows, in the index's own order: of each batch's waiting rows, in each of its priorities, the one that came first,
 * of those that had to wait the one that is due first, and those in the queue, whose number is bounded.
 */
export async function readStanding(db: Queryable): Promise<Standing> {
  const { rows } = await db.query<{
    uncertain: number;
    surplus: number;
    oldest: number;
    halts: Record<string, number> | null;
    stopped: Record<string, number> | null;
    failing: number;
  }>(
    `with waiting as (
       select f.id, f.updated_at
         from vidbatch.batch b
        cross join (values (false), (true)) k(off_peak)
        cross join lateral ${levels('b.id')} v
        cross join lateral (
          (select s.id, s.updated_at from vidbatch.submission s
            where ${ofKind('s', 'b.id')} and s.priority = v.priority and s.state = 'pending' and s.lane is null
            order by ${FEED_ORDER('s')} limit 1)
          union all
          (select s.id, s.updated_at from vidbatch.submission s
            where ${ofKind('s', 'b.id')} and s.priority = v.priority and s.state = 'pending' and s.lane is null
              and s.not_before > '-infinity'
            order by ${FEED_ORDER('s')} limit 1)) f
       union all
       select id, updated_at from vidbatch.submission where state = 'pending' and lane is not null
     )
     select (select count(*) from vidbatch.submission where state = 'uncertain') as uncertain,
            (select count(*) from vidbatch.attempt where surplus) as surplus,
            coalesce((select max(extract(epoch from now() - least(w.updated_at,
                        (select min(a.claimed_at) from vidbatch.attempt a where a.submission_id = w.id))))::float8
               from waiting w), 0) as oldest,
            (select jsonb_object_agg(h.code, h.n)
               from (select code, count(*)::int as n from vidbatch.halt where lifted_at is null group by code) h) as halts,
            (select jsonb_object_agg(b.code, b.n)
               from (select coalesce(stop_code, 'unknown') as code, count(*)::int as n
                       from vidbatch.batch where state = 'stopped' group by 1) b) as stopped,
            (select count(*) from vidbatch.schedule c
              where 'failed' = (select r.state from vidbatch.run r
                                 where r.schedule_id = c.id and r.state in ('made', 'failed')
                                 order by r.tick desc limit 1)) as failing`,
  );
  const [row] = rows;
  return {
    uncertain: row?.uncertain ?? 0,
    surplus: row?.surplus ?? 0,
    oldestPendingSeconds: Math.max(0, row?.oldest ?? 0),
    halts: row?.halts ?? {},
    stopped: row?.stopped ?? {},
    failingSchedules: row?.failing ?? 0,
  };
}
