import type { State } from '../../core/states.ts';
import { frequent, transaction, type Database, type Queryable } from '../../database/database.ts';
import { decide, recordedOf } from './decide/decide.ts';
import { lockFacts } from './facts.ts';
import { ANSWER, toJson, type Recorded, type Result } from './result.ts';
import { save } from './save.ts';

/**
 * Records answers by attempt id: the attempts, their rows, the canary or probe that they held, and what they mean for
 * their batches and their provider. It happens whole or not at all, and recording twice changes nothing. It returns nothing
 * for attempts that are already recorded.
 */
export async function record(db: Database, results: readonly Result[]): Promise<Recorded[]> {
  const plain = new Set(
    results.every(({ outcome }) => outcome.kind === 'accepted')
      ? await recordPlainAcceptances(frequent(db), results)
      : [],
  );
  const others = results.filter(({ attemptId }) => !plain.has(attemptId));
  return [
    ...[...plain].map((attemptId) => ({ attemptId, ...PLAIN })),
    ...(others.length === 0 ? [] : await transaction(db, (session) => recordWithin(session, others))),
  ];
}

const PLAIN = { state: 'submitted', moved: true, surplus: false, known: false, halted: false } as const;

/**
 * Row `s` is in flight. The concatenation keeps Postgres from using the index of rows in flight: it would read every entry
 * that has left this state since the last vacuum.
 */
const IN_FLIGHT = `s.state || '' = 'submitting'`;

/**
 * Records the plain case, which is the usual one: each answer is an acceptance of a row that is in flight under this
 * attempt and not in doubt, its batch has had an accepted row before, and its provider has no trouble. Then only the
 * row and its attempt change, so half of the work is not needed. If one answer of the group is not plain,
 * `recordWithin` takes the whole group: what an answer means for the provider depends on the other answers.
 *
 * Returns the ids of the attempts that were recorded.
 */
async function recordPlainAcceptances(db: Queryable, results: readonly Result[]): Promise<string[]> {
  const { rows } = await db.query<{ attempt_id: string }>(
    `with result as (
       select * from jsonb_to_recordset($1::jsonb) as r(${ANSWER})
     ), plain as (
       select r.*, a.submission_id
         from result r
         join vidbatch.attempt a on a.id = r.attempt_id
         join vidbatch.row_state s on s.id = a.submission_id
         join vidbatch.batch b on b.id = s.batch_id
         join vidbatch.provider p on p.origin = a.origin
        where r.kind = 'accepted' and a.outcome is null
          and ${IN_FLIGHT} and s.attempt_id = a.id and not s.doubtful
          and b.proven and b.fail_share is null
          and p.state = 'open' and p.throttle_level = 0 and p.uncertain_streak = 0 and p.throttled_since is null
          and p.unreached_streak = 0
     ), moved as (
       update vidbatch.row_state s
          set previous = s.state, state = 'submitted', task_id = r.task_id, submitted_at = now(),
              provider_status = 'queued', http_status = r.http_status, error_code = null, error = null,
              deadline = null, updated_at = now()
         from plain r
        where s.id = r.submission_id and s.attempt_id = r.attempt_id and ${IN_FLIGHT}
          and (select count(*) from plain) = (select count(*) from result)
       returning r.*
     ), settled as (
       -- Only what has been moved: a row that a sweeper or a person moved first is left to 'record'.
       update vidbatch.attempt a
          set outcome = m.kind, finished_at = now(), phase = m.phase, http_status = m.http_status,
              error_code = m.code, error = m.message, request_id = m.request_id, headers = m.headers, task_id = m.task_id,
              query_url = m.query_url, body = m.body
         from moved m where a.id = m.attempt_id
     )
     select attempt_id from moved`,
    [toJson(results)],
  );
  return rows.map((row) => row.attempt_id);
}

/** The same as a part of a transaction, and for answers of every kind. */
export async function recordWithin(session: Queryable, results: readonly Result[]): Promise<Recorded[]> {
  const facts = await lockFacts(session, results);
  const decision = decide(facts, results);
  if (decision.rows.length > 0) await save(session, decision, facts.now);
  return recordedOf(decision);
}

/** The records of attempts that were recorded before. */
export async function recordedBefore(db: Queryable, attemptIds: readonly string[]): Promise<Recorded[]> {
  const { rows } = await db.query<{ attemptId: string; state: State; surplus: boolean; halted: boolean }>(
    `select a.id as "attemptId", s.state, a.surplus, p.state = 'halted' as halted
       from vidbatch.attempt a
       join vidbatch.row_state s on s.id = a.submission_id
       join vidbatch.provider p on p.origin = a.origin
      where a.id = any($1::uuid[])`,
    [attemptIds],
  );
  return rows.map((row) => ({ ...row, moved: false, known: false }));
}
