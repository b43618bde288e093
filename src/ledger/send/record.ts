import type { State } from '../../core/states.ts';
import { frequent, transaction } from '../../database/database.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { recordPlainAcceptances } from './acceptance.ts';
import { decide, recordedOf } from './decide/decide.ts';
import { lockFacts } from './facts.ts';
import type { Recorded, Result } from './result.ts';
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

/** The same as a part of a transaction. */
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
