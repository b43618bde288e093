import type { Queryable } from '../../database/database.ts';
import { readOne } from './query.ts';
import { CLAIM_ORDER, groups, PENDING } from '../send/group.ts';
import { heldProviders, openHalts } from '../send/provider.ts';
import type { Halt, ProviderStatus } from '../send/provider.ts';

/** What needs a person, or shows that nothing is sent. */
export interface Alerts {
  uncertain: number;
  /** Second task ids of rows: paid twice. */
  surplus: number;
  /** Seconds since the oldest pending row was imported or first tried; 0: no row is pending. */
  oldestPendingSeconds: number;
  halts: Record<string, number>;
  /** Batches that stopped themselves, by the code of the reason. */
  stopped: Record<string, number>;
  /** Schedules whose latest run that was made has failed. */
  failingSchedules: number;
}

/**
 * Each part reads a few rows of an index. The oldest pending row is the first row of a batch, model and priority, or the
 * first of its rows that had to wait.
 */
export function readAlerts(db: Queryable): Promise<Alerts> {
  return readOne<Alerts>(
    db,
    `with waiting as (
       select f.id, f.updated_at
         from vidbatch.batch b
        cross join lateral ${groups('b.id')} g
        cross join lateral (
          (select s.id, s.updated_at from vidbatch.submission s
            where ${PENDING('b.id')} order by ${CLAIM_ORDER} limit 1)
          union all
          (select s.id, s.updated_at from vidbatch.submission s
            where ${PENDING('b.id')} and s.not_before > '-infinity' order by ${CLAIM_ORDER} limit 1)) f
     )
     select (select count(*) from vidbatch.submission where state = 'uncertain') as uncertain,
            (select count(*) from vidbatch.attempt where surplus) as surplus,
            greatest(0, (select max(extract(epoch from now() - least(w.updated_at,
                        (select min(a.claimed_at) from vidbatch.attempt a where a.submission_id = w.id))))::float8
               from waiting w)) as "oldestPendingSeconds",
            (select coalesce(jsonb_object_agg(h.code, h.n), '{}')
               from (select code, count(*)::int as n from vidbatch.halt where lifted_at is null group by code) h) as halts,
            (select coalesce(jsonb_object_agg(b.code, b.n), '{}')
               from (select coalesce(stop_code, 'unknown') as code, count(*)::int as n
                       from vidbatch.batch where state = 'stopped' group by 1) b) as stopped,
            (select count(*) from vidbatch.schedule c
              where 'failed' = (select r.state from vidbatch.run r
                                 where r.schedule_id = c.id and r.state in ('made', 'failed')
                                 order by r.tick desc limit 1)) as "failingSchedules"`,
  );
}

/** The models of pending rows, of all batches. */
export async function readPendingModels(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(
    `select distinct g.model
       from vidbatch.batch b
      cross join lateral ${groups('b.id')} g
      where g.model is not null
      order by g.model`,
  );
  return rows.map(({ model }) => model);
}

/** What keeps rows of any batch from being sent, and what needs a person. */
export interface LedgerCondition {
  ledgerId: string;
  paused: boolean;
  /** An operator paused them, or they stopped themselves. */
  pausedBatches: string[];
  /** Providers that are halted, probed or throttling. */
  held: ProviderStatus[];
  halts: Halt[];
  uncertain: number;
  /** Second task ids of rows: paid twice. */
  surplus: number;
  open: boolean;
  /** Queues whose feeder was seen in the last half minute. */
  fed: number;
}

export async function readCondition(db: Queryable): Promise<LedgerCondition> {
  const condition = await readOne<Omit<LedgerCondition, 'held' | 'halts'>>(
    db,
    `select m.ledger_id as "ledgerId", m.paused_at is not null as paused,
            array(select b.name from vidbatch.batch b where b.state in ('paused', 'stopped') order by b.id) as "pausedBatches",
            (select count(*) from vidbatch.submission where state = 'uncertain')::int as uncertain,
            (select count(*) from vidbatch.attempt where surplus)::int as surplus,
            exists (select from vidbatch.row_state where state = 'pending')
              or exists (select from vidbatch.row_state where state = 'submitting') as open,
            (select count(*) from vidbatch.feeder where seen_at > now() - interval '30 seconds')::int as fed
       from vidbatch.meta m`,
  );
  return { ...condition, held: await heldProviders(db), halts: await openHalts(db) };
}
