import { roomOf } from '../../core/rate/limits.ts';
import type { Queryable } from '../../database/database.ts';
import { FEED_ORDER, levels } from './level.ts';
import { anyUnhalted, BY_MODEL, limitedOf, RANK, READY, TOGETHER, waiting } from './ready.ts';
import type { FeedScope } from './ready.ts';

export type { FeedScope } from './ready.ts';

/**
 * A row on its way into the queue, with what a person on the dashboard wants to see of it. Batch and key are cut, so
 * that a job stays below 1 KB in any script.
 */
export interface Fed {
  submissionId: number;
  generation: number;
  batch: string;
  key: string;
  line: number;
  model: string;
  mode: string;
  /** The beginning of the prompt. */
  preview: string;
  /** Among the jobs of the queue, higher first; absent where no row of the ledger has a priority. */
  rank?: number;
}

/** A lane whose feeder has not been seen for this long is dead: its rows are free for others. */
const LANE_LIFETIME_MS = 30_000;

/**
 * Takes up to `room` rows for which every gate of the claim is open, those of the highest rank first, round-robin over
 * the batches within a rank, in the order in which they fell due, and marks them as queued in this lane. Feeders of many
 * workers never take the same row (`skip locked`). Where only one row may be in flight (no accept yet, or a halt being
 * tried), only one is taken and only if none is queued. A halt is tried with a row that did not run into it, if there is
 * one: else one bad row would keep it shut for ever.
 *
 * A batch gives no more than its share of the room among those that rank as high or higher: where that leaves room, or
 * takes a row of a lower rank before all of a higher one are queued, the next look and the queue's own order make it good.
 */
export async function feed(db: Queryable, scope: FeedScope, room: number): Promise<Fed[]> {
  const limited = limitedOf(scope);
  const { groups, rows: which, most } = limited.length === 0 ? TOGETHER : BY_MODEL;
  const { rows } = await db.query<{
    id: number;
    generation: number;
    name: string;
    row_key: string;
    line: number;
    model: string;
    mode: string;
    preview: string;
    rank: number | null;
  }>(
    `with ready as (${READY}
     ), shared as (
       select *, greatest(1, ceil($4::float8 / count(*) over (order by rank desc)))::bigint as share
         from ready
        -- Where there are more batches than room, any of them: the others have their turn another time.
        order by rank desc, random() limit $4
     ), picked as (
       select f.id, f.later, f.rank, r.alone, r.share,
              row_number() over (partition by r.id, f.later, f.rank order by f.not_before, f.id) as turn,
              row_number() over (partition by r.id order by f.later, f.rank desc, f.not_before, f.id) as nth,
              -- No more than what is left pays for: the others would only be refused.
              r.currency is null or sum(f.adds) over (
                partition by r.id order by f.later, f.rank desc, f.not_before, f.id) <= r.money as paid_for
         from shared r
        cross join lateral unnest(r.kinds) k(off_peak)
        ${groups}
        cross join lateral (
          select c.* from ${levels('r.id')} v
           cross join lateral (
             select c.id, c.not_before, c.price - c.held as adds, r.priority + c.priority as rank, r.trying and c.halted_at is not null as later
               from vidbatch.submission c
              where ${waiting('c', 'r.id', 'v')} ${which}
                and (r.currency is null or c.currency = r.currency and c.price - c.held <= r.money)
                and (not r.trying or c.halted_at is null or not ${anyUnhalted('r.id', 'r.kinds')})
              order by ${FEED_ORDER('c')}
              limit greatest(0, ${most})
                for update skip locked
           ) c
           limit greatest(0, ${most})
        ) f
     ), fair as (
       select id, row_number() over (order by later, rank desc, turn, id) as place from picked
        where nth <= (case when alone then 1 else share end) and paid_for
        order by later, rank desc, turn, id
        limit case when (select state from vidbatch.provider where origin = $1) = 'probing' then 1 else $4 end
     ), fed as (
       update vidbatch.submission s
          set lane = $3, queued_at = now(), generation = s.generation + 1, rank = ${RANK}
         from vidbatch.batch b, vidbatch.meta m
        where s.id = any(array(select id from fair)) and b.id = s.batch_id
       returning s.id, s.generation, left(b.name, 60) as name, left(s.row_key, 80) as row_key, s.line, s.model, s.mode,
                 left(s.request::json ->> 'prompt', 100) as preview, s.rank
     )
     select fed.* from fed join fair on fair.id = fed.id order by fair.place`,
    [
      scope.origin,
      scope.batches,
      scope.lane,
      room,
      ...(limited.length === 0 ? [] : [limited.map(({ model }) => model), limited.map(roomOf)]),
    ],
  );
  return rows.map((row) => ({
    submissionId: row.id,
    generation: row.generation,
    batch: row.name,
    key: row.row_key,
    line: row.line,
    model: row.model,
    mode: row.mode,
    preview: row.preview,
    ...(row.rank === null ? {} : { rank: row.rank }),
  }));
}

