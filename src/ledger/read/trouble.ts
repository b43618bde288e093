import type { Queryable } from '../../database/database.ts';
import { BUDGET_USED } from '../money/budget.ts';
import { UNTOLD } from '../notify/notices.ts';
import { LAST_MADE_RUN } from '../schedules/runs.ts';
import { groups, PAUSED_MODELS } from '../send/group.ts';
import { OPEN_HALTS } from '../send/provider.ts';
import { UNFED } from '../workers.ts';
import { listOf, readOne } from './query.ts';

/**
 * What needs a person. Each fact is read here only: what needs attention, notifications, metrics and `doctor` are
 * derived from it.
 */
export interface Trouble {
  /** Second tasks of rows: paid twice. */
  paidTwice: number;
  uncertain: number;
  /** The halt that was raised first comes first. */
  halts: OpenHalt[];
  /** Batches that stopped themselves. */
  stopped: StoppedBatch[];
  /** Active batches with rows that the rest of the budget does not pay for, and no row in flight that could give money back. */
  spent: SpentBatch[];
  /** Schedules whose latest run that was made has failed. */
  failedSchedules: FailedSchedule[];
  /** Batches whose rows could be sent now if there were a worker. */
  unfed: UnfedBatch[];
  /** Targets whose notifications were given up lately. */
  untold: UntoldTarget[];
}

interface OpenHalt {
  id: string;
  origin: string;
  code: string;
  reason: string;
  httpStatus: number | null;
  raisedAt: string;
}

interface StoppedBatch {
  id: string;
  batch: string;
  code: string | null;
  reason: string;
}

export interface SpentBatch {
  id: string;
  batch: string;
  budget: string;
  currency: string;
}

interface FailedSchedule {
  /** Of the run. */
  id: string;
  schedule: string;
  /** Of the run. */
  batch: string;
  code: string | null;
  reason: string;
  at: string;
}

interface UnfedBatch {
  id: string;
  batch: string;
}

interface UntoldTarget {
  place: string;
  notices: number;
  events: string[];
  /** Of the last notification, and when it was given up. */
  failure: string;
  at: string;
}

/** Rows that wait because of it. */
type WithRows<T> = T & { rows: number };

/** The same with the rows that wait. */
export interface CountedTrouble extends Trouble {
  halts: WithRows<OpenHalt>[];
  stopped: WithRows<StoppedBatch>[];
  spent: WithRows<SpentBatch>[];
  unfed: WithRows<UnfedBatch>[];
}

/** Each part reads a few rows of an index, so that it may be read often while rows are sent. */
export function readTrouble(db: Queryable): Promise<Trouble> {
  return readOne<Trouble>(db, `select ${troubleColumns(() => '')}`);
}

/** Counts rows where there is trouble. */
export function readCountedTrouble(db: Queryable): Promise<CountedTrouble> {
  return readOne<CountedTrouble>(db, `select ${COUNTED_TROUBLE}`);
}

const PENDING_OF_BATCH = `s.batch_id = b.id and s.state = 'pending'`;

/** The columns of `CountedTrouble`, for a statement that reads more of the same moment. */
export const COUNTED_TROUBLE = troubleColumns(
  (pending) => `, (select count(*)::int from vidbatch.row_state s ${pending}) as rows`,
);

/** `rows`: a column that counts the rows `s` which wait, or nothing. */
function troubleColumns(rows: (pending: string) => string): string {
  const rowsOfBatch = rows(`where ${PENDING_OF_BATCH}`);
  return `(select count(*)::int from vidbatch.attempt where surplus) as "paidTwice",
    (select count(*)::int from vidbatch.row_state where state = 'uncertain') as uncertain,
    ${listOf(
      `select h.id::text as id, h.origin, h.code, h.reason, h.http_status as "httpStatus", h.raised_at as "raisedAt"
              ${rows(`join vidbatch.batch b on b.id = s.batch_id where b.origin = h.origin and s.state = 'pending'`)}
         from ${OPEN_HALTS} h`,
      '"raisedAt"',
    )} as halts,
    ${listOf(
      `select b.id::text as id, b.name as batch, b.stop_code as code, b.stop_reason as reason ${rowsOfBatch}
         from vidbatch.batch b where b.state = 'stopped'`,
      'batch',
    )} as stopped,
    ${listOf(
      `select b.id::text as id, b.name as batch, trim_scale(b.budget)::text as budget, b.budget_currency as currency ${rowsOfBatch}
         from vidbatch.batch b
         left join vidbatch.provider p on p.origin = b.origin
        cross join vidbatch.meta m
        where ${BUDGET_USED}`,
      'batch',
    )} as spent,
    ${listOf(
      `select r.id::text as id, c.name as schedule, r.batch, r.code, r.reason, r.ended_at as at
         from vidbatch.schedule c cross join lateral ${LAST_MADE_RUN('c.id')} r
        where r.state = 'failed'`,
      'schedule',
    )} as "failedSchedules",
    ${listOf(
      `select b.id::text as id, b.name as batch
              ${rows(`where ${PENDING_OF_BATCH} and s.not_before <= now() and s.model <> all ${PAUSED_MODELS}`)}
         from vidbatch.batch b
         left join vidbatch.provider p on p.origin = b.origin
        cross join vidbatch.meta m
        where exists (select from ${groups('b.id')} g where g.due_at <= now() and g.model <> all ${PAUSED_MODELS})
          and vidbatch.blocked_by(b, p, m) <@ '{model-paused}' and ${UNFED}`,
      'id::bigint',
    )} as unfed,
    ${listOf(
      `select t.place, count(*)::int as notices, array_agg(distinct n.event order by n.event) as events,
              (array_agg(n.failure order by n.given_up_at desc))[1] as failure, max(n.given_up_at) as at
         from ${UNTOLD} n join vidbatch.notify_target t on t.id = n.target
        group by t.id, t.place`,
      'at desc',
    )} as untold`;
}
