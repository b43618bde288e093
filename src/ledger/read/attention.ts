import type { Queryable } from '../../database/database.ts';
import { ALIVE_MS } from '../workers.ts';
import { readOne } from './query.ts';

/** The numbers behind what needs a person. */
export interface AttentionFacts {
  /** Rows with a second task: paid twice. */
  paidTwice: number;
  uncertain: number;
  /** The most that uncertain rows may have cost, one amount for each currency. */
  uncertainCost: { amount: string; currency: string }[];
  oldestUncertain: Date | null;
  /** Rows that could be sent now if there were a worker. */
  unfed: number;
  /** When a worker was last alive; null: none is known. */
  lastWorker: Date | null;
  halts: { origin: string; code: string; reason: string; raisedAt: string; rows: number }[];
  stopped: { batch: string; code: string | null; reason: string; rows: number }[];
  failedSchedules: { schedule: string; reason: string; at: string }[];
  /** Tasks that failed within the last day and were not made again, by batch. */
  failedTasks: { batch: string; tasks: number }[];
  /** Videos that are not downloaded, and whose URLs die within six hours, by batch. */
  dying: { batch: string; videos: number; firstAt: string }[];
}

/** A task that failed earlier is no news. `failures` lists all. */
const NEWS = `interval '1 day'`;
const SOON = `interval '6 hours'`;

/** In one statement: several would read several moments. */
export function readAttentionFacts(db: Queryable): Promise<AttentionFacts> {
  return readOne<AttentionFacts>(
    db,
    `with uncertain as (
       select s.updated_at, s.price, s.currency from vidbatch.row_state s where s.state = 'uncertain'
     )
     select (select count(*) from vidbatch.attempt where surplus)::int as "paidTwice",
            (select count(*) from uncertain)::int as uncertain,
            (select coalesce(json_agg(c), '[]') from (
               select trim_scale(sum(u.price))::text as amount, u.currency from uncertain u
                where u.price is not null group by u.currency order by u.currency) c) as "uncertainCost",
            (select min(updated_at) from uncertain) as "oldestUncertain",
            (select coalesce(sum(waiting.rows), 0)::int from vidbatch.batch b
               left join vidbatch.provider p on p.origin = b.origin
              cross join vidbatch.meta m
              cross join lateral (select count(*) as rows from vidbatch.row_state s
                                   where s.batch_id = b.id and s.state = 'pending' and s.not_before <= now()) waiting
              where waiting.rows > 0 and vidbatch.blocked_by(b, p, m) = '{}'
                and not exists (select from vidbatch.worker w
                                 where w.seen_at > now() - $1 * interval '1 millisecond'
                                   and (w.batches is null or b.id = any(w.batches)))) as unfed,
            (select max(seen_at) from vidbatch.worker) as "lastWorker",
            (select coalesce(json_agg(h order by h."raisedAt"), '[]') from (
               select h.origin, h.code, h.reason, h.raised_at as "raisedAt",
                      (select count(*) from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
                        where b.origin = h.origin and s.state = 'pending')::int as rows
                 from vidbatch.halt h where h.lifted_at is null) h) as halts,
            (select coalesce(json_agg(s order by s.batch), '[]') from (
               select b.name as batch, b.stop_code as code, b.stop_reason as reason,
                      (select count(*) from vidbatch.row_state s where s.batch_id = b.id and s.state = 'pending')::int as rows
                 from vidbatch.batch b where b.state = 'stopped') s) as stopped,
            (select coalesce(json_agg(f order by f.schedule), '[]') from (
               select c.name as schedule, r.reason, r.ended_at as at
                 from vidbatch.schedule c
                cross join lateral (select r.state, r.reason, r.ended_at from vidbatch.run r
                                     where r.schedule_id = c.id and r.state in ('made', 'failed')
                                     order by r.tick desc limit 1) r
                where r.state = 'failed') f) as "failedSchedules",
            (select coalesce(json_agg(f order by f.tasks desc, f.batch), '[]') from (
               select b.name as batch, count(*)::int as tasks
                 from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
                 join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
                where s.state = 'submitted' and s.provider_status = 'failed'
                  and coalesce(t.finished_at, t.answered_at) > now() - ${NEWS}
                group by b.name) f) as "failedTasks",
            (select coalesce(json_agg(d order by d."firstAt", d.batch), '[]') from (
               select b.name as batch, count(*)::int as videos, min(t.url_expires_at) as "firstAt"
                 from vidbatch.task t
                 join vidbatch.row_state s on s.id = t.submission_id and s.task_id = t.task_id
                 join vidbatch.batch b on b.id = s.batch_id
                where t.url_expires_at between now() and now() + ${SOON} and s.provider_status = 'completed'
                  and not exists (select from vidbatch.download d
                                   where d.submission_id = s.id and d.task_id = t.task_id and d.state = 'downloaded')
                group by b.name) d) as dying`,
    [ALIVE_MS],
  );
}
