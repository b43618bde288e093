import { readBlocked } from '../../src/ledger/send/blocked.ts';
import * as claims from '../../src/ledger/send/claim.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import * as doubts from '../../src/ledger/send/unknown-outcome.ts';
import * as journals from '../../src/ledger/send/journal.ts';
import { armProbe } from '../../src/ledger/send/provider.ts';
import * as records from '../../src/ledger/send/record.ts';
import type { Result } from '../../src/ledger/send/result.ts';
import { sweep } from '../../src/ledger/send/sweep.ts';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import { STALE_MS } from '../../src/core/states.ts';
import { againOf, outcomeOf } from '../contract/rows.ts';
import { PROFILE } from './ledger/doubt.ts';
import * as model from './ledger/model.ts';
import type { Decision } from './ledger/operator.ts';
import type { Random } from './random.ts';
import type { SqlLedger } from './sql.ts';

/** The statements that the model claims to be; a test may put a broken one in. */
export const SQL = { ...claims, ...doubts, ...journals, ...records, readBlocked, armProbe, sweep };
export type Sql = typeof SQL;

/** One thing that is done to both. */
export interface Deed {
  what: string;
  inModel: (ledger: model.ModelLedger) => unknown;
  inSql: (ledger: SqlLedger, sql: Sql) => Promise<unknown>;
}

export const ORIGINS = ['https://a.example', 'https://b.example'] as const;
const KINDS: readonly OutcomeKind[] = [
  'accepted',
  'rejected',
  'throttled',
  'not-sent',
  'halted',
  'uncertain',
  'invalid',
];
const WAITS_MS = [0, 1000, 30_000, 600_000];
const LIFETIME_MS = 60_000;

/** Answers come in any order. */
export function plain(answer: unknown): unknown {
  if (answer instanceof Map) return plain([...answer]);
  if (!Array.isArray(answer)) return answer === undefined ? null : JSON.parse(JSON.stringify(answer));
  return answer.map((one) => JSON.stringify(sorted(one))).sort();
}

/** The moments of places are written in two ways. */
function placed(claims: readonly Claim[]): unknown {
  return plain(claims.map(({ place, ...one }) => ({ ...one, place: place?.submissionId ?? null })));
}

/** Rows are updated in any order. */
function lockedClaims({ claims: all, lockNeeded }: ReturnType<typeof model.claimLocked>): unknown {
  return { claims: plain(all), lockNeeded };
}

