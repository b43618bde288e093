import { affordable, ONLY_PAUSED_FIT } from '../money/budget.ts';
import type { Queryable } from '../../database/database.ts';
import type { ShutGate } from './blocked.ts';
import { CLAIM_ORDER, groups, PAUSED_MODELS, PENDING } from './group.ts';

/** Batch `b` has a row that may be sent now, or that was tried and waits at most two hours for its next try. */
const ANY_READY = `exists (
  select from ${groups('b.id')} g
   cross join lateral (select from vidbatch.row_state s
                        where ${PENDING('b.id')}
                          and s.not_before <= now() + interval '2 hours'
                          and (s.not_before <= now() or s.attempts > 0)
                          and ${affordable('b')}
                        order by ${CLAIM_ORDER} limit 1) one
   where ('off-peak-window' <> all(b.shut) or not vidbatch.is_off_peak(g.model)) and g.model <> all(b.paused_models))`;

/**
 * What a worker of this provider still has to do for these batches. Unless it is `work` or `nothing`, rows are pending and
 * none is in flight. `held`: an operator has paused them. `halted`: the provider or a batch is stopped. `later`: they wait
 * for their window or their own time. `expired`: their time is over. `spent`: none fits its batch's budget, or only
 * rows of paused models do.
 */
export type RemainingWork = 'work' | 'held' | 'halted' | 'later' | 'expired' | 'spent' | 'nothing';

export async function readRemainingWork(
  db: Queryable,
  origin: string,
  ids: readonly number[] | null,
): Promise<RemainingWork> {
  const { rows } = await db.query<{ flying: boolean; ready: boolean; shut: ShutGate[][] }>(
    // Postgres would repeat an inlined part wherever its answer is used: three times the pages with 5,000 batches.
    `with open as materialized (
       select b.id, o.*
         from vidbatch.batch b
        cross join lateral (
          -- In the order of an index: where the statistics are old, the planner would else read the whole table.
          select (select true from vidbatch.row_state s where s.batch_id = b.id and s.state = 'pending'
                   order by ${CLAIM_ORDER} limit 1) is true as pending,
                 (select true from vidbatch.row_state s where s.batch_id = b.id and s.state = 'submitting'
                   order by s.deadline limit 1) is true as flying
        ) o
        where b.origin = $1 and ($2::bigint[] is null or b.id = any($2)) and (o.pending or o.flying)
     ), waiting as materialized (
       -- A budget that is yet to be counted is work: the worker counts it.
       select b.id, rest.*, ${PAUSED_MODELS} as paused_models,
              array_remove(
                vidbatch.blocked_by(b, p, m)
                -- Where an operator paused the model of every row, the batch is as good as paused.
                || case when not exists (select from ${groups('b.id')} g where g.model <> all ${PAUSED_MODELS})
                        then '{paused}'::text[] end
                || case when ${ONLY_PAUSED_FIT('rest')} then '{budget}'::text[] end,
                case when b.held is null then 'budget' end) as shut
         from open
         join vidbatch.batch b on b.id = open.id
         join vidbatch.provider p on p.origin = b.origin
        cross join vidbatch.meta m
        cross join lateral (
          select case when b.held is not null then b.budget_currency end as currency, b.budget - b.held as money) rest
        where open.pending
     )
     select exists (select from open where flying) as flying,
            exists (select from waiting b where shut <@ '{off-peak-window,model-paused,throttled,alone}' and ${ANY_READY}) as ready,
            (select coalesce(jsonb_agg(distinct to_jsonb(shut)), '[]') from waiting) as shut`,
    [origin, ids],
  );
  const { flying = false, ready = false, shut = [] } = rows[0] ?? {};
  if (flying) return 'work';
  if (shut.length === 0) return 'nothing';
  const isBehind = (gates: readonly string[], ...some: ShutGate[]): boolean =>
    some.some((gate) => gates.includes(gate));
  const waiting = shut.filter(
    (gates) => !isBehind(gates, 'cancelled', 'closed', 'all-paused', 'paused', 'stopped', 'budget'),
  );
  if (waiting.length === 0) {
    if (shut.some((gates) => isBehind(gates, 'cancelled', 'all-paused', 'paused'))) return 'held';
    return shut.some((gates) => isBehind(gates, 'closed', 'stopped')) ? 'halted' : 'spent';
  }
  if (waiting.some((gates) => isBehind(gates, 'halted'))) return 'halted';
  if (ready) return 'work';
  return waiting.every((gates) => isBehind(gates, 'expired')) ? 'expired' : 'later';
}
