import { randomUUID } from 'node:crypto';
import { claim, claimLocked, type Claim, type ClaimScope, type Wish } from '../../src/ledger/send/claim.ts';
import type { Database, Queryable } from '../../src/database/database.ts';
import { readNumbers } from '../../src/ledger/read/batch-numbers.ts';
import { ledgerNow } from '../../src/ledger/send/window.ts';
import { keepWindow } from '../../src/ledger/send/window-change.ts';
import { record } from '../../src/ledger/send/record.ts';
import type { Recorded, Result } from '../../src/ledger/send/result.ts';
import type { Evidence, Outcome, OutcomeKind } from '../../src/core/outcome.ts';
import { keepProfile } from '../../src/ledger/profiles.ts';
import type { Again } from '../../src/ledger/send/unknown-outcome.ts';
import { DEFAULT_PROFILE, loadProfile } from '../../src/provider/profile/load.ts';
import { keptOf } from '../../src/provider/profile/remembered.ts';
import type { SameKey } from '../../src/core/retry-policy.ts';
import type { State } from '../../src/core/states.ts';
import { DAY_MS } from '../../src/core/time/zone.ts';

/** A batch that a test made for itself, on a provider of its own. */
export interface Made {
  id: number;
  name: string;
  origin: string;
  /** Of its submissions, in the order of their lines. */
  rows: number[];
  profileId: number;
}

/** Permission to send rows of this batch again. */
export function againOf(
  { origin, profileId }: Pick<Made, 'origin' | 'profileId'>,
  sameKey: SameKey,
  maxAttempts = 5,
): Again {
  return { origin, maxAttempts, sameKeys: new Map([[profileId, sameKey]]) };
}

/** The number of the built-in default in this ledger. */
export function keepDefaultProfile(db: Queryable): Promise<number> {
  return keepProfile(db, keptOf(loadProfile(DEFAULT_PROFILE)));
}

/**
 * A new batch with pending rows. `proven`: it has had an accept, so that any number may be in flight. `price`, `budget`:
 * of each row, and of the batch, in CNY.
 */
export async function makeBatch(
  db: Queryable,
  {
    rows = 1,
    proven = true,
    origin = `https://${randomUUID()}.example`,
    model = 'viduq3p-720p',
    price = null as number | null,
    budget = null as number | null,
  } = {},
): Promise<Made> {
  const name = `batch-${randomUUID()}`;
  await db.query('insert into vidbatch.provider (origin) values ($1) on conflict do nothing', [origin]);
  const profileId = await keepDefaultProfile(db);
  const { rows: batches } = await db.query<{ id: number }>(
    `insert into vidbatch.batch (name, source, key_scheme, format, origin, proven, profile_id)
     values ($1, '/nowhere.jsonl', 'id', 'jsonl', $2, $3, $4) returning id`,
    [name, origin, proven, profileId],
  );
  const id = only(batches).id;
  const { rows: made } = await db.query<{ id: number }>(
    `with made as (
       insert into vidbatch.row (batch_id, row_key, line, input, request, content_hash, mode)
       select $1, 'k' || n, n, '{}', '{"model":"' || $4 || '","prompt":"第 ' || n || '"}', $2 || n, 'text'
         from generate_series(1, $3::int) n
       returning id, content_hash
     )
     insert into vidbatch.row_state (id, batch_id, state, content_hash, model)
     select id, $1, 'pending', content_hash, $4 from made
     returning id`,
    [id, name, rows, model],
  );
  if (price !== null)
    await db.query(`update vidbatch.row_state set price = $2, currency = 'CNY' where batch_id = $1`, [
      id,
      price,
    ]);
  if (budget !== null)
    await db.query(`update vidbatch.batch set budget = $2, budget_currency = 'CNY', held = 0 where id = $1`, [
      id,
      budget,
    ]);
  return { id, name, origin, profileId, rows: made.map((row) => row.id).sort((a, b) => a - b) };
}