function sorted(one: unknown): unknown {
  if (one === null || typeof one !== 'object' || Array.isArray(one)) return one;
  return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is done next: much of what workers do, and some of what people do. */
export function deedOf(random: Random, twin: model.ModelLedger, sameKey: Result['sameKey']): Deed {
  const attempts = [...twin.attempts.keys()].filter((id) => !id.startsWith('said'));
  const some = <T>(items: readonly T[], most: number): T[] => [
    ...new Set(Array.from({ length: 1 + random.below(most) }, () => random.pick(items))),
  ];
  const scope = {
    worker: random.pick(['w1', 'w2']),
    origin: random.chance(0.9) ? ORIGINS[0] : ORIGINS[1],
    batches: random.chance(0.8) ? null : some([1, 2, 3], 2),
    lifetimeMs: LIFETIME_MS,
  };
  const idOf = (): string =>
    attempts.length > 0 && random.chance(0.05) ? random.pick(attempts) : random.uuid();
  const again = sameKey && againOf({ origin: scope.origin, profileId: PROFILE }, sameKey, 3);
  const known = attempts.length === 0 ? [random.uuid()] : some(attempts, 3);
  const batchId = 1 + random.below(3);
  const wish = { batchId, attemptIds: [...new Set(Array.from({ length: 1 + random.below(3) }, idOf))] };

  const deeds: [number, () => Deed][] = [
    [
      8,
      () => ({
        what: `claim ${JSON.stringify(wish)}`,
        inModel: (ledger) => placed(model.claim(ledger, scope, wish)),
        inSql: async ({ db }, sql) => placed(await sql.claim(db, scope, wish)),
      }),
    ],
    [
      3,
      () => {
        const place = model.placeOf(random.pick([...twin.rows.values()]));
        const fresh = { batchId, attemptIds: [random.uuid(), random.uuid()] };
        return {
          what: `claim after ${JSON.stringify(place)} ${JSON.stringify(fresh)}`,
          inModel: (ledger) => placed(model.claimAfter(ledger, scope, fresh, place)),
          inSql: async ({ db }, sql) => placed(await sql.claimAfter(db, scope, fresh, place)),
        };
      },
    ],
    [
      6,
      () => ({
        what: `claim locked ${JSON.stringify(wish)}`,
        inModel: (ledger) => lockedClaims(model.claimLocked(ledger, scope, wish)),
        inSql: async ({ db }, sql) => lockedClaims(await sql.claimLocked(db, scope, wish)),
      }),
    ],
    [
      3,
      () => ({
        what: 'granted, blocked, unheard …',
        inModel: (ledger) => ({
          granted: plain(model.granted(ledger, known)),
          blocked: [...twin.batches.keys(), 99].map((id) => model.readBlocked(ledger, scope, id)),
          before: plain(model.recordedBefore(ledger, known)),
          unrecorded: plain(model.unrecorded(ledger, known)),
          unheard: plain(model.unheard(ledger, ['w1', 'w2'])),
          lastSent: plain(model.lastSent(ledger, 'w1', 100)),
        }),
        inSql: async ({ db }, sql) => ({
          granted: plain(await sql.granted(db, known)),
          blocked: await Promise.all(
            [...twin.batches.keys(), 99].map((id) => sql.readBlocked(db, scope, id)),
          ),
          before: plain(await sql.recordedBefore(db, known)),
          unrecorded: plain(await sql.unrecorded(db, known)),
          unheard: plain(await sql.unheard(db, ['w1', 'w2'])),
          lastSent: plain(await sql.lastSent(db, 'w1', 100)),
        }),
      }),
    ],
    [16, () => recording(random, known, sameKey)],
    [
      3,
      () => {
        const all = random.chance(0.2);
        return {
          what: `sweep ${all ? 'all' : ''}`,
          inModel: (ledger) => model.sweep(ledger, { all, again }),
          inSql: ({ db }, sql) => sql.sweep(db, { all, again }),
        };
      },
    ],
    [
      1,
      () => ({
        what: 'send unheard again',
        inModel: (ledger) => (again === undefined ? 0 : model.sendUnheardAgain(ledger, again)),
        inSql: async ({ db }, sql) => (again === undefined ? 0 : sql.sendUnheardAgain(db, again)),
      }),
    ],
    [3, () => restoring(random, twin, idOf())],
    [
      1,
      () => ({
        what: 'confirm, remember, arm the probe',
        inModel: (ledger) => {
          model.confirmIntents(ledger, known);
          model.rememberJournal(ledger, 'w1.jsonl', batchId);
          return model.armProbe(ledger, ORIGINS[0]);
        },
        inSql: async ({ db }, sql) => {
          await sql.confirmIntents(db, known);
          await sql.rememberJournal(db, 'w1.jsonl', batchId);
          return sql.armProbe(db, ORIGINS[0]);
        },
      }),
    ],
    [3, () => windowing(random, batchId, twin.at)],
    [3, () => operating(random, random.chance(0.3) ? null : batchId, batchId)],
    [4, () => budgeting(random, batchId)],
    [4, () => resolving(random, twin)],
    [3, () => editing(random, twin)],
  ];
  let left = random.next() * deeds.reduce((sum, [weight]) => sum + weight, 0);
  const chosen = deeds.find(([weight]) => (left -= weight) < 0) ?? deeds[0];
  if (chosen === undefined) throw new Error('no deed');
  return chosen[1]();
}

function recording(random: Random, attemptIds: readonly string[], sameKey: Result['sameKey']): Deed {
  const away = random.chance(0.1);
  const results = attemptIds.map((attemptId): Result => {
    const kind = away ? 'not-sent' : random.pick(KINDS);
    // Few ids, so that one comes twice now and then.
    const taskId = `task_${random.below(4)}_${attemptId.slice(-1)}`;
    return {
      attemptId,
      outcome: outcomeOf(kind, {
        taskId,
        phase: away ? 'connecting' : random.pick(['connecting', 'answered']),
      }),
      waitMs: random.pick(WAITS_MS),
      maxAttempts: 3,
      ...(sameKey === undefined || random.chance(0.2) ? {} : { sameKey }),
    };
  });
  return {
    what: `record ${JSON.stringify(results)}`,
    inModel: (ledger) => model.record(ledger, results),
    inSql: ({ db }, sql) => sql.record(db, results),
  };
}

function restoring(random: Random, twin: model.ModelLedger, attempt: string): Deed {
  const row = random.pick([...twin.rows.values()]);
  const intent = {
    attempt,
    batch: twin.batchOf(row).name,
    key: random.chance(0.9) ? row.key : 'unknown',
    number: Math.max(1, row.attempts + random.below(3) - 1),
    epoch: 0,
    at: new Date(twin.at - random.below(100) * 1000).toISOString(),
  };
  const from = { origin: twin.batchOf(row).origin, worker: 'w1' };
  return {
    what: `restore ${JSON.stringify(intent)}`,
    inModel: (ledger) => model.restoreAttempts(ledger, from, intent),
    inSql: ({ db }, sql) => sql.restoreAttempts(db, from, intent),
  };
}

function windowing(random: Random, batchId: number, at: number): Deed {
  const id = random.pick([null, null, 1, 1, 2, 3]);
  const notAfter = random.pick([Infinity, Infinity, at + STALE_MS, at + STALE_MS + 1, at + 70_000]);
  const deeds: Deed[] = [
    {
      what: `off-peak window ${id}`,
      inModel: (one) => void (one.offPeakWindowId = id),
      inSql: async (one) => void (await one.setOffPeakWindow(id)),
    },
    {
      what: `window ${id} of batch ${batchId}`,
      inModel: (one) => void Object.assign(one.batches.get(batchId) ?? {}, { windowId: id }),
      inSql: async (one) => void (await one.setBatchWindow(batchId, id)),
    },
    {
      what: `batch ${batchId} not after ${notAfter}`,
      inModel: (one) => void Object.assign(one.batches.get(batchId) ?? {}, { notAfter }),
      inSql: (one) => one.setDeadline(batchId, notAfter),
    },
  ];
  return random.pick(deeds);
}

function operating(random: Random, id: number | null, batchId: number): Deed {
  const deeds: Deed[] = [
    { what: `pause ${id ?? 'all'}`, inModel: (one) => model.pause(one, id), inSql: (one) => one.pause(id) },
    {
      what: `resume ${id ?? 'all'}`,
      inModel: (one) => model.resume(one, id),
      inSql: (one) => one.resume(id),
    },
    {
      what: `cancel ${batchId}`,
      inModel: (one) => model.cancel(one, batchId),
      inSql: (one) => one.cancel(batchId),
    },
    {
      what: `retry ${batchId}`,
      inModel: (one) => model.retry(one, batchId),
      inSql: (one) => one.retry(batchId),
    },
  ];
  const trial: Deed = {
    what: `begin a trial of ${batchId}`,
    inModel: (one) => model.restartCounts(one, batchId),
    inSql: (one) => one.restartCounts(batchId),
  };
  const [pause, resume, cancel, retry] = deeds;
  return random.pick([pause, resume, resume, cancel, retry, retry, trial].filter((one) => one !== undefined));
}

function budgeting(random: Random, batchId: number): Deed {
  const budget = random.pick([null, null, 0, 3, 5, 8, 20]);
  return {
    what: `budget ${budget} of batch ${batchId}`,
    inModel: (ledger) => model.setBudget(ledger, batchId, budget),
    inSql: (ledger) => ledger.setBudget(batchId, budget),
  };
}

/** A row is edited. Often a person has called it not sent before, and is proved wrong just then. */
function editing(random: Random, twin: model.ModelLedger): Deed {
  const open = [...twin.attempts.values()].filter(({ outcome }) => outcome === null);
  const late = open.length > 0 ? random.pick(open) : undefined;
  const id = late?.submissionId ?? random.pick([...twin.rows.keys()]);
  const batchId = twin.rows.get(id)?.batchId ?? 0;
  const contentHash = `content ${random.below(2)} of ${id}`;
  const results =
    late === undefined || random.chance(0.3)
      ? []
      : [
          {
            attemptId: late.id,
            outcome: outcomeOf('accepted', { taskId: `late_${late.id}` }),
            waitMs: 0,
            maxAttempts: 3,
          },
        ];
  return {
    what: `sweep, resolve ${id} not-sent, edit it: ${contentHash}; record ${JSON.stringify(results)}`,
    inModel: (ledger) => {
      model.sweep(ledger, { all: false, again: undefined });
      model.resolve(ledger, id, { kind: 'not-sent' });
      model.edit(ledger, id, contentHash);
      return model.record(ledger, results);
    },
    inSql: async (ledger, sql) => {
      await sql.sweep(ledger.db, { all: false, again: undefined });
      await ledger.resolve(batchId, id, { kind: 'not-sent' });
      await ledger.edit(id, contentHash);
      return sql.record(ledger.db, results);
    },
  };
}

function resolving(random: Random, twin: model.ModelLedger): Deed {
  const uncertain = [...twin.rows.values()].filter(({ state }) => state === 'uncertain');
  const row = random.pick(uncertain.length > 0 ? uncertain : [...twin.rows.values()]);
  const kind = random.pick(['not-sent', 'not-sent', 'task-id', 'abandon'] as const);
  const decision: Decision = kind === 'task-id' ? { kind, taskId: `said_${row.id}_${twin.at}` } : { kind };
  return {
    what: `resolve ${row.id} ${kind}`,
    inModel: (ledger) => model.resolve(ledger, row.id, decision),
    inSql: (ledger) => ledger.resolve(row.batchId, row.id, decision),
  };
}
