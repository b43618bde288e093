import { roomOf } from '../limits.ts';
import type { Limit } from '../limits.ts';
import type { Queryable } from './database.ts';
import { BATCH_OPEN, OFF_PEAK_OPEN, ofKind, WINDOW_OPEN } from './window.ts';

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
}

export interface FeedScope {
  /** The queue that is fed, and the name under which its feeder is known to be alive. */
  lane: string;
  origin: string;
  batches: readonly number[] | null;
  /** Of the workers: rows of a model that has to wait do not fill the queue. */
  limits?: readonly Limit[];
}

/** A lane whose feeder has not been seen for this long is dead: its rows are free for others. */
const LANE_LIFETIME_MS = 30_000;

/** A row that may be queued, as far as it alone decides. */
const WAITING = (row: string): string =>
  `${row}.state = 'pending' and ${row}.lane is null and ${row}.not_before <= now()`;

/** Each kind of row is looked for by itself: those that wait for their window are not even looked at. */
const anyWaiting = (batch: string, kinds: string, more = ''): string =>
  `exists (select from unnest(${kinds}) k(off_peak)
            cross join lateral (select from vidbatch.submission u
                                 where ${ofKind('u', batch)} and ${WAITING('u')} ${more}
                                 order by u.off_peak, u.not_before, u.id limit 1) one)`;

/** Limited models (`$5`) and how many rows of each may still be queued, then all others: each looked for by itself. */
const BY_MODEL = {
  groups: `cross join lateral (
          select l.model, least((select rows from share), l.room - (
                   select count(*) from vidbatch.submission q
                    where q.state = 'pending' and q.lane is not null and q.model = l.model)) as most
            from unnest($5::text[], $6::bigint[]) as l(model, room)
          union all select null, (select rows from share)) g`,
  rows: `and (c.model = g.model or g.model is null and c.model <> all($5)) and g.most > 0`,
  most: 'g.most',
};
const TOGETHER = { groups: '', rows: '', most: '(select rows from share)' };

/**
 * Takes up to `room` rows for which every gate of the claim is open, in the order in which they fell due, round-robin
 * over the batches, and marks them as queued in this lane. Feeders of many workers never take the same row (`skip locked`). Where only one row may
 * be in flight (no accept yet, or a halt being tried), only one is taken and only if none is queued. A halt is tried
 * with a row that did not run into it, if there is one: else one bad row would keep it shut for ever.
 */
export async function feed(db: Queryable, scope: FeedScope, room: number): Promise<Fed[]> {
  const limited = scope.limits?.filter(({ model }) => model !== '') ?? [];
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
  }>(
    `with ready as (
       select b.id, not b.proven or p.state = 'probing' as alone, p.state = 'probing' as trying, o.kinds
         from vidbatch.batch b
         join vidbatch.provider p on p.origin = b.origin
         join vidbatch.meta m on m.paused_at is null
        cross join lateral (
          select case when ${OFF_PEAK_OPEN} then array[false, true] else array[false] end as kinds) o
        where b.origin = $1 and b.state = 'active' and ($2::bigint[] is null or b.id = any($2))
          and p.throttled_until <= now()
          and (b.proven or b.canary is null)
          and (p.state = 'open' or (p.state = 'probing' and p.probe is null))
          and ${BATCH_OPEN}
          and ${anyWaiting('b.id', 'o.kinds')}
          and (b.proven or not exists (select from vidbatch.submission s
                       where s.batch_id = b.id and s.state = 'pending' and s.lane is not null))
          and (p.state = 'open' or not exists (select from vidbatch.submission s
                       where s.lane = $3 and s.state = 'pending'))
        -- Where there are more batches than room, any of them: the others have their turn another time.
        order by random() limit $4
     ), share as (
       select greatest(1, ceil($4::float8 / greatest(1, count(*))))::bigint as rows from ready
     ), picked as (
       select f.id, f.later, row_number() over (partition by r.id order by f.not_before, f.id) as turn, r.alone
         from ready r
        cross join lateral unnest(r.kinds) k(off_peak)
        ${groups}
        cross join lateral (
          select c.id, c.not_before, r.trying and c.halted_at is not null as later
            from vidbatch.submission c
           where ${ofKind('c', 'r.id')} and ${WAITING('c')} ${which}
             and (not r.trying or c.halted_at is null
                  or not ${anyWaiting('r.id', 'r.kinds', 'and u.halted_at is null')})
           order by c.off_peak, c.not_before, c.id
           limit ${most}
             for update skip locked
        ) f
     ), fair as (
       select id, row_number() over (order by later, turn, id) as place from picked
        where turn <= (case when alone then 1 else (select rows from share) end)
        order by later, turn, id
        limit case when (select state from vidbatch.provider where origin = $1) = 'probing' then 1 else $4 end
     ), fed as (
       update vidbatch.submission s
          set lane = $3, queued_at = now(), generation = s.generation + 1
         from vidbatch.batch b
        where s.id = any(array(select id from fair)) and b.id = s.batch_id
       returning s.id, s.generation, left(b.name, 60) as name, left(s.row_key, 80) as row_key, s.line, s.model, s.mode,
                 left(s.request::json ->> 'prompt', 100) as preview
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

/**
 * Takes rows out of this lane whose window has shut, so that they wait in the ledger and not in the way of others.
 * Returns their jobs.
 */
export async function withdraw(
  db: Queryable,
  lane: string,
): Promise<Pick<Queued, 'submissionId' | 'generation'>[]> {
  const { rows } = await db.query<{ id: number; generation: number }>(
    `update vidbatch.submission s set lane = null
       from vidbatch.batch b, vidbatch.meta m
      where s.lane = $1 and s.state = 'pending' and b.id = s.batch_id and not ${WINDOW_OPEN}
     returning s.id, s.generation`,
    [lane],
  );
  return rows.map((row) => ({ submissionId: row.id, generation: row.generation }));
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
    'insert into vidbatch.lane (name) values ($1) on conflict (name) do update set seen_at = now()',
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
}

/** Frees every queued row: for the holder of an embedded folder at its start, when no other feeder can be alive. */
export async function freeAllLanes(db: Queryable): Promise<void> {
  await db.query('delete from vidbatch.lane');
  await db.query(`update vidbatch.submission set lane = null where state = 'pending' and lane is not null`);
}