/** A window that is open in these spans, in milliseconds from now by the database's clock, and so every day. */
export async function windowAt(db: Queryable, ...spans: [from: number, to: number][]): Promise<number> {
  const now = await ledgerNow(db);
  const hours = spans.map(([from, to]) => {
    const opens = (now + from) % DAY_MS;
    return { opens, closes: opens + to - from };
  });
  return keepWindow(db, {
    text: randomUUID(),
    rules: [{ zone: 'UTC', days: undefined, hours, except: new Set() }],
  });
}

export function scopeOf({ origin }: Pick<Made, 'origin'>, scope: Partial<ClaimScope> = {}): ClaimScope {
  return { worker: 'w1', origin, batches: null, lifetimeMs: 60_000, ...scope };
}

/** Claims these rows, and no others of their batch; throws unless it gets them all, in their order. */
export async function claimAll(
  db: Queryable,
  made: Pick<Made, 'origin'>,
  submissionIds: readonly number[],
): Promise<Claim[]> {
  const claims = await onlyThese(db, submissionIds, async (batchId) =>
    claim(db, scopeOf(made), wishFor(batchId, submissionIds.length)),
  );
  return submissionIds.map((id) => only(claims.filter((one) => one.submissionId === id)));
}

export async function claimFirst(db: Queryable, made: Made): Promise<Claim> {
  return only(await claimAll(db, made, made.rows.slice(0, 1)));
}

/** Where only one may be in flight. */
export async function tryAlone(
  db: Queryable,
  made: Pick<Made, 'origin'>,
  submissionId: number,
): Promise<Claim | undefined> {
  const { claims } = await onlyThese(db, [submissionId], (batchId) =>
    claimLocked(db, scopeOf(made), wishFor(batchId, 1)),
  );
  return claims[0];
}

/** Permission to claim this many rows. */
export function wishFor(batchId: number, rows: number): Wish {
  return { batchId, attemptIds: Array.from({ length: rows }, () => randomUUID()) };
}

/** A claim takes the rows whose turn it is: all others of the batch are not due meanwhile. */
async function onlyThese<T>(
  db: Queryable,
  submissionIds: readonly number[],
  act: (batchId: number) => Promise<T>,
): Promise<T> {
  const { rows } = await db.query<{ id: number; batch_id: number; not_before: string }>(
    `update vidbatch.row_state s set not_before = 'infinity' from vidbatch.row_state before
      where before.id = s.id and s.state = 'pending' and s.id <> all($1::bigint[])
        and s.batch_id = (select batch_id from vidbatch.submission where id = $2)
     returning s.id, s.batch_id, before.not_before::text as not_before`,
    [submissionIds, submissionIds[0]],
  );
  try {
    const { rows: batches } = await db.query<{ batch_id: number }>(
      'select batch_id from vidbatch.submission where id = $1',
      [submissionIds[0]],
    );
    return await act(only(batches).batch_id);
  } finally {
    await db.query(
      `update vidbatch.row_state s set not_before = r.not_before
         from unnest($1::bigint[], $2::timestamptz[]) as r(id, not_before) where s.id = r.id`,
      [rows.map(({ id }) => id), rows.map(({ not_before: at }) => at)],
    );
  }
}

/** What an edited manifest does to a row. */
export async function editRow(
  db: Queryable,
  id: number,
  { request = null, contentHash = null }: { request?: string | null; contentHash?: string | null },
): Promise<void> {
  await db.query(
    `with edited as (
       update vidbatch.row set request = coalesce($2, request), content_hash = coalesce($3, content_hash)
        where id = $1 returning id, content_hash
     )
     update vidbatch.row_state s set content_hash = e.content_hash from edited e where s.id = e.id`,
    [id, request, contentHash],
  );
}

/** An outcome with plausible evidence. */
export function outcomeOf(
  kind: OutcomeKind,
  { taskId = `task_${randomUUID()}`, ...evidence }: Partial<Evidence> & { taskId?: string } = {},
): Outcome {
  const known: Evidence = { phase: 'answered', code: `code_${kind}`, message: `was ${kind}`, ...evidence };
  switch (kind) {
    case 'accepted':
      return { kind, taskId, evidence: { phase: 'answered', httpStatus: 200 } };
    case 'throttled':
    case 'not-sent':
      return { kind, retry: {}, evidence: known };
    case 'rejected':
    case 'invalid':
    case 'halted':
    case 'uncertain':
      return { kind, evidence: known };
  }
}

