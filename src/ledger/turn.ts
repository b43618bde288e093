import type { Limit } from '../limits.ts';
import type { ClaimScope, Refusal } from './claim.ts';
import type { Queryable } from './database.ts';

/**
 * A slot is given out at most so long before it comes, in milliseconds: a worker that dies with it wastes it, and what
 * was claimed cannot be called back. Long enough for the claim and the journal to be done when it comes.
 */
export const AHEAD_MS = 300;

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
    limits.map(({ intervalMs = 0 }) => intervalMs * SLACK),
    limits.map(() => null),
    AHEAD_MS,
  ];
}

/** Which limits keep these rows waiting, that no other gate does. Rows that none of them does are not in the answer. */
export async function heldBack(
  db: Queryable,
  { origin, limits = [] }: Pick<ClaimScope, 'origin' | 'limits'>,
  submissionIds: readonly number[],
): Promise<Refusal[]> {
  if (limits.length === 0 || submissionIds.length === 0) return [];
  const { rows } = await db.query<{ id: number; model: string; ahead_ms: number | null }>(
    `select s.id, q.model,
            case when isfinite(q.next_slot) then (extract(epoch from q.next_slot - now()) * 1000)::float8 end as ahead_ms
       from vidbatch.submission s
       join vidbatch.quota q on q.origin = $1 and q.model = any($2) and q.model in ('', s.model)
      where s.id = any($3::bigint[])`,
    [origin, limits.map(({ model }) => model), submissionIds],
  );
  const held = new Map<number, Refusal>();
  for (const { id, model, ahead_ms } of rows) {
    if (ahead_ms === null || ahead_ms <= AHEAD_MS) continue;
    // In the middle of the time for which slots are given out: then there are some, and none has passed.
    const waitMs = Math.max(1, Math.ceil(ahead_ms - AHEAD_MS / 2));
    const other = held.get(id);
    if (other?.waitMs !== undefined && other.waitMs >= waitMs) continue;
    held.set(id, { submissionId: id, reason: 'rate', waitMs, ...(model === '' ? {} : { ofModel: true }) });
  }
  return [...held.values()];
}
