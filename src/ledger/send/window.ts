import type { Span } from '../../core/time/zone.ts';
import type { Queryable } from '../../database/database.ts';

/*
 * Windows as predicates of the claim. In all of these, `s` is the submission, `b` its batch and `m` the meta row. What
 * leaves in the last second of a window arrives after it: by then it is shut.
 */
const MOMENT = `tstzrange(now(), now() + interval '1 second')`;
const OPEN_WINDOWS = `(select h.id from vidbatch.window h where h.openings @> ${MOMENT})`;

/** The batch may be sent now: it has no window or is inside, and its last moment is not over. */
export const BATCH_OPEN = `((b.window_id is null or b.window_id in ${OPEN_WINDOWS})
  and b.not_after > now() + interval '1 second')`;

/** Rows of off-peak models may be sent now. */
export const OFF_PEAK_OPEN = `(m.offpeak_window_id is null or m.offpeak_window_id in ${OPEN_WINDOWS})`;

/** The row may be sent now. */
export const WINDOW_OPEN = `(${BATCH_OPEN} and (not s.off_peak or ${OFF_PEAK_OPEN}))`;

const WINDOWS_OF_ROW = `vidbatch.window h where (h.id = b.window_id or (s.off_peak and h.id = m.offpeak_window_id))`;
const MS_UNTIL = (moment: string): string => `(extract(epoch from ${moment} - now()) * 1000)::float8`;

/** Milliseconds for which the row may still leave; null: no end to it. Before 17, infinity has no difference. */
export const OPEN_MS = `least(
  (select min(coalesce((select ${MS_UNTIL('upper(r)')} from unnest(h.openings) r where r @> now()), 0)) from ${WINDOWS_OF_ROW}),
  case when isfinite(b.not_after) then ${MS_UNTIL('b.not_after')} end)`;

/** Milliseconds until the windows of the row that are shut have all been opened, if that is known. */
export const OPENS_IN_MS = `(
  select ${MS_UNTIL('max((select min(lower(r)) from unnest(h.openings) r where lower(r) > now()))')}
    from ${WINDOWS_OF_ROW} and not h.openings @> ${MOMENT})`;

/** Rows of a batch that are of the kind `k`: off-peak or not. */
export const ofKind = (row: string, batch: string): string =>
  `${row}.batch_id = ${batch} and ${row}.off_peak = k.off_peak`;

/** A window as the ledger has it. */
export interface KnownWindow {
  text: string;
  /** By the database's clock, and for the moment of a claim. */
  open: boolean;
  /** When it opens next, as far as that is known. */
  opensAt: Date | null;
  /** When it shuts, if it is open. */
  closesAt: Date | null;
}

/** The windows that a batch is under: its own, and the one of off-peak rows. */
export async function readWindows(
  db: Queryable,
  batchId: number | null,
): Promise<{ batch: KnownWindow | undefined; offPeak: KnownWindow | undefined }> {
  const { rows } = await db.query<{
    text: string;
    open: boolean;
    opens_at: Date | null;
    closes_at: Date | null;
    is_batch: boolean;
    is_off_peak: boolean;
  }>(
    `select h.text, h.openings @> ${MOMENT} as open,
            (select min(lower(r)) from unnest(h.openings) r where lower(r) > now()) as opens_at,
            (select upper(r) from unnest(h.openings) r where r @> now()) as closes_at,
            h.id is not distinct from b.window_id as is_batch,
            h.id is not distinct from m.offpeak_window_id as is_off_peak
       from vidbatch.meta m
       left join vidbatch.batch b on b.id = $1
       join vidbatch.window h on h.id = b.window_id or h.id = m.offpeak_window_id`,
    [batchId],
  );
  const known = (row: (typeof rows)[number] | undefined): KnownWindow | undefined =>
    row && {
      text: row.text,
      open: row.open,
      opensAt: row.opens_at,
      closesAt: row.open ? row.closes_at : null,
    };
  return {
    batch: known(rows.find((row) => row.is_batch)),
    offPeak: known(rows.find((row) => row.is_off_peak)),
  };
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
  const { rows } = await db.query<{
    rows: number;
    off_peak: number;
    not_due: number;
    first_due: Date | null;
    now: Date;
  }>(
    `select count(*)::int as rows, count(*) filter (where off_peak)::int as off_peak,
            count(*) filter (where attempts = 0 and not_before > now())::int as not_due,
            min(not_before) filter (where attempts = 0 and not_before > now()) as first_due, now() as now
       from vidbatch.submission where batch_id = $1 and state = 'pending'`,
    [batchId],
  );
  const row = rows[0];
  return {
    rows: row?.rows ?? 0,
    offPeak: row?.off_peak ?? 0,
    notDue: row?.not_due ?? 0,
    firstDue: row?.first_due ?? null,
    now: row?.now ?? new Date(),
  };
}