export function resultOf(
  { attemptId }: Pick<Claim, 'attemptId'>,
  outcome: Outcome | OutcomeKind,
  { waitMs = 0, maxAttempts = 5 } = {},
): Result {
  return {
    attemptId,
    outcome: typeof outcome === 'string' ? outcomeOf(outcome) : outcome,
    waitMs,
    maxAttempts,
  };
}

export async function recordOne(
  db: Database,
  claimed: Pick<Claim, 'attemptId'>,
  outcome: Outcome | OutcomeKind,
  options: { waitMs?: number; maxAttempts?: number } = {},
): Promise<Recorded> {
  return only(await record(db, [resultOf(claimed, outcome, options)]));
}

/** Task ids of a batch beyond the one that each row should have. */
export async function countSurplus(db: Queryable, batchId: number): Promise<number> {
  return (await readNumbers(db, batchId)).surplus;
}

/** A submission as it stands in the ledger; `wait_ms` and `left_ms` by the database's clock. */
export interface Stored {
  id: number;
  state: State;
  previous: State | null;
  attempts: number;
  spent: number;
  task_id: string | null;
  http_status: number | null;
  error_code: string | null;
  error: string | null;
  halted: boolean;
  submitted: boolean;
  wait_ms: number | null;
  left_ms: number | null;
}

export async function stored(db: Queryable, ids: readonly number[]): Promise<Stored[]> {
  const { rows } = await db.query<Stored>(
    `select id, state, previous, attempts, spent, task_id, http_status, error_code, error,
            halted_at is not null as halted, submitted_at is not null as submitted,
            case when not_before > now() then (extract(epoch from not_before - now()) * 1000)::float8 end as wait_ms,
            (extract(epoch from deadline - now()) * 1000)::float8 as left_ms
       from vidbatch.submission where id = any($1::bigint[]) order by id`,
    [ids],
  );
  return rows;
}

export async function storedOne(db: Queryable, id: number): Promise<Stored> {
  return only(await stored(db, [id]));
}

export async function statesOf(db: Queryable, made: Made): Promise<State[]> {
  return (await stored(db, made.rows)).map(({ state }) => state);
}

export interface StoredProvider {
  state: string;
  epoch: number;
  probe: string | null;
  throttle_level: number;
  uncertain_streak: number;
  throttled: boolean;
}

export async function providerOf(db: Queryable, { origin }: Pick<Made, 'origin'>): Promise<StoredProvider> {
  const { rows } = await db.query<StoredProvider>(
    `select state, epoch, probe, throttle_level, uncertain_streak, throttled_until > now() as throttled
       from vidbatch.provider where origin = $1`,
    [origin],
  );
  return only(rows);
}

/** Moves every moment of this batch and its provider into the past: what waits is due, what throttles is over. */
export async function letTimePass(db: Queryable, { id, origin }: Made, ms: number): Promise<void> {
  await db.query(
    `update vidbatch.row_state
        set not_before = not_before - $2 * interval '1 ms', deadline = deadline - $2 * interval '1 ms',
            halted_at = halted_at - $2 * interval '1 ms',
            submitted_at = submitted_at - $2 * interval '1 ms'
      where batch_id = $1`,
    [id, ms],
  );
  await db.query(
    `update vidbatch.provider
        set throttled_until = throttled_until - $2 * interval '1 ms',
            throttled_since = throttled_since - $2 * interval '1 ms',
            throttle_raised = throttle_raised - $2 * interval '1 ms',
            unreached_since = unreached_since - $2 * interval '1 ms'
      where origin = $1`,
    [origin, ms],
  );
}

/** The one element. */
export function only<T>(items: readonly T[]): T {
  const [item, ...more] = items;
  if (item === undefined || more.length > 0) throw new Error(`expected one, got ${items.length}`);
  return item;
}
