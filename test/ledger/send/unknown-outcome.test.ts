import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { countPaid } from '../../../src/ledger/batches.ts';
import { cancel } from '../../../src/ledger/operator/pause.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import type { Database } from '../../../src/database/database.ts';
import { sendUnheardAgain } from '../../../src/ledger/send/unknown-outcome.ts';
import { restoreAttempts } from '../../../src/ledger/send/journal.ts';
import { readAttempts } from '../../../src/ledger/read/rows.ts';
import { record } from '../../../src/ledger/send/record.ts';
import type { Recorded } from '../../../src/ledger/send/result.ts';
import { resolveNotSent } from '../../../src/ledger/operator/resolve.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import { countChosen } from '../../../src/ledger/read/uncertain.ts';
import type { Outcome, OutcomeKind } from '../../../src/core/outcome.ts';
import { sameKeyOf, type SameKey } from '../../../src/core/retry-policy.ts';
import {
  againOf,
  claimAll,
  claimFirst,
  countSurplus,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  providerOf,
  resultOf,
  storedOne,
  type Made,
} from '../../contract/rows.ts';
import { bring, ManifestFile, ORIGIN, row, submissions, told } from '../../contract/manifest-file.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const LEAVE = sameKeyOf({ providerIdempotent: true }) as SameKey;
assert.ok(LEAVE);
assert.equal(sameKeyOf({ providerIdempotent: false }), undefined);

/** With leave, unless it is said otherwise. */
async function tell(
  db: Database,
  claimed: Claim,
  outcome: Outcome | OutcomeKind,
  { leave = true, maxAttempts = 5 } = {},
): Promise<Recorded> {
  const result = resultOf(claimed, outcome, { maxAttempts });
  return only(await record(db, [leave ? { ...result, sameKey: LEAVE } : result]));
}

async function claimAgain(db: Database, made: Made): Promise<Claim> {
  await letTimePass(db, made, 0);
  await db.query(`update vidbatch.row_state set not_before = now() where batch_id = $1`, [made.id]);
  await db.query(`update vidbatch.provider set throttled_until = now(), state = 'open' where origin = $1`, [
    made.origin,
  ]);
  return claimFirst(db, made);
}

/** A row of whose first attempt nobody knows, in flight again. */
async function again(db: Database): Promise<{ made: Made; id: number; first: Claim; second: Claim }> {
  const made = await makeBatch(db);
  const first = await claimFirst(db, made);
  assert.equal((await tell(db, first, 'uncertain')).state, 'pending');
  return { made, id: first.submissionId, first, second: await claimAgain(db, made) };
}

