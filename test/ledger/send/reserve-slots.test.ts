/** Turns as the ledger gives them, beside the same rule written down once more: any limits, any rows, any past. */
import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeBatch, recordOne, scopeOf, wishFor } from '../../contract/rows.ts';
import { openStorage, type Storage } from '../../contract/storages.ts';
import { claim } from '../../../src/ledger/send/claim.ts';
import { AHEAD_MS } from '../../../src/ledger/send/rate-limiter.ts';
import { ledgerNow } from '../../../src/ledger/send/window.ts';
import { sorted, type Limit } from '../../../src/core/rate/rate-limits.ts';

const MODELS = ['viduq3p-540p', 'viduq3p-720p', 'viduq3p-1080p'];
const SLACK = 1.015;

let storage: Storage;
before(async () => {
  storage = await openStorage('postgres');
});
after(() => storage.close());

const limitOf = (model: string): fc.Arbitrary<Limit | undefined> =>
  fc.option(
    fc.record(
      {
        model: fc.constant(model),
        intervalMs: fc.integer({ min: 1, max: 400 }),
        inFlight: fc.integer({ min: 1, max: 6 }),
      },
      { requiredKeys: ['model'] },
    ),
    { nil: undefined },
  );

const scene = fc.record({
  limits: fc
    .tuple(...['', ...MODELS].map(limitOf))
    .map((all) => sorted(all.filter((one) => one !== undefined)))
    .filter((all) => all.length > 0),
  models: fc.array(fc.constantFrom(...MODELS), { minLength: 1, maxLength: 12 }),
  /** Of the rows of each group, in order: what becomes of them before the next one asks. */
  groups: fc.array(fc.array(fc.constantFrom('flies', 'runs', 'ended'), { minLength: 12, maxLength: 12 }), {
    minLength: 1,
    maxLength: 3,
  }),
});

/** What is shared under one limit, by the ledger's clock. */
interface Shared {
  nextSlot: number;
  running: number;
}

function turnsOf(
  now: number,
  models: readonly { id: number; model: string }[],
  limits: readonly Limit[],
  shared: ReadonlyMap<string, Shared>,
): Map<number, number> {
  const turns = new Map<number, number>();
  const free = new Map([...shared].map(([model, one]) => [model, { ...one }]));
  for (const { id, model } of models) {
    const own = limits.filter((limit) => limit.model === '' || limit.model === model);
    const of = (limit: Limit): Shared => free.get(limit.model) ?? assert.fail();
    const isFull = own.some((limit) => of(limit).running >= (limit.inFlight ?? Infinity));
    const slot = Math.max(now, ...own.map((limit) => of(limit).nextSlot));
    if (isFull || slot > now + AHEAD_MS) continue;
    for (const limit of own) {
      of(limit).nextSlot = slot + (typeof limit.intervalMs === 'number' ? limit.intervalMs * SLACK : 0);
      of(limit).running += 1;
    }
    turns.set(id, slot);
  }
  return turns;
}

test('any rows under any limits have the turns that the rule gives them, group after group', async () => {
  const { db } = storage;
  await fc.assert(
    fc.asyncProperty(scene, async ({ limits, models, groups }) => {
      const made = await makeBatch(db, { rows: models.length });
      await db.query(
        `update vidbatch.row_state s set model = m.model from unnest($1::bigint[], $2::text[]) m(id, model) where s.id = m.id`,
        [made.rows, models],
      );
      const left = new Map(made.rows.map((id, n) => [id, models[n] ?? '']));
      const shared = new Map<string, Shared>(
        limits.map(({ model }) => [model, { nextSlot: -Infinity, running: 0 }]),
      );
      for (const fates of groups) {
        const wishes = [...left].map(([id, model]) => ({ id, model }));
        const earlier = await ledgerNow(db);
        const claims = await claim(db, scopeOf(made, { limits }), wishFor(made.id, wishes.length));
        const now = claims[0]?.nowMs;
        // Nobody has a turn: then nobody had one a moment before, as time only brings turns nearer.
        if (now === undefined) {
          assert.deepEqual([...turnsOf(earlier - 1, wishes, limits, shared).keys()], []);
          continue;
        }
        const expected = turnsOf(now, wishes, limits, shared);
        assert.deepEqual(
          claims.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b),
          [...expected.keys()].toSorted((a, b) => a - b),
        );
        for (const one of claims) {
          const slot = now + (one.slotMs ?? NaN);
          assert.ok(Math.abs(slot - (expected.get(one.submissionId) ?? NaN)) < 0.01, `${slot}`);
        }
        for (const [n, one] of claims.entries()) {
          const model = left.get(one.submissionId) ?? '';
          const own = limits.filter((limit) => limit.model === '' || limit.model === model);
          for (const limit of own) {
            const under = shared.get(limit.model) ?? assert.fail();
            const slot = expected.get(one.submissionId) ?? NaN;
            const next = slot + (typeof limit.intervalMs === 'number' ? limit.intervalMs * SLACK : 0);
            under.nextSlot = Math.max(under.nextSlot, next);
            under.running += fates[n] === 'ended' ? 0 : 1;
          }
          left.delete(one.submissionId);
          if (fates[n] === 'flies') continue;
          await recordOne(db, one, 'accepted');
          if (fates[n] === 'ended')
            await db.query(`update vidbatch.row_state set provider_status = 'completed' where id = $1`, [
              one.submissionId,
            ]);
        }
      }
    }),
    { numRuns: 60 },
  );
});
