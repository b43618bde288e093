import type { Queryable } from '../../database/database.ts';
import type { BatchChange } from './decide/batch.ts';
import type { Decision, Note } from './decide/decide.ts';
import type { ProviderChange } from './decide/provider.ts';
import { rowChange, type Decided } from './decide/row.ts';
import { ANSWER, storable, toJson } from './result.ts';

/** Writes what was decided. `now`: of the facts. */
export async function save(session: Queryable, decision: Decision, now: number): Promise<void> {
  await saveAnswers(session, decision.rows);
  await moveRows(session, decision.rows, now);
  for (const batch of decision.batches) await saveBatch(session, batch);
  for (const provider of decision.providers) await saveProvider(session, provider);
  for (const note of decision.notes) await saveNote(session, note);
}

async function saveAnswers(session: Queryable, rows: readonly Decided[]): Promise<void> {
  await session.query(
    `with settled as (
       update vidbatch.attempt a
          set outcome = r.kind, finished_at = now(), phase = r.phase, http_status = r.http_status, error_code = r.code,
              error = r.message, request_id = r.request_id, headers = r.headers, task_id = r.task_id,
              query_url = r.query_url, body = r.body,
              surplus = a.id = any($2::uuid[])
         from jsonb_to_recordset($1::jsonb) as r(${ANSWER})
        where a.id = r.attempt_id
       returning a.submission_id, a.surplus
     )
     update vidbatch.batch b set held = b.held + t.price
       from (select s.batch_id, sum(s.price) as price
               from settled t join vidbatch.row_state s on s.id = t.submission_id where t.surplus group by s.batch_id) t
      where b.id = t.batch_id and b.held is not null and t.price is not null`,
    [
      toJson(rows.map(({ result }) => result)),
      rows.filter(({ surplus }) => surplus).map(({ attempt }) => attempt.id),
    ],
  );
}

/** Moves the rows. The part of a budget that a refused row held is free again. */
async function moveRows(session: Queryable, rows: readonly Decided[], now: number): Promise<void> {
  const moves = rows
    .filter(({ decides }) => decides)
    .map((one) => {
      const { outcome } = one.result;
      const { notBefore, haltedAt, ...change } = rowChange(one, now);
      const isAccepted = outcome.kind === 'accepted';
      return {
        id: one.row.id,
        state: change.state,
        task_id: storable(change.taskId ?? undefined),
        spent: change.spent,
        refusals: change.refusals,
        doubtful: change.doubtful,
        attempt_id: change.attemptId,
        halted_ms: haltedAt,
        due_ms: notBefore,
        queued: isAccepted && !one.surplus,
        http_status: outcome.evidence.httpStatus,
        error_code: isAccepted ? undefined : storable(outcome.evidence.code),
        error: isAccepted ? undefined : storable(outcome.evidence.message),
      };
    });
  if (moves.length === 0) return;
  await session.query(
    `with moved as (
       update vidbatch.row_state s
          set previous = case when m.state = s.state then s.previous else s.state end,
              state = m.state,
              task_id = m.task_id,
              submitted_at = case when m.state = 'submitted' then coalesce(s.submitted_at, now()) end,
              provider_status = case when m.queued then 'queued' else s.provider_status end,
              http_status = m.http_status,
              error_code = m.error_code,
              error = m.error,
              spent = m.spent,
              refusals = m.refusals,
              doubtful = m.doubtful,
              attempt_id = m.attempt_id,
              called_at = case when m.attempt_id = s.attempt_id then s.called_at
                else (select a.claimed_at from vidbatch.attempt a where a.id = m.attempt_id) end,
              halted_at = to_timestamp(m.halted_ms / 1000),
              not_before = coalesce(to_timestamp(m.due_ms / 1000), s.not_before),
              deadline = null,
              updated_at = now()
         from jsonb_to_recordset($1::jsonb) as m(
           id bigint, state text, task_id text, spent int, refusals int, doubtful boolean, attempt_id uuid, halted_ms float8,
           due_ms float8, queued boolean, http_status int, error_code text, error text)
        where s.id = m.id
       returning s.id, s.batch_id, s.held
     )
     update vidbatch.batch b set held = b.held + t.adds
       from (select m.batch_id, sum(m.held - before.held) as adds
               from moved m join vidbatch.row_state before on before.id = m.id group by m.batch_id) t
      where b.id = t.batch_id and b.held is not null and t.adds <> 0`,
    [JSON.stringify(moves)],
  );
}

async function saveBatch(session: Queryable, batch: BatchChange): Promise<void> {
  const { stop } = batch;
  await session.query(
    `update vidbatch.batch
        set proven = $2, canary = $3, canaries = $4, succeeded = $5, failed = $6,
            state = case when $7::text is null then state else 'stopped' end,
            stop_code = coalesce($7, stop_code), stop_reason = coalesce($8, stop_reason)
      where id = $1`,
    [
      batch.id,
      batch.proven,
      batch.canary,
      batch.canaries,
      batch.succeeded,
      batch.failed,
      stop?.code ?? null,
      storable(stop?.reason) ?? null,
    ],
  );
}

async function saveProvider(session: Queryable, provider: ProviderChange): Promise<void> {
  const { origin, state, halt } = provider;
  await session.query(
    `update vidbatch.provider
        set state = $2, probe = $3, throttled_until = to_timestamp($4::float8 / 1000),
            throttled_since = to_timestamp($5::float8 / 1000), throttle_raised = to_timestamp($6::float8 / 1000),
            throttle_level = $7, uncertain_streak = $8, unreached_streak = $9,
            unreached_since = to_timestamp($10::float8 / 1000)
      where origin = $1`,
    [
      origin,
      state,
      provider.probe,
      provider.throttledUntil,
      provider.throttledSince,
      provider.throttleRaised,
      provider.throttleLevel,
      provider.uncertainStreak,
      provider.unreachedStreak,
      provider.unreachedSince,
    ],
  );
  if (halt !== undefined) {
    await session.query(
      `insert into vidbatch.halt (origin, code, reason, http_status, attempt_id) values ($1, $2, $3, $4, $5)
       on conflict (origin) where lifted_at is null do update
          set code = excluded.code, reason = excluded.reason, http_status = excluded.http_status,
              attempt_id = excluded.attempt_id`,
      [origin, storable(halt.code), storable(halt.reason), halt.httpStatus ?? null, halt.attemptId],
    );
  }
  if (state === 'open') {
    await session.query(
      'update vidbatch.halt set lifted_at = now() where origin = $1 and lifted_at is null',
      [origin],
    );
  }
}

async function saveNote(session: Queryable, note: Note): Promise<void> {
  await session.query(
    'insert into vidbatch.event_log (batch_id, submission_id, event, detail) values ($1, $2, $3, $4)',
    [note.batchId, note.submissionId, note.event, storable(note.detail)],
  );
}