async function expire(db: Database, made: Made): Promise<void> {
  await letTimePass(db, made, 100_000);
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('an unknown, where the provider honours the key', () => {
    test('is sent again under the same key, and costs an attempt', async () => {
      const { db } = storage();
      const { id, first, second } = await again(db);
      assert.deepEqual([first.refusals, second.refusals, second.spent], [0, 0, 1]);
      assert.ok(first.doubtMs === undefined && (second.doubtMs ?? -1) >= 0);
      assert.deepEqual(
        (await readAttempts(db, id)).map(({ outcome }) => outcome),
        ['uncertain', null],
      );
      assert.equal((await tell(db, second, outcomeOf('accepted', { taskId: 't' }))).state, 'submitted');
    });

    test('without permission is uncertain', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const recorded = await tell(db, await claimFirst(db, made), 'uncertain', { leave: false });
      assert.deepEqual([recorded.state, (await storedOne(db, only(made.rows))).spent], ['uncertain', 0]);
    });

    test('with its attempts used up is uncertain, and never exhausted', async () => {
      const { db } = storage();
      for (const kind of ['uncertain', 'not-sent', 'throttled'] as const) {
        const { second } = await again(db);
        assert.equal((await tell(db, second, kind, { maxAttempts: 2 })).state, 'uncertain');
      }
    });

    test('and then refused is uncertain: the refusal says nothing about the first attempt', async () => {
      const { db } = storage();
      const { made, id, first, second } = await again(db);
      assert.equal((await tell(db, second, 'rejected')).state, 'uncertain');
      const { rows } = await db.query<{ attempt_id: string; refusals: number }>(
        'select attempt_id, refusals from vidbatch.submission where id = $1',
        [id],
      );
      assert.deepEqual(only(rows), { attempt_id: first.attemptId, refusals: 0 }, 'decided by the first');
      assert.equal(await countPaid(db, made.id), 1);
    });

    for (const kind of ['throttled', 'not-sent', 'halted', 'uncertain'] as const) {
      test(`and then ${kind} at a worker without permission is uncertain`, async () => {
        const { db } = storage();
        const { second } = await again(db);
        assert.equal((await tell(db, second, kind, { leave: false })).state, 'uncertain');
      });
    }

    for (const kind of ['throttled', 'not-sent', 'halted'] as const) {
      test(`and then ${kind} keeps its key`, async () => {
        const { db } = storage();
        const { made, second } = await again(db);
        assert.equal((await tell(db, second, kind)).state, 'pending');
        const third = await claimAgain(db, made);
        assert.deepEqual([third.refusals, third.number], [0, 3]);
        assert.notEqual(third.doubtMs, undefined);
      });
    }

    test('five in a row halt the provider nevertheless', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 5 });
      for (const claimed of await claimAll(db, made, made.rows)) await tell(db, claimed, 'uncertain');
      assert.equal((await providerOf(db, made)).state, 'halted');
    });

    test('is settled by its first answer, although the answer comes late', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const first = await claimFirst(db, made);
      await expire(db, made);
      await sweep(db, { again: againOf(made, LEAVE) });
      const second = await claimAgain(db, made);
      assert.notEqual(second.doubtMs, undefined);
      assert.equal((await tell(db, first, 'rejected')).state, 'submitting', 'the second decides');
      assert.equal((await tell(db, second, 'rejected')).state, 'rejected', 'and nothing is unknown now');
    });

    test('that is answered twice with one task id is one task', async () => {
      const { db } = storage();
      for (const order of [0, 1]) {
        const made = await makeBatch(db);
        const first = await claimFirst(db, made);
        await expire(db, made);
        await sweep(db, { again: againOf(made, LEAVE) });
        const both = [first, await claimAgain(db, made)];
        if (order === 1) both.reverse();
        for (const one of both) {
          const recorded = await tell(db, one, outcomeOf('accepted', { taskId: 'same' }));
          assert.deepEqual([recorded.state, recorded.surplus], ['submitted', false]);
        }
        assert.equal(await countSurplus(db, made.id), 0);
      }
    });

    test('whose second task id comes twice is paid twice, and not three times', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const attempts: Claim[] = [];
      for (let i = 0; i < 3; i += 1) {
        attempts.push(await claimAgain(db, made));
        await expire(db, made);
        await sweep(db, { again: againOf(made, LEAVE) });
      }
      const ids = ['one', 'two', 'two'];
      for (const [i, one] of attempts.entries())
        await tell(db, one, outcomeOf('accepted', { taskId: ids[i] ?? '' }));
      assert.equal(await countSurplus(db, made.id), 1);
    });

    test('that is answered twice at once: one task id is one task, two are surplus', async () => {
      const { db } = storage();
      for (const [ids, surplus] of [
        [['same', 'same'], 0],
        [['one', 'two'], 1],
      ] as const) {
        const made = await makeBatch(db);
        const first = await claimFirst(db, made);
        await expire(db, made);
        await sweep(db, { again: againOf(made, LEAVE) });
        const second = await claimAgain(db, made);
        await record(
          db,
          [first, second].map((one, i) => resultOf(one, outcomeOf('accepted', { taskId: ids[i] ?? '' }))),
        );
        assert.equal(await countSurplus(db, made.id), surplus);
        assert.equal((await storedOne(db, only(made.rows))).task_id, ids[0]);
      }
    });
  });

  describe('a row without an answer until its deadline', () => {
    const swept = async (
      db: Database,
      { maxAttempts = 5, origin, hours = 0 }: { maxAttempts?: number; origin?: string; hours?: number } = {},
    ): Promise<string> => {
      const made = await makeBatch(db);
      const { attemptId } = await claimFirst(db, made);
      await expire(db, made);
      await db.query(
        `update vidbatch.attempt set claimed_at = claimed_at - $2 * interval '1 hour' where id = $1`,
        [attemptId, hours],
      );
      await sweep(db, { again: againOf({ ...made, origin: origin ?? made.origin }, LEAVE, maxAttempts) });
      const { state, spent } = await storedOne(db, only(made.rows));
      return `${state} ${spent}`;
    };

    test('is sent again, with permission', async () => {
      assert.equal(await swept(storage().db), 'pending 1');
    });

    test('is uncertain when its attempts are used up, at another provider, or once the key may be forgotten', async () => {
      const { db } = storage();
      assert.equal(await swept(db, { maxAttempts: 1 }), 'uncertain 0');
      assert.equal(await swept(db, { origin: 'https://another.example' }), 'uncertain 0');
      assert.equal(await swept(db, { hours: LEAVE.lifeMs / 3_600_000 }), 'uncertain 0');
    });

    test('is uncertain when the ledger had lost it: its key may have been another', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const lost = { batch: made.name, key: 'k1', number: 1, epoch: 0, at: new Date().toISOString() };
      const from = { origin: made.origin, worker: 'w0' };
      assert.ok(await restoreAttempts(db, from, { attempt: randomUUID(), ...lost }));
      await sweep(db, { all: true, again: againOf(made, LEAVE) });
      assert.equal((await storedOne(db, only(made.rows))).state, 'uncertain');
      assert.equal(await sendUnheardAgain(db, againOf(made, LEAVE)), 0);
    });

    test('and was made uncertain by a worker without permission, becomes pending again; a row with an uncertain answer does not', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [heard, unheard] = await claimAll(db, made, made.rows);
      assert.ok(heard !== undefined && unheard !== undefined);
      await tell(db, heard, 'uncertain', { leave: false });
      await expire(db, made);
      await sweep(db);
      assert.equal(await sendUnheardAgain(db, againOf(made, LEAVE)), 1);
      assert.equal((await storedOne(db, heard.submissionId)).state, 'uncertain');
      assert.equal((await storedOne(db, unheard.submissionId)).state, 'pending');
    });
  });

  describe('a row in doubt that waits', () => {
    async function waiting(db: Database): Promise<{ made: Made; id: number }> {
      const made = await makeBatch(db);
      const first = await claimFirst(db, made);
      await tell(db, first, 'uncertain');
      return { made, id: first.submissionId };
    }

    test('becomes uncertain, and not cancelled, with its batch', async () => {
      const { db } = storage();
      const { made, id } = await waiting(db);
      assert.equal(await cancel(db, made.id), 0);
      const row = await storedOne(db, id);
      assert.deepEqual([row.state, row.previous], ['uncertain', 'pending']);
    });

    test('becomes uncertain when its batch is cancelled while it is in flight', async () => {
      const { db } = storage();
      const { made, second } = await again(db);
      await cancel(db, made.id);
      assert.equal((await tell(db, second, 'not-sent')).state, 'uncertain');
    });

    test('cannot be changed or cancelled by its manifest', async () => {
      const { db } = storage();
      await db.query('insert into vidbatch.provider (origin) values ($1) on conflict do nothing', [ORIGIN]);
      const file = await new ManifestFile().write([row('doubt-1'), row('doubt-2')]);
      await bring(db, file);
      const [one] = await submissions(db, file);
      assert.ok(one !== undefined);
      await db.query('update vidbatch.batch set proven = true where name = $1', [file.name]);
      await db.query(`update vidbatch.provider set state = 'open' where origin = $1`, [ORIGIN]);
      const [claimed] = await claimAll(db, { origin: ORIGIN }, [one.id]);
      assert.ok(claimed !== undefined);
      assert.equal((await tell(db, claimed, 'uncertain')).state, 'pending');
      await file.write([row('doubt-1', { prompt: 'another' }), row('doubt-2')]);
      await assert.rejects(bring(db, file), /doubt-1/);
      await file.write([row('doubt-2')]);
      assert.deepEqual(told(await bring(db, file, { vanished: 'prune' })), { rows: 1, known: 1 });
      assert.equal((await storedOne(db, one.id)).state, 'pending');
    });

    test('that a person resolves as not sent is no longer in doubt, and keeps its key', async () => {
      const { db } = storage();
      const { made, id, second } = await again(db);
      await tell(db, second, 'uncertain', { leave: false });
      await db.query(`update vidbatch.attempt set deadline = now() where submission_id = $1`, [id]);
      const choice = { batchId: made.id, submissionId: id };
      const { asOf } = await countChosen(db, choice);
      await resolveNotSent(db, { ...choice, asOf }, { who: 'alice', reason: 'looked' });
      const third = await claimAgain(db, made);
      assert.deepEqual([third.refusals, third.doubtMs], [0, undefined]);
      assert.equal((await tell(db, third, 'rejected', { leave: false })).state, 'rejected');
    });
  });

  test('answers are lost, late or refused in any order: a provider that honours the key is paid once', async () => {
    const { db } = storage();
    const answers = fc.constantFrom('accepts', 'refuses', 'throttles', 'is away', 'breaks' as const);
    const step = fc.record({ answer: answers, lost: fc.boolean(), late: fc.boolean(), other: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 7 }), async (steps) => {
        const made = await makeBatch(db);
        const id = only(made.rows);
        const tasks = new Map<number, string>();
        const late: [Claim, Outcome][] = [];
        for (const { answer, lost, late: comesLate, other } of steps) {
          if ((await storedOne(db, id)).state !== 'pending') break;
          const claimed = await claimAgain(db, made);
          // A refusal may come from before the place where keys are looked up.
          const known = answer === 'accepts' || answer === 'breaks' ? tasks.get(claimed.refusals) : undefined;
          const taskId = known ?? `task-${id}-${claimed.refusals}-${claimed.number}`;
          if (answer === 'accepts' || (answer === 'breaks' && lost)) tasks.set(claimed.refusals, taskId);
          const kinds = {
            accepts: 'accepted',
            refuses: 'rejected',
            throttles: 'throttled',
            'is away': 'not-sent',
          } as const;
          const heard: Outcome =
            answer === 'breaks' ? outcomeOf('uncertain') : outcomeOf(kinds[answer], { taskId });
          const outcome = lost && answer !== 'is away' ? outcomeOf('uncertain') : heard;
          if (!comesLate) await tell(db, claimed, outcome);
          else {
            await expire(db, made);
            await sweep(db, { again: againOf(made, LEAVE) });
            late.push([claimed, outcome]);
          }
          const first = other ? late.shift() : undefined;
          if (first !== undefined) await tell(db, ...first);
        }
        for (const one of late) await tell(db, ...one);
        assert.ok(tasks.size <= 1, `paid ${tasks.size} times`);
        assert.equal(await countSurplus(db, made.id), 0);
        const { state } = await storedOne(db, id);
        if (tasks.size > 0 && !['submitted', 'uncertain'].includes(state)) {
          const { rows } = await db.query('select from vidbatch.submission where id = $1 and doubtful', [id]);
          assert.equal(rows.length, 1, `${state} though it was accepted`);
        }
      }),
      { numRuns: 40 },
    );
  });
});
