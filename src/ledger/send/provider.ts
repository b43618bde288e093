import type { Queryable } from '../../database/database.ts';

/** Why no worker sends to a provider, until a row is accepted again. */
export interface Halt {
  origin: string;
  code: string;
  reason: string;
  httpStatus: number | null;
  raisedAt: Date;
}

export async function ensureProvider(db: Queryable, origin: string): Promise<void> {
  await db.query('insert into vidbatch.provider (origin) values ($1) on conflict do nothing', [origin]);
}

/**
 * After a halt, lets one row at a time try again. If it is accepted, the halt is lifted. Answers to attempts of an earlier
 * epoch can no longer raise a halt. Does nothing if there is no halt.
 */
export async function armProbe(db: Queryable, origin: string): Promise<boolean> {
  const { rows } = await db.query(
    `update vidbatch.provider
        set state = 'probing', epoch = epoch + 1, probe = null, uncertain_streak = 0, throttled_since = null,
            -- The streak stays: if the provider cannot be reached again, one row is enough to find out.
            unreached_since = null
      where origin = $1 and state = 'halted'
      returning origin`,
    [origin],
  );
  return rows.length > 0;
}

export interface ProviderStatus {
  origin: string;
  state: 'open' | 'halted' | 'probing';
  throttledMs: number;
  /** Tries in a row that did not reach the provider. */
  unreached: number;
}

const STATUS = `
  select origin, state, unreached_streak as unreached,
         case when throttled_until > now()
              then ceil((extract(epoch from throttled_until - now()) * 1000))::float8 else 0 end as "throttledMs"
    from vidbatch.provider`;

export async function providerStatus(db: Queryable, origin: string): Promise<ProviderStatus | undefined> {
  const { rows } = await db.query<ProviderStatus>(`${STATUS} where origin = $1`, [origin]);
  return rows[0];
}

/** Providers that are halted, being probed, or throttling. */
export async function heldProviders(db: Queryable): Promise<ProviderStatus[]> {
  const { rows } = await db.query<ProviderStatus>(
    `${STATUS} where state <> 'open' or throttled_until > now() order by origin`,
  );
  return rows;
}

/** As SQL. */
export const OPEN_HALTS = `(select * from vidbatch.halt where lifted_at is null)`;

export async function openHalts(db: Queryable): Promise<Halt[]> {
  const { rows } = await db.query<Halt>(
    `select origin, code, reason, http_status as "httpStatus", raised_at as "raisedAt"
       from ${OPEN_HALTS} h order by raised_at`,
  );
  return rows;
}

/** How far this machine's clock is ahead of the database's, in milliseconds, to within the query's own duration. */
export async function clockSkewMs(db: Queryable): Promise<number> {
  const before = Date.now();
  const { rows } = await db.query<{ nowMs: number }>(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs"`,
  );
  const after = Date.now();
  const there = rows[0]?.nowMs ?? after;
  if (there < before) return before - there;
  return there > after ? after - there : 0;
}
