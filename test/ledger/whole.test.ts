import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { contentHash } from '../../src/core/identity.ts';
import { cancel } from '../../src/ledger/operator/pause.ts';
import { retry } from '../../src/ledger/operator/retry.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Database } from '../../src/database/database.ts';
import { armProbe } from '../../src/ledger/send/provider.ts';
import { record } from '../../src/ledger/send/record.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../../src/ledger/operator/resolve.ts';
import { sweep } from '../../src/ledger/send/sweep.ts';
import type { OutcomeKind } from '../../src/core/outcome.ts';
import { sameKeyOf } from '../../src/core/retry-policy.ts';
import { confirmed, inspectLedger } from '../../src/operate/verify/verify.ts';
import { againOf, makeBatch, outcomeOf, resultOf, tryAlone, editRow, type Made } from '../contract/rows.ts';
import { openStorage } from '../contract/storages.ts';

const ROWS = 3;
const KINDS = ['accepted', 'rejected', 'throttled', 'not-sent', 'halted', 'uncertain'] as const;
const SAID = { who: 'somebody', reason: 'a person says so' };

type Step =
  | { do: 'claim'; row: number }
  | { do: 'answer'; claim: number; kind: OutcomeKind; leave: boolean }
  | { do: 'sweep'; leave: boolean }
  | { do: 'resolve'; row: number; as: 'not-sent' | 'abandon' | 'task-id' }
  | { do: 'retry' | 'cancel' };

const row = fc.nat({ max: ROWS - 1 });
/** Claims and answers are what happens most. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('claim' as const), row }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      claim: fc.nat({ max: 20 }),
      kind: fc.constantFrom(...KINDS),
      leave: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sweep' as const), leave: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('resolve' as const),
      row,
      as: fc.constantFrom('not-sent' as const, 'abandon' as const, 'task-id' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('retry' as const, 'cancel' as const) }) },
);

/** A batch to which things happen in any order, late answers and all, and nothing that the verbs refuse. */
class Life {
  readonly #db: Database;
  readonly #made: Made;
  readonly #claims: Claim[] = [];

  constructor(db: Database, made: Made) {
    this.#db = db;
    this.#made = made;
  }

  async go(one: Step): Promise<void> {
    await this.#openGates();
    const leave = 'leave' in one ? sameKeyOf({ providerIdempotent: one.leave }) : undefined;
    if (one.do === 'claim') await this.#claim(this.#made.rows[one.row] ?? 0);
    if (one.do === 'answer') {
      const claimed = this.#claims[one.claim % Math.max(1, this.#claims.length)];
      if (claimed === undefined) return;
      const result = resultOf(claimed, outcomeOf(one.kind), { maxAttempts: 3 });
      await record(this.#db, [leave === undefined ? result : { ...result, sameKey: leave }]);
    }
    if (one.do === 'sweep') {
      const again = leave && againOf(this.#made, leave, 3);
      await this.#letDeadlinesPass();
      await sweep(this.#db, { again });
    }
    if (one.do === 'resolve') await this.#resolve(this.#made.rows[one.row] ?? 0, one.as);
    if (one.do === 'retry') await retry(this.#db, this.#made.id);
    if (one.do === 'cancel') await cancel(this.#db, this.#made.id);
  }

  /** No wait and no throttle lasts; a halt is tried out. */
  async #openGates(): Promise<void> {
    await this.#db.query(`update vidbatch.row_state set not_before = '-infinity' where batch_id = $1`, [
      this.#made.id,
    ]);
    await this.#db.query(`update vidbatch.provider set throttled_until = '-infinity' where origin = $1`, [
      this.#made.origin,
    ]);
    await armProbe(this.#db, this.#made.origin);
  }

  async #claim(submissionId: number): Promise<void> {
    const claimed = await tryAlone(this.#db, this.#made, submissionId);
    if (claimed !== undefined) this.#claims.push(claimed);
  }

  async #resolve(submissionId: number, as: 'not-sent' | 'abandon' | 'task-id'): Promise<void> {
    await this.#letDeadlinesPass();
    const { rows } = await this.#db.query<{ as_of: string }>('select now()::text as as_of');
    const seen = { batchId: this.#made.id, submissionId, asOf: rows[0]?.as_of ?? '' };
    if (as === 'not-sent') await resolveNotSent(this.#db, seen, SAID);
    if (as === 'abandon') await resolveAbandon(this.#db, seen, SAID);
    if (as === 'task-id') await resolveAccepted(this.#db, seen, `task_${randomUUID()}`, SAID);
  }

  async #letDeadlinesPass(): Promise<void> {
    await this.#db.query(
      `with late as (update vidbatch.row_state set deadline = now() - interval '1 second'
                      where batch_id = $1 and deadline is not null)
       update vidbatch.attempt a set deadline = now() - interval '1 second'
         from vidbatch.submission s where s.id = a.submission_id and s.batch_id = $1`,
      [this.#made.id],
    );
  }
}

describe('the invariants of a ledger', () => {
  test('hold for any events in any order: only rows that were paid twice are reported', async () => {
    const storage = await openStorage('postgres');
    const { db } = storage;
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 5, maxLength: 30 }),
          fc.boolean(),
          async (steps, proven) => {
            const made = await makeBatch(db, { rows: ROWS, proven, price: 2, budget: 1000 });
            for (const id of made.rows) {
              const request = { prompt: `row ${id}` };
              await editRow(db, id, { request: JSON.stringify(request), contentHash: contentHash(request) });
            }
            const life = new Life(db, made);
            for (const one of steps) await life.go(one);
            const told = [];
            for await (const finding of confirmed(inspectLedger(db, made.id), () => Promise.resolve())) {
              if (finding.invariant !== 'paid-once') told.push(finding);
            }
            assert.deepEqual(told, []);
          },
        ),
        { numRuns: 8 },
      );
    } finally {
      await storage.close();
    }
  });
});
