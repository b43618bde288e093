import { cancel, pause, resume } from '../../src/ledger/operator/pause.ts';
import { countHeld, setBudget } from '../../src/ledger/money/budget.ts';
import { retry } from '../../src/ledger/operator/retry.ts';
import type { Database } from '../../src/database/database.ts';
import { setDeadline } from '../../src/ledger/send/window.ts';
import { keepWindow, setBatchWindow, setOffPeakWindow } from '../../src/ledger/send/window-change.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../../src/ledger/operator/resolve.ts';
import { held } from './ledger/budget.ts';
import { restartCounts } from '../../src/ledger/send/failure-limit.ts';
import { keepDefaultProfile } from '../contract/rows.ts';
import { PROFILE } from './ledger/doubt.ts';
import type { ModelLedger } from './ledger/state.ts';
import type { Decision } from './ledger/operator.ts';

/** The real ledger, with a clock that a test turns by hand, for comparison with the model. */
export class SqlLedger {
  readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  /**
   * Statements call `now()` unqualified: a schema that is looked into before the catalogue has another one. Sessions
   * that are opened later see it when the database's own `search_path` says so.
   */
  static async prepare(db: Database): Promise<void> {
    await db.query('create schema clock');
    await db.query('create table clock.face (at timestamptz not null)');
    await db.query('insert into clock.face values (to_timestamp(0))');
    await db.query(
      `create function clock.now() returns timestamptz stable language sql as 'select at from clock.face'`,
    );
    for (const column of ['attempt.claimed_at', 'row_state.updated_at', 'halt.raised_at', 'event_log.at']) {
      const [table, name] = column.split('.');
      await db.query(`alter table vidbatch.${table} alter column ${name} set default clock.now()`);
    }
    await db.query(
      `do $$ begin execute format('alter database %I set search_path = clock, pg_catalog, public', current_database()); end $$`,
    );
  }

  async setClock(at: number): Promise<void> {
    await this.db.query('update clock.face set at = to_timestamp($1::float8 / 1000)', [at]);
  }

