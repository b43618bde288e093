import type { OutcomeKind } from '../../core/outcome.ts';
import type { Queryable } from '../../database/database.ts';
import type { AttemptFacts, BatchFacts, Facts, ProviderFacts, RowFacts } from './decide/facts.ts';
import { UNKNOWN } from './unknown-outcome.ts';
import type { Result } from './result.ts';

/** Outcomes that say nothing new about a calm provider. */
const SAYS_LITTLE: ReadonlySet<OutcomeKind> = new Set(['accepted', 'rejected', 'invalid']);

/** A worker that stops between two statements would keep its locks. Postgres ends its transaction after this time. */
const LOST_MS = 10_000;

interface Locked {
  attempts: string[];
  rows: number[];
  batches: number[];
  origins: string[];
}

/** Locks what the answers may change until the transaction ends, and reads it. */
export async function lockFacts(session: Queryable, results: readonly Result[]): Promise<Facts> {
  const locked = await lock(session, results);
  const attempts = await session.query<AttemptFacts>(
    `select id, submission_id as "submissionId", number, origin, epoch, content_hash as "contentHash",
            ${ms('claimed_at')} as "claimedAt"
       from vidbatch.attempt where id = any($1::uuid[]) order by submission_id, number`,
    [locked.attempts],
  );
  const rows = await session.query<RowFacts>(
    `select s.id, s.batch_id as "batchId", r.row_key as key, s.state, s.attempt_id as "attemptId", s.spent, s.refusals,
            s.content_hash as "contentHash", ${ms('s.halted_at')} as "haltedAt", s.doubtful, s.task_id as "taskId",
            case when s.doubtful then array(
              select o.id::text from vidbatch.attempt o where o.submission_id = s.id and ${UNKNOWN}
               order by o.number desc, o.id desc) else '{}' end as unknown,
            array(select o.task_id from vidbatch.attempt o
                   where o.submission_id = s.id and o.task_id is not null) as "taskIds"
       from vidbatch.row_state s join vidbatch.row r on r.id = s.id where s.id = any($1::bigint[])`,
    [locked.rows],
  );
  const batches = await session.query<BatchFacts>(
    `select b.id, b.id = any($2::bigint[]) as locked, b.state, b.proven, b.canary, b.fail_share::float8 as "failShare",
            b.canary_rows as "canaryRows", b.canaries, ${ms('b.counted_since')} as "countedSince", b.succeeded, b.failed
       from vidbatch.batch b where b.id in (select batch_id from vidbatch.row_state where id = any($1::bigint[]))`,
    [locked.rows, locked.batches],
  );
  const providers = await session.query<ProviderFacts & { now: number }>(
    `select p.origin, p.origin = any($2::text[]) as locked, p.state, p.epoch, p.probe,
            ${ms('p.throttled_until')} as "throttledUntil", ${ms('p.throttled_since')} as "throttledSince",
            ${ms('p.throttle_raised')} as "throttleRaised", p.throttle_level as "throttleLevel",
            p.uncertain_streak as "uncertainStreak", p.unreached_streak as "unreachedStreak",
            ${ms('p.unreached_since')} as "unreachedSince",
            exists (select from vidbatch.batch b where b.origin = p.origin and b.proven) as "everThere",
            (select ${ms('max(h.lifted_at)')} from vidbatch.halt h where h.origin = p.origin) as "liftedAt",
            ${ms('now()')} as now
       from vidbatch.provider p where p.origin in (select origin from vidbatch.attempt where id = any($1::uuid[]))`,
    [locked.attempts, locked.origins],
  );
  return {
    now: providers.rows[0]?.now ?? 0,
    attempts: attempts.rows,
    rows: new Map(rows.rows.map((row) => [row.id, row])),
    batches: new Map(batches.rows.map((batch) => [batch.id, batch])),
    providers: new Map(providers.rows.map((provider) => [provider.origin, provider])),
  };
}

/**
 * Locks attempts, rows, batches and providers, in the order that all statements use. A batch is locked only if the answers
 * can change it, because reading a manifest again locks it for a long time. A provider is locked unless it stays calm.
 */
async function lock(session: Queryable, results: readonly Result[]): Promise<Locked> {
  const { rows } = await session.query<Locked>(
    `with attempt as materialized (
       select a.id, a.submission_id, a.origin from vidbatch.attempt a
        where a.id = any($1::uuid[]) and a.outcome is null
        order by a.submission_id, a.number
          for update
     ), row as materialized (
       select s.id, s.batch_id from vidbatch.row_state s
        where s.id in (select submission_id from attempt)
        order by s.id
          for update
     ), batch as materialized (
       select b.id from vidbatch.batch b
        where b.id in (select batch_id from row) and (not b.proven or b.fail_share is not null or b.held is not null)
        order by b.id
          for update
     ), provider as materialized (
       select p.origin from vidbatch.provider p
        where p.origin in (select origin from attempt) and (select count(*) from batch) >= 0
          and ($2 or p.state = 'probing' or p.probe is not null or p.throttle_level > 0 or p.uncertain_streak > 0
               or p.throttled_since is not null or p.unreached_streak > 0)
        order by p.origin
          for update
     )
     select array(select id::text from attempt) as attempts, array(select id from row) as rows,
            array(select id from batch) as batches, array(select origin from provider) as origins,
            set_config('idle_in_transaction_session_timeout', $3, true)`,
    [
      results.map(({ attemptId }) => attemptId),
      results.some(({ outcome }) => !SAYS_LITTLE.has(outcome.kind)),
      `${LOST_MS}ms`,
    ],
  );
  return rows[0] ?? { attempts: [], rows: [], batches: [], origins: [] };
}

/** Milliseconds since the epoch, as SQL. */
function ms(moment: string): string {
  return `(extract(epoch from ${moment}) * 1000)::float8`;
}
