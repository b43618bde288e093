import type { Queryable } from '../../database/database.ts';
import { openHalts } from '../send/provider.ts';
import type { Halt, ProviderStatus } from '../send/provider.ts';

/** What keeps a whole ledger from being sent, and what waits for a person. */
export interface Condition {
  ledgerId: string;
  /** Everything is paused. */
  paused: boolean;
  /** By an operator, or because they are wrong as a whole. */
  pausedBatches: string[];
  /** Providers that are halted, being tried out, or throttling. */
  held: ProviderStatus[];
  halts: Halt[];
  uncertain: number;
  /** Task ids beyond one a row. */
  surplus: number;
  /** Whether any row is still to be sent. */
  open: boolean;
  /** Lanes whose feeder has been seen in the last half minute. */
  fed: number;
}

export async function readCondition(db: Queryable): Promise<Condition> {
  const { rows } = await db.query<{
    ledger_id: string;
    paused: boolean;
    paused_batches: string[];
    uncertain: number;
    surplus: number;
    open: boolean;
    fed: number;
  }>(
    `select m.ledger_id, m.paused_at is not null as paused,
            array(select b.name from vidbatch.batch b where b.state in ('paused', 'stopped') order by b.id) as paused_batches,
            (select count(*) from vidbatch.submission where state = 'uncertain')::int as uncertain,
            (select count(*) from vidbatch.attempt where surplus)::int as surplus,
            exists (select from vidbatch.submission where state in ('pending', 'submitting')) as open,
            (select count(*) from vidbatch.lane where seen_at > now() - interval '30 seconds')::int as fed
       from vidbatch.meta m`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error('the ledger has no meta row; run `vidbatch migrate`');
  return {
    ledgerId: row.ledger_id,
    paused: row.paused,
    pausedBatches: row.paused_batches,
    uncertain: row.uncertain,
    surplus: row.surplus,
    open: row.open,
    fed: row.fed,
    held: await heldProviders(db),
    halts: await openHalts(db),
  };
}

async function heldProviders(db: Queryable): Promise<ProviderStatus[]> {
  const { rows } = await db.query<{
    origin: string;
    state: ProviderStatus['state'];
    throttled_ms: number;
    unreached: number;
  }>(
    `select origin, state, unreached_streak as unreached,
            case when throttled_until > now()
                 then (extract(epoch from throttled_until - now()) * 1000)::float8 else 0 end as throttled_ms
       from vidbatch.provider where state <> 'open' or throttled_until > now() order by origin`,
  );
  return rows.map(({ throttled_ms: throttledMs, ...row }) => ({
    ...row,
    throttledMs: Math.ceil(throttledMs),
  }));
}