  /** The rows with which a sequence begins, and nothing else. */
  async fill(model: ModelLedger): Promise<void> {
    const { db } = this;
    await db.query(
      `truncate vidbatch.attempt, vidbatch.event_log, vidbatch.row_state, vidbatch.row, vidbatch.halt, vidbatch.batch, vidbatch.provider,
                vidbatch.journal, vidbatch.unmatched_attempt cascade`,
    );
    await db.query('update vidbatch.meta set paused_at = null, offpeak_window_id = null');
    for (const [id, window] of model.windows) {
      if ((await keepWindow(db, window)) !== id)
        throw new Error(`the window ${window.text} is not number ${id}`);
    }
    for (const { origin, unreachedStreak } of model.gateways.values()) {
      await db.query('insert into vidbatch.provider (origin, unreached_streak) values ($1, $2)', [
        origin,
        unreachedStreak,
      ]);
    }
    if ((await keepDefaultProfile(db)) !== PROFILE) throw new Error('the profile has another number');
    for (const one of model.batches.values()) {
      await db.query(
        `insert into vidbatch.batch (id, name, source, key_scheme, format, origin, proven, fail_share, canary_rows, canaries,
                                     succeeded, failed, profile_id) overriding system value
         values ($1, $2, '/nowhere.jsonl', 'id', 'jsonl', $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          one.id,
          one.name,
          one.origin,
          one.proven,
          one.failShare,
          one.canaryRows,
          one.canaries,
          one.succeeded,
          one.failed,
          PROFILE,
        ],
      );
    }
    for (const { id, batchId, key, request, contentHash, offPeak, price, currency } of model.rows.values()) {
      await db.query(
        `with made as (
           insert into vidbatch.row (id, batch_id, row_key, line, input, request, content_hash)
           overriding system value values ($1, $2, $3, 1, '{}', $4, $8)
         )
         insert into vidbatch.row_state (id, batch_id, state, content_hash, model, price, currency)
         values ($1, $2, 'pending', $8, $5, $6, $7)`,
        [id, batchId, key, request, offPeak ? 'x-offpeak' : 'x', price, currency, contentHash],
      );
    }
  }

  /** Everything that the model knows of, in its words. */
  async read(): Promise<unknown> {
    const ms = (column: string): string =>
      `case when isfinite(${column}) then round(extract(epoch from ${column}) * 1000)::float8 end`;
    const { rows } = await this.db.query<{ state: unknown }>(
      `select jsonb_build_object(
         'paused', (select paused_at is not null from vidbatch.meta),
         'offPeakWindowId', (select offpeak_window_id from vidbatch.meta),
         'rows', (select jsonb_agg(jsonb_build_object(
            'id', id, 'state', state, 'previous', previous, 'notBefore', ${ms('not_before')}, 'offPeak', off_peak,
            'attemptId', attempt_id, 'contentHash', content_hash,
            'deadline', ${ms('deadline')}, 'attempts', attempts, 'spent', spent, 'refusals', refusals,
            'haltedAt', ${ms('halted_at')}, 'taskId', task_id, 'doubtful', doubtful,
            'price', price, 'currency', currency) order by id) from vidbatch.submission),
         'attempts', (select coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'submissionId', submission_id, 'number', number, 'worker', worker, 'origin', origin, 'epoch', epoch,
            'contentHash', content_hash, 'claimedAt', ${ms('claimed_at')}, 'deadline', ${ms('deadline')}, 'intendedAt', ${ms('intended_at')},
            'sweptAt', ${ms('swept_at')}, 'outcome', outcome, 'phase', phase, 'code', error_code, 'taskId', task_id,
            'surplus', surplus, 'sameKey', same_key, 'profileId', profile_id, 'refusals', refusals) order by submission_id, number, claimed_at, id), '[]') from vidbatch.attempt),
         'batches', (select jsonb_agg(jsonb_build_object('id', id, 'state', state, 'proven', proven, 'canary', canary,
            'windowId', window_id, 'notAfter', ${ms('not_after')}, 'failShare', fail_share, 'canaryRows', canary_rows,
            'canaries', canaries, 'countedSince', ${ms('counted_since')}, 'succeeded', succeeded, 'failed', failed, 'stopCode', stop_code,
            'budget', budget, 'currency', budget_currency, 'held', held)
            order by id) from vidbatch.batch),
         'gateways', (select jsonb_agg(jsonb_build_object(
            'origin', origin, 'state', state, 'epoch', epoch, 'probe', probe, 'throttledUntil', ${ms('throttled_until')},
            'throttledSince', ${ms('throttled_since')}, 'throttleRaised', ${ms('throttle_raised')},
            'throttleLevel', throttle_level, 'uncertainStreak', uncertain_streak, 'unreachedStreak', unreached_streak,
            'unreachedSince', ${ms('unreached_since')}) order by origin) from vidbatch.provider),
         'halts', (select coalesce(jsonb_agg(jsonb_build_object('origin', origin, 'liftedAt', ${ms('lifted_at')})
            order by id), '[]') from vidbatch.halt),
         'journals', (select coalesce(jsonb_object_agg(name, bytes), '{}') from vidbatch.journal)) as state`,
    );
    return rows[0]?.state;
  }

  pause = (id: number | null): Promise<void> => pause(this.db, id);
  resume = (id: number | null): Promise<boolean> => resume(this.db, id);
  setOffPeakWindow = (id: number | null): Promise<unknown> => setOffPeakWindow(this.db, id);
  setBatchWindow = (batchId: number, id: number | null): Promise<unknown> =>
    setBatchWindow(this.db, batchId, id);
  setDeadline = (batchId: number, at: number): Promise<void> =>
    setDeadline(this.db, batchId, Number.isFinite(at) ? new Date(at) : null, { closes: true });
  async setBudget(id: number, budget: number | null): Promise<void> {
    const amount = budget === null ? null : { units: BigInt(budget), scale: 0 };
    await setBudget(this.db, id, amount && { amount, currency: 'CNY' });
    await countHeld(this.db);
  }
  /** What an import does to a row that may be edited, as far as answers depend on it. */
  async edit(id: number, contentHash: string): Promise<void> {
    await this.db.query(
      `with edited as (
         update vidbatch.row_state set content_hash = $2
          where id = $1 and state in ('pending', 'rejected', 'exhausted', 'cancelled') and not doubtful
         returning id
       )
       update vidbatch.row r set content_hash = $2 from edited e where r.id = e.id`,
      [id, contentHash],
    );
  }
  restartCounts = (id: number): Promise<void> => restartCounts(this.db, id);
  cancel = (id: number): Promise<number> => cancel(this.db, id);
  retry = (id: number): Promise<number> => retry(this.db, id);

  async resolve(batchId: number, submissionId: number, decision: Decision): Promise<boolean> {
    const { rows } = await this.db.query<{ as_of: string }>('select now()::text as as_of');
    const seen = { batchId, submissionId, asOf: rows[0]?.as_of ?? '' };
    const said = { who: 'somebody', reason: 'looked' };
    if (decision.kind === 'task-id') {
      return (await resolveAccepted(this.db, seen, decision.taskId, said)).kind === 'submitted';
    }
    const moved = await (decision.kind === 'abandon' ? resolveAbandon : resolveNotSent)(this.db, seen, said);
    return moved.pending + moved.cancelled + moved.abandoned > 0;
  }
}

/** The model in the same words, ready to be compared. */
export function asRead(model: ModelLedger): unknown {
  const finite = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isFinite(value) ? null : value;
  const attempts = [...model.attempts.values()].sort(
    (a, b) =>
      a.submissionId - b.submissionId ||
      a.number - b.number ||
      a.claimedAt - b.claimedAt ||
      (a.id < b.id ? -1 : 1),
  );
  const state = {
    paused: model.paused,
    offPeakWindowId: model.offPeakWindowId,
    rows: [...model.rows.values()].map(({ batchId: _batch, key: _key, request: _request, ...row }) => row),
    attempts,
    batches: [...model.batches.values()].map((batch) => {
      const { name: _name, origin: _origin, ...rest } = batch;
      return { ...rest, held: held(model, batch) };
    }),
    gateways: [...model.gateways.values()],
    halts: model.halts,
    journals: Object.fromEntries(model.journals),
  };
  return JSON.parse(JSON.stringify(state, finite));
}