/** What is known of a window for the days to come. */
export interface Calendar {
  text: string;
  openings: readonly Span[];
  /** Milliseconds since the epoch. */
  knownUntil: number;
  /** Version of the tz database by which it was reckoned. */
  tz: string;
}

/**
 * Writes when a window is open, and returns its id. What a newer tz database says stays until it comes near its end
 * (`keepMs`); one write, so that nobody ever sees half of it.
 */
export async function keepWindow(db: Queryable, calendar: Calendar, keepMs: number): Promise<number> {
  const { rows } = await db.query<{ id: number }>(
    `with kept as (
       insert into vidbatch.window as h (text, openings, known_until, tz)
       values ($1,
               (select coalesce(range_agg(tstzrange(to_timestamp(o.opens / 1000), to_timestamp(o.closes / 1000))), '{}')
                  from unnest($2::float8[], $3::float8[]) as o(opens, closes)),
               to_timestamp($4::float8 / 1000), $5)
       on conflict (text) do update
          set openings = excluded.openings, known_until = excluded.known_until, tz = excluded.tz
        where h.tz < excluded.tz or h.known_until < now() + $6 * interval '1 millisecond'
       returning h.id
     )
     select id from kept union select id from vidbatch.window where text = $1`,
    [
      calendar.text,
      calendar.openings.map(({ from }) => from),
      calendar.openings.map(({ to }) => to),
      calendar.knownUntil,
      calendar.tz,
      keepMs,
    ],
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error(`the window ${calendar.text} vanished while it was written`);
  return id;
}

/** Texts of windows of which this machine knows more than the ledger, or which the ledger knows for less than `keepMs`. */
export async function staleWindows(db: Queryable, tz: string, keepMs: number): Promise<string[]> {
  const { rows } = await db.query<{ text: string }>(
    `select text from vidbatch.window where tz < $1 or known_until < now() + $2 * interval '1 millisecond'`,
    [tz, keepMs],
  );
  return rows.map(({ text }) => text);
}

/** `closes`: from this moment on nothing of the batch is sent; else it is what a person hopes for. Null: none. */
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

/** By which clock everybody goes, milliseconds since the epoch. */
export async function ledgerNow(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: Date }>('select now() as now');
  return rows[0]?.now.getTime() ?? Date.now();
}

/** Puts all off-peak rows under this window, or with null under none. Returns the text of the one before. */
export async function setOffPeakWindow(db: Queryable, id: number | null): Promise<string | null> {
  const { rows } = await db.query<{ before: string | null }>(
    `with before as (
       select m.only_row, h.text from vidbatch.meta m left join vidbatch.window h on h.id = m.offpeak_window_id for update of m
     )
     update vidbatch.meta m set offpeak_window_id = $1 from before where before.only_row = m.only_row
     returning before.text as before`,
    [id],
  );
  return rows[0]?.before ?? null;
}

/** Puts a batch under this window, or with null under none. Returns the text of the one before. */
export async function setBatchWindow(
  db: Queryable,
  batchId: number,
  id: number | null,
): Promise<string | null> {
  const { rows } = await db.query<{ before: string | null }>(
    `with before as (
       select b.id, h.text from vidbatch.batch b left join vidbatch.window h on h.id = b.window_id where b.id = $1 for update of b
     )
     update vidbatch.batch b set window_id = $2 from before where before.id = b.id
     returning before.text as before`,
    [batchId, id],
  );
  return rows[0]?.before ?? null;
}
