import type { Limit } from '../../core/rate/rate-limits.ts';
import { affordable } from '../money/budget.ts';
import type { Queryable } from '../../database/database.ts';
import { DUE, dueGroups, groups, PAUSED_MODELS } from './group.ts';
import { ROOM, untilRoomMs } from './rate-limiter.ts';

/** A job itself waits for the next slot of a limit, if the slot comes within this time. */
const SOON_MS = 1_000;

/** Which rows a feeder looks for. */
export interface FeedScope {
  origin: string;
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  /** The limits of all workers together. */
  limits?: readonly Limit[];
}

/** A batch with rows that may be sent now. */
export interface ReadyBatch {
  id: number;
  name: string;
  /** The highest sum of the batch's priority and a row's. */
  rank: number;
  /** Only one row may be in flight: the batch has no accepted row yet, or a halted provider is being probed. */
  alone: boolean;
  /** A halted provider is being probed, so only one row of all batches may be in flight. */
  probing: boolean;
  /** Each of its rows that may be sent has caused a halt. */
  halted: boolean;
  /** Rows that are due, counted up to what was asked for. */
  rows: number;
  /** Its limits have no room within a second. */
  full: boolean;
}

/** Rows of batch `r` that are due. `more` narrows the rows of each group. */
const dueRows = (more: string): string =>
  `select from ${dueGroups('r')} g
    cross join lateral (select from vidbatch.row_state s where ${DUE('r.id')} ${more}) s`;

/**
 * Batches with rows that may be sent now, the highest rank first. It returns at most `most` batches, and chooses randomly
 * among those of one rank, so that each gets its turn. Changes nothing.
 */
export async function readyBatches(
  db: Queryable,
  { origin, batches, limits = [] }: FeedScope,
  { most, rows: mostRows }: { most: number; rows: number },
): Promise<ReadyBatch[]> {
  const { rows } = await db.query<ReadyBatch & { aheadMs: number | null }>(
    `with ready as (
       select b.id, b.name, b.proven, p.state = 'probing' as probing, max(b.priority + g.priority) as rank,
              min(coalesce(room.ahead_ms, 0)) as "aheadMs", bool_and(room.full) as full,
              bool_or(vidbatch.is_off_peak(g.model)) as off_peak_too,
              ${PAUSED_MODELS} as paused_models,
              b.budget_currency as currency, b.budget - b.held as money
         from vidbatch.batch b
         join vidbatch.provider p on p.origin = b.origin
        cross join vidbatch.meta m
        cross join lateral ${groups('b.id')} g
        cross join lateral ${ROOM('$1', '$3', '$4', 'g.model')}
        where b.origin = $1 and ($2::bigint[] is null or b.id = any($2)) and g.due_at <= now()
          and g.model <> all ${PAUSED_MODELS}
          -- Asked for each group, so not for the many batches that have no group.
          and vidbatch.blocked_by(b, p, m) <@ case when vidbatch.is_off_peak(g.model) then '{model-paused}'
                                               else '{off-peak-window,model-paused}'::text[] end
        group by b.id, p.state, m.only_row
        order by rank desc, random() limit $5
     )
     select r.id, r.name, r.rank, not r.proven or r.probing as alone, r.probing, r."aheadMs", r.full,
            r.probing and not exists (${dueRows('and s.halted_at is null limit 1')}) as halted,
            case when r.currency is null or exists (${dueRows(`and ${affordable('r')} limit 1`)})
              then (select count(*) from (${dueRows('limit $6')} limit $6) due)::int else 0 end as rows
       from ready r
      order by r.rank desc`,
    [
      origin,
      batches,
      limits.map(({ model }) => model),
      limits.map(({ inFlight }) => inFlight ?? null),
      most,
      mostRows,
    ],
  );
  return rows
    .filter((row) => row.rows > 0)
    .map(({ aheadMs, full, ...row }) => ({
      ...row,
      full: full || (untilRoomMs(limits, { aheadMs, full }) ?? 0) > SOON_MS,
    }));
}
