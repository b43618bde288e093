import { VidbatchError } from '../../core/errors.ts';
import type { Queryable } from '../../database/database.ts';
import type { Schedule } from './schedules.ts';

type RunState = 'due' | 'taken' | 'made' | 'failed' | 'skipped' | 'missed';

/** One tick of a schedule: its manifest is submitted, or was. */
export interface Run {
  id: number;
  tick: Date;
  triggered: boolean;
  batch: string;
  state: RunState;
  batchId: number | null;
  /** Why it failed. */
  code: string | null;
  reason: string | null;
  endedAt: Date | null;
}

/** A run that a worker has taken. No other worker takes it before the end of its lease. */
export interface TakenRun extends Pick<Run, 'id' | 'tick' | 'triggered' | 'batch'> {
  worker: string;
  schedule: Pick<Schedule, 'id' | 'name' | 'manifest' | 'flags' | 'overlap' | 'missed'>;
  /** Milliseconds since it was due. */
  lateMs: number;
  /** The batch of an earlier run that is not over, and how many of its rows are open. */
  before: { batch: string; open: number } | null;
}

/** After this time without a renewal, another worker may take the run. */
export const LEASE_MS = 15_000;
/** After this time without a sign of its workers, a machine is not expected to take a run. */
const HOST_MS = 30_000;

const COLUMNS =
  'r.id, r.tick, r.triggered, r.batch, r.state, r.batch_id as "batchId", r.code, r.reason, r.ended_at as "endedAt"';

/** The newest runs of a schedule, newest first. */
export async function listRuns(db: Queryable, scheduleId: number, limit: number): Promise<Run[]> {
  const { rows } = await db.query<Run>(
    `select ${COLUMNS} from vidbatch.run r where r.schedule_id = $1 order by r.tick desc limit $2`,
    [scheduleId, limit],
  );
  return rows;
}

/** The latest run of a schedule that was made or has failed, as SQL. */
export const LAST_MADE_RUN = (schedule: string): string => `(
  select r.* from vidbatch.run r
   where r.schedule_id = ${schedule} and r.state in ('made', 'failed') order by r.tick desc limit 1)`;

export async function isFailing(db: Queryable, scheduleId: number): Promise<boolean> {
  const { rows } = await db.query<{ state: RunState }>(`select r.state from ${LAST_MADE_RUN('$1')} r`, [
    scheduleId,
  ]);
  return rows[0]?.state === 'failed';
}

export async function findLastRun(db: Queryable, scheduleId: number): Promise<Run | undefined> {
  const { rows } = await db.query<Run>(
    `select ${COLUMNS} from vidbatch.run r
      where r.schedule_id = $1 and r.state not in ('due', 'taken') order by r.tick desc limit 1`,
    [scheduleId],
  );
  return rows[0];
}

/** Adds a run that an operator asks for. Undefined: the schedule has a run of the same moment. */
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

/** The first earlier run of the schedule that is not over, as SQL: it is not made, or has rows to send. */
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

/** Another machine that may have the manifest of this run has a worker, as SQL. */
const ELSEWHERE = (without: string): string =>
  `exists (select from vidbatch.ticker t
            where abs(extract(epoch from now() - t.seen_at)) * 1000 < ${HOST_MS} and t.host <> all(${without}))`;

/**
 * Takes the run that has been due for the longest, unless a worker holds its lease. It is committed before this resolves. A
 * lease more than twice `LEASE_MS` ahead was written before the clock was set back, and is ignored. `only`: take the run
 * with this id or none.
 */
export async function takeRun(
  db: Queryable,
  { worker, host, only = null }: { worker: string; host: string; only?: number | null },
): Promise<TakenRun | undefined> {
  const { rows } = await db.query<Omit<TakenRun, 'worker'>>(
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
     returning r.id, r.tick, r.triggered, r.batch, (extract(epoch from now() - r.due_at) * 1000)::float8 as "lateMs",
               json_build_object('id', r.schedule_id, 'name', n.name, 'manifest', n.manifest, 'flags', n.flags::json,
                                 'overlap', n.overlap, 'missed', n.missed) as schedule,
               case when n.before is not null then
                 json_build_object('batch', n.before, 'open', coalesce(n.open, 0)) end as before`,
    [worker, host, only, LEASE_MS],
  );
  return rows[0] && { ...rows[0], worker };
}

type Hold = Pick<TakenRun, 'id' | 'worker'>;

/** The run still belongs to the worker. */
const HELD = `id = $1 and worker = $2 and state = 'taken'`;

export async function renewLease(db: Queryable, { id, worker }: Hold): Promise<void> {
  await db.query(
    `update vidbatch.run set lease_until = now() + $3 * interval '1 millisecond' where ${HELD}`,
    [id, worker, LEASE_MS],
  );
}

/**
 * Call it in the transaction that gives the batch its rows: both are committed, or neither.
 * @throws VidbatchError `RUN_LOST` when the run no longer belongs to this worker: nothing may be committed.
 */
export async function recordMade(db: Queryable, { id, worker }: Hold, batchId: number): Promise<void> {
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

/** Ends a run without a batch. False: the run no longer belongs to this worker. */
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

/** For a run that was not begun: any worker may take it. */
export async function releaseRun(db: Queryable, { id, worker }: Hold): Promise<void> {
  await db.query(`update vidbatch.run set state = 'due', worker = null, lease_until = null where ${HELD}`, [
    id,
    worker,
  ]);
}

/** For a manifest that is not on this machine. Another machine may have it; without another worker, the run has failed. */
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
