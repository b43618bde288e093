import { VidbatchError } from '../core/errors.ts';
import type { Queryable } from '../database/database.ts';
import type { RunFlags, Schedule } from './schedule.ts';

export type RunState = 'due' | 'taken' | 'made' | 'failed' | 'skipped' | 'missed';

/** One submission of a schedule's manifest, that is to be or has been. */
export interface Run {
  id: number;
  tick: Date;
  triggered: boolean;
  /** The batch that it makes. */
  batch: string;
  state: RunState;
  batchId: number | null;
  /** Of the failure. */
  code: string | null;
  reason: string | null;
  endedAt: Date | null;
}

/** A run in the hands of a worker: as long as its lease holds, nobody else takes it. */
export interface TakenRun extends Pick<Run, 'id' | 'tick' | 'triggered' | 'batch'> {
  worker: string;
  schedule: Pick<Schedule, 'id' | 'name' | 'manifest' | 'flags' | 'overlap' | 'missed'>;
  /** How long ago it was due, in milliseconds. */
  lateMs: number;
  /** The batch of an earlier run that is not over, and what of it is left. */
  before: { batch: string; open: number } | null;
}

/** Whoever takes a run says again and again that he is alive; his lease ends when he has not for so long. */
export const LEASE_MS = 15_000;
/** Of a machine on which no worker was seen for so long, nothing is expected. */
const HOST_MS = 30_000;

interface RunRow {
  id: number;
  tick: Date;
  triggered: boolean;
  batch: string;
  state: RunState;
  batch_id: number | null;
  code: string | null;
  reason: string | null;
  ended_at: Date | null;
}

const COLUMNS = 'r.id, r.tick, r.triggered, r.batch, r.state, r.batch_id, r.code, r.reason, r.ended_at';

function toRun({ batch_id: batchId, ended_at: endedAt, ...row }: RunRow): Run {
  return { ...row, batchId, endedAt };
}

/** The newest runs of a schedule, newest first. */
export async function listRuns(db: Queryable, scheduleId: number, limit: number): Promise<Run[]> {
  const { rows } = await db.query<RunRow>(
    `select ${COLUMNS} from vidbatch.run r where r.schedule_id = $1 order by r.tick desc limit $2`,
    [scheduleId, limit],
  );
  return rows.map(toRun);
}

/** Whether the newest run of a schedule that was to make a batch has failed. */
export async function isFailing(db: Queryable, scheduleId: number): Promise<boolean> {
  const { rows } = await db.query<{ state: RunState }>(
    `select state from vidbatch.run
      where schedule_id = $1 and state in ('made', 'failed') order by tick desc limit 1`,
    [scheduleId],
  );
  return rows[0]?.state === 'failed';
}

/** The newest run of a schedule that is over. */
export async function lastRun(db: Queryable, scheduleId: number): Promise<Run | undefined> {
  const { rows } = await db.query<RunRow>(
    `select ${COLUMNS} from vidbatch.run r
      where r.schedule_id = $1 and r.state not in ('due', 'taken') order by r.tick desc limit 1`,
    [scheduleId],
  );
  return rows[0] && toRun(rows[0]);
}

/** An operator's run, besides the ticks. Undefined when there is one of this very moment. */
export async function triggerRun(
  db: Queryable,
  scheduleId: number,
  { tick, batch }: { tick: Date; batch: string },
): Promise<number | undefined> {
  const { rows } = await db.query<{ id: number }>(
    `insert into vidbatch.run (schedule_id, tick, triggered, batch, due_at) values ($1, $2, true, $3, now())
     on conflict (schedule_id, tick) do nothing
     returning id`,
    [scheduleId, tick, batch],
  );
  return rows[0]?.id;
}

/** Earlier runs of the same schedule that are not over: not made yet, or with rows that are still to be sent. */
const EARLIER = `
  select e.batch,
         (select count(*)::int from vidbatch.submission x
           where x.batch_id = e.batch_id and x.state in ('pending', 'submitting')) as open
    from vidbatch.run e left join vidbatch.batch b on b.id = e.batch_id
   where e.schedule_id = r.schedule_id and e.tick < r.tick
     and (e.state in ('due', 'taken')
          or e.state = 'made' and b.not_after > now()
             and exists (select from vidbatch.submission x
                          where x.batch_id = e.batch_id and x.state in ('pending', 'submitting')))
   order by e.tick limit 1`;

/** Whether a worker is up on a machine that this run has not been left by. */
const ELSEWHERE = (without: string): string =>
  `exists (select from vidbatch.ticker t
            where abs(extract(epoch from now() - t.seen_at)) * 1000 < ${HOST_MS} and t.host <> all(${without}))`;

/**
 * Takes a run that is due, committed before it resolves: the longest due one that nobody has, or whose taker has not
 * renewed his lease. One that ends further ahead than any goes is of a clock that was set back (twice as far: of two who
 * ask at once, the later one may have begun earlier). `only`: this one or none.
 */
