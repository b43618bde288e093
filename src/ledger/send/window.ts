import type { Queryable } from '../../database/database.ts';
import { groups, PENDING } from './group.ts';

/** Whether the database knows the zone, as SQL. A window in an unknown zone is shut. */
export const isKnownZone = (zone: string): string =>
  `exists (select from pg_timezone_names known where lower(known.name) = lower(${zone}))`;

/** The windows that a batch is under, as a person wrote them: its own, and the one of off-peak rows. Null: none. */
export async function readWindows(
  db: Queryable,
  batchId: number | null,
): Promise<{ batch: string | null; offPeak: string | null }> {
  const { rows } = await db.query<{ batch: string | null; offPeak: string | null }>(
    `select own.text as batch, off_peak.text as "offPeak"
       from vidbatch.meta m
       left join vidbatch.batch b on b.id = $1
       left join vidbatch.window own on own.id = b.window_id
       left join vidbatch.window off_peak on off_peak.id = m.offpeak_window_id`,
    [batchId],
  );
  return rows[0] ?? { batch: null, offPeak: null };
}

/** Pending rows of a batch, by what they may wait for. */
export interface Waiting {
  rows: number;
  offPeak: number;
  /** Rows whose own time has not come, and the first of these times. */
  notDue: number;
  firstDue: Date | null;
  now: Date;
}

export async function countWaiting(db: Queryable, batchId: number): Promise<Waiting> {
  const { rows } = await db.query<Waiting>(
    `select w.rows, w."offPeak", d."notDue", d."firstDue", now() as now
       from (select coalesce(sum(rows), 0)::int as rows,
                    coalesce(sum(rows) filter (where vidbatch.is_off_peak(model)), 0)::int as "offPeak"
               from vidbatch.row_count where batch_id = $1 and state = 'pending') w
      cross join (select count(*)::int as "notDue", min(not_before) as "firstDue" from ${groups('$1')} g
                   cross join lateral (select s.not_before from vidbatch.row_state s
                                        where ${PENDING('$1')} and s.attempts = 0 and s.not_before > now()) later) d`,
    [batchId],
  );
  return rows[0] ?? { rows: 0, offPeak: 0, notDue: 0, firstDue: null, now: new Date() };
}

/**
 * `closes`: no row of the batch is sent after this time. Otherwise the time is only used for forecasts. Null: no
 * deadline.
 */
export async function setDeadline(
  db: Queryable,
  batchId: number,
  deadline: Date | null,
  { closes }: { closes: boolean },
): Promise<void> {
  await db.query(
    `update vidbatch.batch set deadline = $2, not_after = coalesce($3::timestamptz, 'infinity') where id = $1`,
    [batchId, deadline, closes ? deadline : null],
  );
}

/** The time of the ledger's clock, in milliseconds since the epoch. */
export async function ledgerNow(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: Date }>('select now() as now');
  return rows[0]?.now.getTime() ?? Date.now();
}
