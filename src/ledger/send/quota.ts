import { steer, unknownQuota, type QuotaState, type Observed } from '../../core/rate/auto-rate.ts';
import type { Limit } from '../../core/rate/rate-limits.ts';
import type { Queryable } from '../../database/database.ts';

/** If no worker has computed it for this time, a found rate is forgotten. */
const FORGOTTEN_MS = 3_600_000;

/** A rate is found for all requests of a provider together. */
const ALL = '';

/**
 * Stores that a worker uses these limits, so that other workers and people see them. Returns the models ('' for all) for
 * which another worker stored other limits within the last minute.
 */
export async function sayLimits(db: Queryable, origin: string, limits: readonly Limit[]): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(
    `with said as (
       select * from unnest($2::text[], $3::float8[], $4::int[]) as l(model, interval_ms, in_flight)
     ), other as (
       select q.model from vidbatch.quota q join said l on l.model = q.model
        where q.origin = $1 and q.said_at > now() - interval '1 minute'
          and (q.interval_ms, q.in_flight) is distinct from (l.interval_ms, l.in_flight)
     ), kept as (
       insert into vidbatch.quota (origin, model, interval_ms, in_flight, said_at)
       select $1, model, interval_ms, in_flight, now() from said order by model
       on conflict (origin, model) do update
          set interval_ms = excluded.interval_ms, in_flight = excluded.in_flight, said_at = excluded.said_at
     )
     select model from other order by model`,
    [
      origin,
      limits.map(({ model }) => model),
      limits.map(({ intervalMs }) => (typeof intervalMs === 'number' ? intervalMs : null)),
      limits.map(({ inFlight }) => inFlight ?? null),
    ],
  );
  return rows.map(({ model }) => model);
}

/**
 * A worker that ends no longer uses these limits. They are forgotten within seconds, unless another worker uses them, too,
 * and stores so every ten seconds.
 */
export async function unsayLimits(db: Queryable, origin: string, limits: readonly Limit[]): Promise<void> {
  await db.query(
    `update vidbatch.quota set said_at = least(said_at, now() - interval '48 seconds')
      where origin = $1 and model = any($2)`,
    [origin, limits.map(({ model }) => model)],
  );
}

/** An attempt that was refused, and for how long no worker sends. */
export interface Refused {
  attemptId: string;
  stopMs: number;
}

/**
 * Computes a new rate from the facts in the ledger, stores it for all workers, and returns it. If another worker stored
 * one meanwhile, it computes again from that.
 */
export async function steerQuota(
  db: Queryable,
  origin: string,
  { lagMs, refused }: { lagMs?: number | undefined; refused?: Refused },
): Promise<QuotaState> {
  for (;;) {
    const { rows } = await db.query<{
      auto: string | null;
      at: number;
      sent: number;
      claimedAt: number | null;
    }>(
      `select q.auto, q.slots as sent, (extract(epoch from now()) * 1000)::float8 as at,
              (select (extract(epoch from a.claimed_at) * 1000)::float8 from vidbatch.attempt a where a.id = $2) as "claimedAt"
         from vidbatch.quota q where q.origin = $1 and q.model = '${ALL}'`,
      [origin, refused?.attemptId ?? null],
    );
    const row = rows[0];
    if (row === undefined) {
      await sayLimits(db, origin, [{ model: ALL, intervalMs: 'auto' }]);
      continue;
    }
    const known = knownOf(row);
    const isNew = (row.claimedAt ?? Infinity) >= known.cutAt;
    const refusal = refused === undefined ? undefined : { isNew, stopMs: refused.stopMs };
    const seen: Observed = { at: row.at, sent: row.sent, lagMs, refusal };
    const next = steer(known, seen);
    const { rowCount } = await db.query(
      `update vidbatch.quota set auto = $2
        where origin = $1 and model = '${ALL}' and auto is not distinct from $3`,
      [origin, JSON.stringify(next), row.auto],
    );
    if (rowCount === 1) return next;
  }
}

function knownOf({ auto, at, sent }: { auto: string | null; at: number; sent: number }): QuotaState {
  const known = auto === null ? undefined : (JSON.parse(auto) as QuotaState);
  return known === undefined || at - known.at > FORGOTTEN_MS ? unknownQuota(at, sent) : known;
}

/** A limit that workers use. */
export interface LimitInForce {
  origin: string;
  /** For rows of this model; null: for all rows. */
  model: string | null;
  /** Requests; null: no limit. */
  perSecond: number | null;
  /** Whether the workers found the rate themselves. */
  found: boolean;
  /** Tasks at a time, and how many of these places are taken; null: no limit. */
  maxInFlight: number | null;
  inFlight: number | null;
  /** How many of these places are taken by uncertain rows, which may be tasks. They stay taken for hours unless resolved. */
  uncertain: number | null;
}

/** The limits that workers stored within the last minute, for this provider; null: for all providers. */
export async function limitsInForce(db: Queryable, origin: string | null): Promise<LimitInForce[]> {
  const { rows } = await db.query<
    Omit<LimitInForce, 'perSecond' | 'found'> & { intervalMs: number | null; auto: string | null }
  >(
    `select q.origin, nullif(q.model, '${ALL}') as model, q.interval_ms as "intervalMs", q.auto, q.in_flight as "maxInFlight",
            case when q.in_flight is not null then vidbatch.running(q.origin, q.model, q.in_flight) end as "inFlight",
            case when q.in_flight is not null then (
              select least(count(*), q.in_flight) from vidbatch.row_state s join vidbatch.batch b on b.id = s.batch_id
               where b.origin = q.origin and q.model in ('', s.model) and s.state = 'uncertain'
                 and s.updated_at > now() - case when s.off_peak then interval '48 hours' else interval '1 hour' end
            )::int end as uncertain
       from vidbatch.quota q
      where q.said_at > now() - interval '1 minute' and ($1::text is null or q.origin = $1)
      order by q.origin, q.model`,
    [origin],
  );
  return rows.map(({ intervalMs, auto, ...limit }) => {
    const state = intervalMs === null && limit.model === null ? auto : null;
    const perSecond =
      state === null ? 1000 / (intervalMs ?? Infinity) : (JSON.parse(state) as QuotaState).perSecond;
    return { ...limit, perSecond: perSecond === 0 ? null : perSecond, found: state !== null };
  });
}
