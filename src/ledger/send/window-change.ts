import { hostname } from 'node:os';
import { usageError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Window } from '../../core/time/window.ts';
import { transaction, type Database, type Queryable } from '../../database/database.ts';
import { logEvent } from '../batches.ts';
import { isKnownZone } from './window.ts';

/** From now on, all workers of this ledger send off-peak rows only in this window; null: at any time. */
export async function putOffPeakUnder(db: Database, window: Window | null, log: Logger): Promise<void> {
  const before = await transaction(db, async (session) => {
    const text = await setOffPeakWindow(session, window && (await keepWindow(session, window)));
    if (text !== (window?.text ?? null)) {
      await logEvent(session, 'offpeak-window', `${change(text, window)}, by ${hostname()}`);
    }
    return text;
  });
  if (before === (window?.text ?? null)) return;
  log.warn(
    { event: 'offpeak-window', before, after: window?.text ?? null },
    'the window of off-peak rows has changed, for all workers of this ledger',
  );
}

/** From now on, workers send rows of this batch only in this window; null: at any time. */
export async function putBatchUnder(db: Queryable, batchId: number, window: Window | null): Promise<void> {
  const before = await setBatchWindow(db, batchId, window && (await keepWindow(db, window)));
  if (before !== (window?.text ?? null)) await logEvent(db, 'window', change(before, window), batchId);
}

function change(before: string | null, after: Window | null): string {
  return `${before ?? 'none'} → ${after?.text ?? 'none'}`;
}

/**
 * Writes the window into the ledger, unless it is already there, and returns its id.
 * @throws VidbatchError exit 2 when the database does not know one of its zones.
 */
export async function keepWindow(db: Queryable, { text, rules }: Window): Promise<number> {
  const known = await db.query<{ id: number }>('select id from vidbatch.window where text = $1', [text]);
  if (known.rows[0] !== undefined) return known.rows[0].id;
  await checkZones(
    db,
    rules.map(({ zone }) => zone),
  );
  const hours = rules.flatMap(({ zone, days, hours: spans, except }) =>
    spans.map(({ opens, closes }) => ({ zone, days: isoDays(days), opens, closes, except: [...except] })),
  );
  // Another process may write the same window at the same time. The upsert waits for it; both write the same hours.
  const { rows } = await db.query<{ id: number }>(
    `with made as (
       insert into vidbatch.window (text) values ($1) on conflict (text) do update set text = excluded.text
       returning id
     ), hours as (
       insert into vidbatch.window_hours (window_id, number, zone, days, opens, closes, except_on)
       select made.id, h.number, h.zone, h.days, h.opens * interval '1 millisecond', h.closes * interval '1 millisecond', h.except
         from made
        cross join rows from (jsonb_to_recordset($2::jsonb)
                as (zone text, days smallint[], opens float8, closes float8, "except" date[]))
              with ordinality as h(zone, days, opens, closes, "except", number)
       on conflict do nothing
     )
     select id from made`,
    [text, JSON.stringify(hours)],
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error(`the window ${text} vanished while it was written`);
  return id;
}

/** 1 is Monday. */
function isoDays(days: ReadonlySet<number> | undefined): number[] {
  return days === undefined ? [1, 2, 3, 4, 5, 6, 7] : [...days].map((day) => day + 1);
}

/** The database decides when a window is open, so the database must know the zones. This machine need not. */
async function checkZones(db: Queryable, zones: readonly string[]): Promise<void> {
  const { rows } = await db.query<{ zone: string }>(
    `select zone from unnest($1::text[]) zone where not ${isKnownZone('zone')}`,
    [zones],
  );
  const zone = rows[0]?.zone;
  if (zone === undefined) return;
  throw usageError(
    'BAD_WINDOW',
    `the database of the ledger does not know the time zone ${zone}`,
    'Use another name of this time zone, or update the time zone data of the database.',
  );
}

/** Sets the window of all off-peak rows; null: no window. Returns the text of the window before it. */
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

/** Sets the window of a batch; null: no window. Returns the text of the window before it. */
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
