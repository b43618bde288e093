import { crashPoint } from '../../core/crash-points.ts';
import type { Queryable } from '../../database/database.ts';
import { CALLED_OFF, livesOf, mayGoAgain, type Again } from './unknown-outcome.ts';

/**
 * Rows whose attempt passed its deadline, by the database's clock, become `uncertain`: their worker is dead or too late.
 * `all`: every row in flight, also before its deadline. That is only for the holder of an embedded folder at its start, when
 * no other process can be sending. `again`: the provider honours the idempotency key, so rows with attempts left become
 * pending instead. Returns how many rows were moved.
 */
export async function sweep(
  db: Queryable,
  { all = false, again }: { all?: boolean; again?: Again | undefined } = {},
): Promise<number> {
  const { rows } = await db.query(
    `with late as (
       select s.id, coalesce(${mayGoAgain('$2', '$3', '$4')}, false) as again
         from vidbatch.row_state s
         join vidbatch.attempt a on a.id = s.attempt_id
         join vidbatch.batch b on b.id = s.batch_id
        where s.state = 'submitting' and ($1 or s.deadline < now())
        order by s.id
          for update of s
     ), expired as (
       update vidbatch.row_state s
          set previous = s.state, state = case when l.again then 'pending' else 'uncertain' end,
              doubtful = s.doubtful or l.again, spent = s.spent + case when l.again then 1 else 0 end,
              deadline = null, updated_at = now(), error_code = 'NO_ANSWER_RECORDED',
              error = 'the worker that sent this row was gone before it could record an answer'
         from late l where s.id = l.id
       returning s.id, s.attempt_id
     ), swept as (
       update vidbatch.attempt a set swept_at = now() from expired e where a.id = e.attempt_id
     )
     select id from expired`,
    [all, again?.origin ?? null, again?.maxAttempts ?? null, livesOf(again)],
  );
  if (rows.length > 0) crashPoint('rows-swept');
  await freeSlots(db);
  if (rows.length > 0) crashPoint('slots-freed');
  await cancelLeftovers(db);
  return rows.length;
}

/** Frees canaries and probes whose attempt is no longer in flight, because its worker died between two statements. */
async function freeSlots(db: Queryable): Promise<void> {
  await db.query(
    `update vidbatch.batch b set canary = null
      where canary is not null
        and not exists (select from vidbatch.row_state s where s.attempt_id = b.canary and s.state = 'submitting'
                           and s.batch_id = b.id)`,
  );
  await db.query(
    `update vidbatch.provider p set probe = null
      where probe is not null
        and not exists (select from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id
                         where a.id = p.probe and s.attempt_id = a.id and s.state = 'submitting')`,
  );
}

/** Cancels rows that went back to pending while their batch was being cancelled: neither statement saw the other. */
async function cancelLeftovers(db: Queryable): Promise<void> {
  await db.query(
    `update vidbatch.row_state s set ${CALLED_OFF}
       from vidbatch.batch b where b.id = s.batch_id and b.state = 'cancelled' and s.state = 'pending'`,
  );
}
