import type { Counts, State } from '../../core/states.ts';
import { noCounts } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';
import { readOne } from './query.ts';
import { CLAIM_ORDER, groups, PENDING } from '../send/group.ts';
import { heldProviders, openHalts } from '../send/provider.ts';
import type { Halt, ProviderStatus } from '../send/provider.ts';

/** The rows of all batches by state. It reads every row, so it is slow on large ledgers. */
export async function countAllStates(db: Queryable): Promise<Counts> {
  const { rows } = await db.query<{ state: State; n: number }>(
    'select state, count(*) as n from vidbatch.submission group by state',
  );
  const counts = noCounts();
  for (const row of rows) counts[row.state] = row.n;
  return counts;
}

/** What needs a person, or shows that nothing moves. */
export interface Alerts {
  uncertain: number;
  /** Task ids beyond one a row: paid twice. */
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
 * Each part reads a few rows of an index. The oldest pending row is looked for among the first waiting row of each batch,
 * model and priority, and the first of those that had to wait.
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

/** What keeps rows of the whole ledger from being sent, and what waits for a person. */
export interface LedgerCondition {
  ledgerId: string;
  /** Everything is paused. */
  paused: boolean;
  /** Paused by an operator, or stopped by themselves. */
  pausedBatches: string[];
  /** Providers that are halted, being tried out, or throttling. */
  held: ProviderStatus[];
  halts: Halt[];
  uncertain: number;
  /** Task ids beyond one a row: paid twice. */
  surplus: number;
  /** Whether any row is still to be sent. */
  open: boolean;
  /** Queues whose feeder has been seen in the last half minute. */
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
