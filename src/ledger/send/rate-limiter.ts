import type { Limit } from '../../core/rate/rate-limits.ts';

/**
 * A slot is reserved at most this many milliseconds before it comes, because a worker that dies wastes its slots, and a
 * claim cannot be called back. It is long enough for the claim and the journal.
 */
export const AHEAD_MS = 300;
/** With an automatic rate, because reserved slots cannot be slowed down. */
const AHEAD_FINDING_MS = 150;

/** Requests arrive a little closer together than they leave. A provider that counts each second refuses one too many. */
const SLACK = 1.015;

/** Slots for up to `most` of these rows (an SQL array, in their order). The limits are `$7` to `$10`. */
export const SLOTS = (ids: string, most: string): string =>
  `vidbatch.reserve_slots($4, ${ids}, $7::text[], $8::float8[], $9::int[], $10, ${most})`;

/** Rows of model `g.model` may have a slot now: a cheap check before rows are locked. `$4`, `$7`, `$9` and `$10` as above. */
export const MODELS_WITH_ROOM = `not exists (
            select from unnest($7::text[], $9::int[]) as l(model, cap)
              left join vidbatch.quota q on q.origin = $4 and q.model = l.model
             where l.model in ('', g.model)
               and (q.next_slot > now() + $10 * interval '1 millisecond' or vidbatch.running($4, l.model, l.cap) >= l.cap))`;

/** `$7` to `$10` of a claim; empty without limits. */
export function limitParams(limits: readonly Limit[]): unknown[] {
  if (limits.length === 0) return [];
  return [
    limits.map(({ model }) => model),
    limits.map(({ intervalMs = 0 }) => (intervalMs === 'auto' ? null : intervalMs * SLACK)),
    limits.map(({ inFlight }) => inFlight ?? null),
    aheadMs(limits),
  ];
}

function aheadMs(limits: readonly Limit[]): number {
  return limits.some(({ intervalMs }) => intervalMs === 'auto') ? AHEAD_FINDING_MS : AHEAD_MS;
}

/** If all places for tasks are taken, a worker looks again after this time. */
const FULL_MS = 60;

/** The state of a model's limits, as columns `ahead_ms` and `full` of table expression `room`. */
export const ROOM = (origin: string, models: string, caps: string, model: string): string => `(
  select max((extract(epoch from q.next_slot - now()) * 1000)::float8) filter (where isfinite(q.next_slot)) as ahead_ms,
         coalesce(bool_or(vidbatch.running(${origin}, l.model, l.cap) >= l.cap), false) as full
    from unnest(${models}::text[], ${caps}::int[]) as l(model, cap)
    join vidbatch.quota q on q.origin = ${origin} and q.model = l.model
   where l.model in ('', ${model})) room`;

/** Milliseconds until a row under these limits may have a slot; undefined: it may have one now. */
export function untilRoomMs(
  limits: readonly Limit[],
  { aheadMs: nextMs, full }: { aheadMs: number | null; full: boolean },
): number | undefined {
  if (full) return FULL_MS;
  const ahead = aheadMs(limits);
  if (nextMs === null || nextMs <= ahead) return undefined;
  // In the middle of the time for which slots are reserved: then some are free, and none has passed.
  return Math.max(1, Math.ceil(nextMs - ahead / 2));
}
