import type { Limit } from '../../core/rate/rate-limits.ts';
import type { Queryable } from '../../database/database.ts';
import { groups, PAUSED_MODELS } from './group.ts';
import { ROOM, untilRoomMs } from './rate-limiter.ts';

/** Why no row of a batch is claimed. */
export interface Blocked {
  reason:
    | Exclude<ShutGate, 'all-paused' | 'model-paused' | 'off-peak-window'>
    | 'unknown'
    | 'other-batch'
    | 'other-provider'
    | 'nothing'
    | 'not-due'
    | 'rate'
    | 'in-flight'
    | 'busy';
  /** Milliseconds until it may be over, where that is known. */
  waitMs?: number;
}

/**
 * Why rows of a batch may not be sent now, as the ledger says it. `off-peak-window` keeps only its off-peak rows, and
 * `model-paused` only rows of the models that an operator paused.
 */
export type ShutGate =
  | 'cancelled'
  | 'closed'
  | 'all-paused'
  | 'paused'
  | 'model-paused'
  | 'stopped'
  | 'halted'
  | 'expired'
  | 'window'
  | 'off-peak-window'
  | 'budget'
  | 'throttled'
  | 'alone';

/** Every reason why rows of a batch may not be sent now, the most important for a person first. */
export async function readShutGates(db: Queryable, batchId: number): Promise<ShutGate[]> {
  const { rows } = await db.query<{ shut: ShutGate[] }>(
    `select vidbatch.blocked_by(b, p, m) as shut
       from vidbatch.batch b left join vidbatch.provider p on p.origin = b.origin cross join vidbatch.meta m
      where b.id = $1`,
    [batchId],
  );
  return rows[0]?.shut ?? [];
}

/** The state of a batch and of its groups of pending rows, as the ledger has it now. */
export interface BatchFacts {
  /** What keeps all rows of the batch from being sent; null: nothing does. */
  gate: Blocked['reason'] | null;
  /** Milliseconds until the provider's throttle is over. */
  throttledMs: number;
  groups: {
    /** Milliseconds until its first row is due; not above zero: it is. */
    dueMs: number;
    /** What keeps rows of this model from being sent, and not the others: their window, or a pause of the model. */
    gate: Blocked['reason'] | null;
    /** Milliseconds until the next free slot under its limits; null if it is not known. */
    aheadMs: number | null;
    full: boolean;
  }[];
}

/** A batch has a budget, no accepted row yet, or a provider that was halted: its rows are claimed with the batch locked. */
export type LockNeeded = boolean;

/** The state of a batch for a worker that claimed fewer rows than it asked for. */
export async function readBlocked(
  db: Queryable,
  scope: { origin: string; batches: readonly number[] | null; limits?: readonly Limit[] },
  batchId: number,
): Promise<{ blocked: Blocked; lockNeeded: LockNeeded }> {
  const { limits = [] } = scope;
  const { rows } = await db.query<{
    foreign: Blocked['reason'] | null;
    shut: ShutGate[];
    throttledMs: number;
    lockNeeded: boolean | null;
    dueMs: number | null;
    offPeak: boolean;
    modelPaused: boolean;
    aheadMs: number | null;
    full: boolean;
  }>(
    `select case when b.id is null then 'unknown'
                 when not ($3::bigint[] is null or b.id = any($3)) then 'other-batch'
                 when b.origin is distinct from $2 then 'other-provider' end as foreign,
            vidbatch.blocked_by(b, p, m) as shut,
            case when isfinite(p.throttled_until) -- before 17, infinity has no difference
                 then greatest(0, (extract(epoch from p.throttled_until - now()) * 1000)::float8) else 0 end as "throttledMs",
            not b.proven or b.budget is not null or p.state <> 'open' as "lockNeeded",
            case when not isfinite(g.due_at) then 0
                 else (extract(epoch from g.due_at - now()) * 1000)::float8 end as "dueMs",
            vidbatch.is_off_peak(g.model) as "offPeak", g.model = any ${PAUSED_MODELS} as "modelPaused",
            room.ahead_ms as "aheadMs", coalesce(room.full, false) as full
       from (values ($1::bigint)) as w(id)
      cross join vidbatch.meta m
       left join vidbatch.batch b on b.id = w.id
       left join vidbatch.provider p on p.origin = b.origin
       left join lateral ${groups('w.id')} g on true
       left join lateral ${ROOM('$2', '$4', '$5', 'g.model')} on true`,
    [
      batchId,
      scope.origin,
      scope.batches,
      limits.map(({ model }) => model),
      limits.map(({ inFlight }) => inFlight ?? null),
    ],
  );
  const [first] = rows;
  const facts: BatchFacts = {
    gate: first?.foreign ?? firstOf(first?.shut ?? [], {}),
    throttledMs: first?.throttledMs ?? 0,
    groups: rows.flatMap(({ shut, dueMs, aheadMs, full, ...group }) =>
      dueMs === null ? [] : [{ dueMs, gate: firstOf(shut, group), aheadMs, full }],
    ),
  };
  return { blocked: blockedBy(facts, limits), lockNeeded: first?.lockNeeded ?? false };
}

/** The first reason that holds for rows of a group; without one, for all rows of the batch. */
function firstOf(
  shut: readonly ShutGate[],
  { offPeak = false, modelPaused = false }: { offPeak?: boolean; modelPaused?: boolean },
): Blocked['reason'] | null {
  const gate = shut.find((one) =>
    one === 'off-peak-window' ? offPeak : one !== 'model-paused' || modelPaused,
  );
  if (gate === undefined) return null;
  if (gate === 'off-peak-window') return 'window';
  return gate === 'all-paused' || gate === 'model-paused' ? 'paused' : gate;
}

/** The most important reason for a person. */
export function blockedBy({ gate, throttledMs, groups: all }: BatchFacts, limits: readonly Limit[]): Blocked {
  if (gate === 'throttled') return { reason: gate, waitMs: Math.max(1, Math.ceil(throttledMs)) };
  if (gate !== null) return { reason: gate };
  if (all.length === 0) return { reason: 'nothing' };
  const open = all.filter((group) => group.gate === null);
  if (open.length === 0) return { reason: all[0]?.gate ?? 'window' };
  const due = open.filter(({ dueMs }) => dueMs <= 0);
  if (due.length === 0) return { reason: 'not-due', waitMs: soonest(open.map(({ dueMs }) => dueMs)) };
  const waits = due.map((group) => ({ full: group.full, ms: untilRoomMs(limits, group) }));
  const waiting = waits.flatMap(({ ms }) => ms ?? []);
  // Another worker holds the rows that are due, or has just taken them.
  if (waiting.length < waits.length) return { reason: 'busy' };
  return { reason: waits.every(({ full }) => full) ? 'in-flight' : 'rate', waitMs: soonest(waiting) };
}

function soonest(waits: readonly number[]): number {
  return Math.max(1, Math.ceil(Math.min(...waits)));
}
