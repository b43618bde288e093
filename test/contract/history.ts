import { randomUUID } from 'node:crypto';
import { contentHash } from '../../src/core/identity.ts';
import { cancel } from '../../src/ledger/operator/pause.ts';
import { retry } from '../../src/ledger/operator/retry.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Database } from '../../src/database/database.ts';
import { armProbe } from '../../src/ledger/send/provider.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../../src/ledger/operator/resolve.ts';
import { sweep } from '../../src/ledger/send/sweep.ts';
import { sameKeyOf, type SameKey } from '../../src/core/retry-policy.ts';
import { poll, reportOf } from './polls.ts';
import {
  againOf,
  claimAll,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  tryAlone,
  editRow,
  type Made,
} from './rows.ts';

/** The rows of a ledger to which everything has happened, by what happened. */
export interface History {
  batch: Made;
  rows: Record<(typeof FATES)[number], number>;
  /** Of an unproven batch, a halted provider, a cancelled batch, and one without ids. */
  others: Record<'canary' | 'probe' | 'cancelled' | 'calledOff' | 'unnamed', number>;
}

const FATES = [
  'accepted',
  'completed',
  'rejected',
  'throttled',
  'notSent',
  'exhausted',
  'uncertain',
  'swept',
  'late',
  'resent',
  'surplus',
  'abandoned',
  'found',
  'retried',
  'invalid',
  'sameKey',
  'doubtful',
  'inFlight',
  'waiting',
] as const;

/** The user's word that the provider honours the idempotency key. */
const LEAVE = sameKeyOf({ providerIdempotent: true }) as SameKey;

const SAID = { who: 'somebody', reason: 'it is not in the provider’s list' };

/** Made by the verbs of the ledger alone, as workers and people use them. */
export async function makeHistory(db: Database): Promise<History> {
  const batch = await makeBatch(db, { rows: FATES.length });
  await realRequests(db, batch);
  const rows = Object.fromEntries(FATES.map((fate, n) => [fate, batch.rows[n] ?? 0])) as History['rows'];
  const send = async (id: number): Promise<Claim> => only(await claimAll(db, batch, [id]));

  const lost = await claimAll(db, batch, [rows.swept, rows.late, rows.resent, rows.surplus]);
  await sweep(db, { all: true });
  await letDeadlinesPass(db, lost);
  const [, late, , first] = lost as [Claim, Claim, Claim, Claim];
  await recordOne(db, late, 'accepted');
  for (const id of [rows.resent, rows.surplus]) {
    await resolveNotSent(db, await seen(db, batch, id), SAID);
    await recordOne(db, await send(id), 'accepted');
  }
  await recordOne(db, first, 'accepted');

  await recordOne(db, await send(rows.retried), 'rejected');
  await retry(db, batch.id, { states: ['rejected'] });
  for (const id of [rows.accepted, rows.completed, rows.retried])
    await recordOne(db, await send(id), 'accepted');
  await poll(db, batch, ({ submissionId }) =>
    reportOf(submissionId === rows.completed ? 'completed' : 'queued'),
  );
  for (const id of [rows.uncertain, rows.abandoned, rows.found]) {
    const claim = await send(id);
    await recordOne(db, claim, 'uncertain');
    await letDeadlinesPass(db, [claim]);
  }
  await resolveAbandon(db, await seen(db, batch, rows.abandoned), SAID);
  const found = { ...(await seen(db, batch, rows.found)), submissionId: rows.found };
  await resolveAccepted(db, found, `task_${randomUUID()}`, SAID);
  await recordOne(db, await send(rows.rejected), 'rejected');
  await recordOne(db, await send(rows.notSent), 'not-sent');
  await recordOne(db, await send(rows.exhausted), 'not-sent', { maxAttempts: 1 });
  await recordOne(db, await send(rows.throttled), outcomeOf('throttled'));
  const again = againOf(batch, LEAVE);
  const unheard = await claimAll(db, batch, [rows.sameKey, rows.doubtful]);
  await sweep(db, { all: true, again });
  await recordOne(db, await send(rows.sameKey), 'accepted');
  await letDeadlinesPass(db, unheard);
  await db.query(
    `with unread as (update vidbatch.row set request = null, content_hash = null where id = $1)
     update vidbatch.row_state set previous = 'pending', state = 'invalid', content_hash = null where id = $1`,
    [rows.invalid],
  );
  await db.query(`update vidbatch.provider set throttled_until = '-infinity' where origin = $1`, [
    batch.origin,
  ]);
  const others = await makeOthers(db);
  await send(rows.inFlight);
  return { batch, rows, others };
}

async function makeOthers(db: Database): Promise<History['others']> {
  const unproven = await makeBatch(db, { proven: false });
  const halted = await makeBatch(db, { rows: 2 });
  const stopped = await makeBatch(db, { rows: 2 });
  const unnamed = await makeBatch(db);
  const [cancelled = 0, calledOff = 0] = stopped.rows;
  for (const made of [unproven, halted, stopped, unnamed]) await realRequests(db, made);
  // Sent again under its key, and cancelled while that was to come: uncertain.
  await claimAll(db, stopped, [calledOff]);
  await sweep(db, { all: true, again: againOf(stopped, LEAVE) });
  await cancel(db, stopped.id);
  const [canary = 0] = unproven.rows;
  await tryAlone(db, unproven, canary);
  const [first = 0, probe = 0] = halted.rows;
  await recordOne(db, only(await claimAll(db, halted, [first])), 'halted');
  await armProbe(db, halted.origin);
  await tryAlone(db, halted, probe);
  await db.query(
    `with named as (update vidbatch.batch set key_scheme = 'h1' where id = $1)
     update vidbatch.row set row_key = 'h1:' || content_hash || '#1' where batch_id = $1`,
    [unnamed.id],
  );
  return { canary, probe, cancelled, calledOff, unnamed: unnamed.rows[0] ?? 0 };
}

/** The rows of `makeBatch` have hashes of nothing. */
async function realRequests(db: Database, { id }: Made): Promise<void> {
  const { rows } = await db.query<{ id: number; request: string }>(
    'select id, request from vidbatch.submission where batch_id = $1',
    [id],
  );
  for (const row of rows) {
    const hash = contentHash(JSON.parse(row.request) as object);
    await editRow(db, row.id, { contentHash: hash });
  }
}

/** A person may call a row not sent only after its deadline. */
async function letDeadlinesPass(db: Database, claims: readonly Claim[]): Promise<void> {
  await db.query(
    `with late as (
       update vidbatch.attempt
          set claimed_at = claimed_at - interval '1 hour', deadline = deadline - interval '1 hour'
        where id = any($1::uuid[])
       returning id, claimed_at
     )
     update vidbatch.row_state s set called_at = late.claimed_at from late where s.attempt_id = late.id`,
    [claims.map(({ attemptId }) => attemptId)],
  );
}

async function seen(
  db: Database,
  { id }: Made,
  submissionId: number,
): Promise<{ batchId: number; submissionId: number; asOf: string }> {
  const { rows } = await db.query<{ as_of: string }>('select now()::text as as_of');
  return { batchId: id, submissionId, asOf: only(rows).as_of };
}