export async function takeRun(
  db: Queryable,
  { worker, host, only = null }: { worker: string; host: string; only?: number | null },
): Promise<TakenRun | undefined> {
  const { rows } = await db.query<{
    id: number;
    tick: Date;
    triggered: boolean;
    batch: string;
    late_ms: number;
    schedule_id: number;
    name: string;
    manifest: string;
    flags: string;
    overlap: Schedule['overlap'];
    missed: Schedule['missed'];
    before: string | null;
    open: number | null;
  }>(
    `with next as (
       select r.id, s.name, s.manifest, s.flags, s.overlap, s.missed, e.batch as before, e.open
         from vidbatch.run r
         join vidbatch.schedule s on s.id = r.schedule_id
         left join lateral (${EARLIER}) e on true
        where r.state in ('due', 'taken') and r.due_at <= now() and ($3::bigint is null or r.id = $3)
          and (r.triggered or s.paused_at is null)
          and (r.state = 'due' or r.lease_until not between now() and now() + 2 * $4 * interval '1 millisecond')
          and ($2 <> all(r.without) or not ${ELSEWHERE('r.without')})
          and (s.overlap <> 'queue' or e.batch is null)
        order by r.due_at, r.id
        limit 1
          for update of r skip locked
     )
     update vidbatch.run r
        set state = 'taken', worker = $1, lease_until = now() + $4 * interval '1 millisecond'
       from next n
      where r.id = n.id
     returning r.id, r.tick, r.triggered, r.batch, r.schedule_id,
               (extract(epoch from now() - r.due_at) * 1000)::float8 as late_ms,
               n.name, n.manifest, n.flags, n.overlap, n.missed, n.before, n.open`,
    [worker, host, only, LEASE_MS],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    id: row.id,
    tick: row.tick,
    triggered: row.triggered,
    batch: row.batch,
    worker,
    schedule: {
      id: row.schedule_id,
      name: row.name,
      manifest: row.manifest,
      flags: JSON.parse(row.flags) as RunFlags,
      overlap: row.overlap,
      missed: row.missed,
    },
    lateMs: row.late_ms,
    before: row.before === null ? null : { batch: row.before, open: row.open ?? 0 },
  };
}

type Hold = Pick<TakenRun, 'id' | 'worker'>;

/** Still the same worker's. */
const HELD = `id = $1 and worker = $2 and state = 'taken'`;

export async function renewLease(db: Queryable, { id, worker }: Hold): Promise<void> {
  await db.query(
    `update vidbatch.run set lease_until = now() + $3 * interval '1 millisecond' where ${HELD}`,
    [id, worker, LEASE_MS],
  );
}

/**
 * In the transaction that gives the batch its rows: either both are committed, or neither.
 * @throws VidbatchError `RUN_LOST` when the run is no longer this worker's: nothing must be committed.
 */
export async function runMade(db: Queryable, { id, worker }: Hold, batchId: number): Promise<void> {
  const { rows } = await db.query(
    `update vidbatch.run
        set state = 'made', batch_id = $3, worker = null, lease_until = null, ended_at = now()
      where ${HELD} returning id`,
    [id, worker, batchId],
  );
  if (rows.length === 0) {
    throw new VidbatchError('RUN_LOST', 'another worker has taken this run, or its schedule was removed');
  }
}

/** Over, without a batch. False when the run is no longer this worker's. */
export async function endRun(
  db: Queryable,
  { id, worker }: Hold,
  state: 'failed' | 'skipped' | 'missed',
  { code = null, reason }: { code?: string | null; reason: string },
): Promise<boolean> {
  const { rows } = await db.query(
    `update vidbatch.run
        set state = $3, code = $4, reason = $5, worker = null, lease_until = null, ended_at = now()
      where ${HELD} returning id`,
    [id, worker, state, code, reason],
  );
  return rows.length > 0;
}

/** Untouched: whoever comes next takes it. */
export async function giveBackRun(db: Queryable, { id, worker }: Hold): Promise<void> {
  await db.query(`update vidbatch.run set state = 'due', worker = null, lease_until = null where ${HELD}`, [
    id,
    worker,
  ]);
}

/**
 * The manifest is not on this machine. A worker on another one may have it; when there is none left, the run has failed.
 * Returns which.
 */
export async function leaveRun(
  db: Queryable,
  { id, worker }: Hold,
  host: string,
  { code, reason }: { code: string; reason: string },
): Promise<'left' | 'failed' | 'lost'> {
  const { rows } = await db.query<{ state: RunState }>(
    `with mine as (
       select id, array_append(array_remove(without, $3), $3) as without from vidbatch.run where ${HELD} for update
     ), seen as (
       select m.*, ${ELSEWHERE('m.without')} as elsewhere from mine m
     )
     update vidbatch.run r
        set without = s.without, state = case when s.elsewhere then 'due' else 'failed' end,
            worker = null, lease_until = null,
            code = case when s.elsewhere then null else $4 end,
            reason = case when s.elsewhere then null else $5 || ' (on ' || array_to_string(s.without, ', ') || ')' end,
            ended_at = case when s.elsewhere then null else now() end
       from seen s where r.id = s.id
     returning r.state`,
    [id, worker, host, code, reason],
  );
  if (rows[0] === undefined) return 'lost';
  return rows[0].state === 'due' ? 'left' : 'failed';
}