/** Rows that are no longer in the queue: the feeder may take them again once their gates are open. */
export async function unqueue(db: Queryable, submissionIds: readonly number[]): Promise<void> {
  await db.query(
    `update vidbatch.submission set lane = null
      where id = any($1::bigint[]) and state = 'pending' and lane is not null`,
    [submissionIds],
  );
}

export interface Queued {
  submissionId: number;
  generation: number;
  /** All that it waits for has been over for as long. */
  due: boolean;
}

/**
 * Frees those of these rows that are still marked as the jobs that they were read with, and returns how many. A row that was
 * given back, settled or fed anew since then has lost nothing.
 */
export async function freeLost(
  db: Queryable,
  lane: string,
  lost: readonly Pick<Queued, 'submissionId' | 'generation'>[],
): Promise<number> {
  const { rowCount } = await db.query(
    `update vidbatch.submission s set lane = null
       from unnest($2::bigint[], $3::int[]) as l(id, generation)
      where s.id = l.id and s.generation = l.generation and s.state = 'pending' and s.lane = $1`,
    [lane, lost.map((row) => row.submissionId), lost.map((row) => row.generation)],
  );
  return rowCount ?? 0;
}

/** As which job a row is queued; undefined: it is not. */
export async function generationOf(db: Queryable, submissionId: number): Promise<number | undefined> {
  const { rows } = await db.query<{ generation: number }>(
    `select generation from vidbatch.submission where id = $1 and state = 'pending' and lane is not null`,
    [submissionId],
  );
  return rows[0]?.generation;
}

/** What the ledger believes to be in this lane's queue for at least `ageMs`. */
export async function queuedSince(db: Queryable, lane: string, ageMs: number): Promise<Queued[]> {
  const { rows } = await db.query<{ id: number; generation: number; due: boolean }>(
    `with since as (select now() - $2 * interval '1 millisecond' as at)
     select s.id, s.generation, greatest(s.not_before, p.throttled_until) < since.at as due
       from since, vidbatch.submission s
       join vidbatch.batch b on b.id = s.batch_id
       join vidbatch.provider p on p.origin = b.origin
      where s.lane = $1 and s.state = 'pending' and s.queued_at < since.at`,
    [lane, ageMs],
  );
  return rows.map((row) => ({ submissionId: row.id, generation: row.generation, due: row.due }));
}

/** Says that this lane is being fed, and frees the rows of lanes that are not. */
export async function keepLane(db: Queryable, lane: string): Promise<void> {
  await db.query(
    // Never back: a clock that was set back a moment ago is seen by it.
    `insert into vidbatch.lane (name) values ($1)
     on conflict (name) do update set seen_at = greatest(lane.seen_at, excluded.seen_at)`,
    [lane],
  );
  await db.query(
    `update vidbatch.submission set lane = null
      where state = 'pending' and lane is not null and lane <> $1
        and not exists (select from vidbatch.lane l
                         where l.name = submission.lane and l.seen_at > now() - $2 * interval '1 millisecond')`,
    [lane, LANE_LIFETIME_MS],
  );
}

/** This lane is fed no longer; all its rows are free at once. */
export async function leaveLane(db: Queryable, lane: string): Promise<void> {
  await db.query('delete from vidbatch.lane where name = $1', [lane]);
  await rememberClock(db);
}

/** Frees every queued row: for the holder of an embedded folder at its start, when no other feeder can be alive. */
export async function freeAllLanes(db: Queryable): Promise<void> {
  await db.query('delete from vidbatch.lane');
  await db.query(`update vidbatch.submission set lane = null where state = 'pending' and lane is not null`);
  await rememberClock(db);
}

/** The lane of all batches outlives its feeders, as a dead one: a clock may be set back while nobody feeds, too. */
async function rememberClock(db: Queryable): Promise<void> {
  await db.query(
    `insert into vidbatch.lane (name, seen_at)
     select 'vidbatch-' || ledger_id, now() - $1 * interval '1 millisecond' from vidbatch.meta
     on conflict (name) do update set seen_at = greatest(lane.seen_at, excluded.seen_at)`,
    [LANE_LIFETIME_MS],
  );
}
