import type { Limit } from '../../core/rate/limits.ts';
import type { Queryable } from '../../database/database.ts';
import type { Refusal } from './refusal.ts';

/**
 * A slot is given out at most so long before it comes, in milliseconds: a worker that dies with it wastes it, and what
 * was claimed cannot be called back. Long enough for the claim and the journal to be done when it comes.
 */
export const AHEAD_MS = 300;
/** Where the rate is being found: what was given out cannot be slowed down. */
const AHEAD_FINDING_MS = 150;

/** Requests do not arrive exactly as they leave; a provider that counts those of each second allows none too many. */
const SLACK = 1.015;

/** For `claim`: the wishes that have a turn under the limits, from `$1` and `$2`; the limits are `$7` to `$10`. */
export const WISHES_WITH_TURNS = `select w.submission_id, w.attempt_id, t.turn_ms
         from vidbatch.turns($4, $1::bigint[], $7::text[], $8::float8[], $9::int[], $10, false) t
         join unnest($1::bigint[], $2::uuid[]) as w(submission_id, attempt_id) on w.submission_id = t.submission_id`;

/** The same for `claimAlone`. */
export const WISH_WITH_TURN = `select submission_id, turn_ms
         from vidbatch.turns($4, array[$1::bigint], $7::text[], $8::float8[], $9::int[], $10, true)`;

/** `$7` to `$10`, or none where there are no limits. */
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

/** Where no place is free, one may be soon: the tasks of a provider come to their end at any time. */
const FULL_MS = 60;

/** Which limits keep these rows waiting, that no other gate does. Rows that none of them does are not in the answer. */
export async function heldBack(
  db: Queryable,
  { origin, limits = [] }: { origin: string; limits?: readonly Limit[] },
  submissionIds: readonly number[],
): Promise<Refusal[]> {
  if (limits.length === 0 || submissionIds.length === 0) return [];
  const { rows } = await db.query<{ id: number; model: string; ahead_ms: number | null; full: boolean }>(
    `with quota as materialized (
       select q.model,
              case when isfinite(q.next_slot) then (extract(epoch from q.next_slot - now()) * 1000)::float8 end as ahead_ms,
              case when l.cap is null then false else vidbatch.running($1, l.model, l.cap) >= l.cap end as full
         from unnest($2::text[], $3::int[]) as l(model, cap)
         join vidbatch.quota q on q.origin = $1 and q.model = l.model
     )
     select s.id, q.model, q.ahead_ms, q.full
       from vidbatch.submission s join quota q on q.model in ('', s.model)
      where s.id = any($4::bigint[])`,
    [origin, limits.map(({ model }) => model), limits.map(({ inFlight }) => inFlight ?? null), submissionIds],
  );
  const ahead = aheadMs(limits);
  const held = new Map<number, Refusal>();
  for (const { id, model, ahead_ms, full } of rows) {
    const ofModel = model === '' ? {} : ({ ofModel: true } as const);
    // In the middle of the time for which slots are given out: then there are some, and none has passed.
    const waitMs = full ? FULL_MS : Math.max(1, Math.ceil((ahead_ms ?? 0) - ahead / 2));
    if (!full && (ahead_ms === null || ahead_ms <= ahead)) continue;
    const other = held.get(id);
    if (other?.reason === 'in-flight' || (!full && (other?.waitMs ?? 0) >= waitMs)) continue;
    held.set(id, { submissionId: id, reason: full ? 'in-flight' : 'rate', waitMs, ...ofModel });
  }
  return [...held.values()];
}
