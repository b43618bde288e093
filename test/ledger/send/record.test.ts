import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { cancel, pause } from '../../../src/ledger/operator/pause.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import { transaction, type Database, type Queryable } from '../../../src/database/database.ts';
import { readAttempts } from '../../../src/ledger/read/rows.ts';
import { record, recordedBefore, recordWithin } from '../../../src/ledger/send/record.ts';
import type { OutcomeKind } from '../../../src/core/outcome.ts';
import {
  claimAll,
  claimFirst,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  providerOf,
  recordOne,
  resultOf,
  stored,
  storedOne,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const KINDS = ['accepted', 'rejected', 'throttled', 'not-sent', 'halted', 'uncertain', 'invalid'] as const;

/** A batch of one row, which is claimed. */
async function flying(db: Database): Promise<{ made: Made; id: number; claimed: Claim }> {
  const made = await makeBatch(db);
  return { made, id: made.rows[0] ?? 0, claimed: await claimFirst(db, made) };
}

onEvery(SQL_LEDGERS, (storage) => {
  describe('what an answer makes of its row', () => {
    const table: Record<OutcomeKind, Partial<Awaited<ReturnType<typeof storedOne>>>> = {
      accepted: { state: 'submitted', spent: 0, submitted: true, error: null, task_id: 't-1' },
      rejected: {
        state: 'rejected',
        spent: 0,

        error: 'was rejected',
        error_code: 'code_rejected',
      },
      throttled: { state: 'pending', spent: 0, error: 'was throttled' },
      'not-sent': { state: 'pending', spent: 1, error: 'was not-sent' },
      halted: { state: 'pending', spent: 0, halted: true, error: 'was halted' },
      uncertain: { state: 'uncertain', spent: 0, error: 'was uncertain' },
      invalid: { state: 'invalid', spent: 0, error: 'was invalid', error_code: 'code_invalid' },
    };
    for (const kind of KINDS) {
      test(`${kind}: ${table[kind].state}`, async () => {
        const { db } = storage();
        const { made, id, claimed } = await flying(db);
        const recorded = await recordOne(db, claimed, outcomeOf(kind, { taskId: 't-1', httpStatus: 299 }), {
          waitMs: 40_000,
        });
        assert.deepEqual(recorded, {
          attemptId: claimed.attemptId,
          state: table[kind].state,
          moved: true,
          surplus: false,
          known: false,
          halted: kind === 'halted',
        });
        const row = await storedOne(db, id);
        for (const [name, value] of Object.entries(table[kind])) {
          assert.deepEqual(row[name as keyof typeof row], value, name);
        }
        assert.deepEqual([row.previous, row.left_ms, row.attempts], ['submitting', null, 1]);
        const waits = kind === 'throttled' || kind === 'not-sent';
        assert.equal((row.wait_ms ?? 0) > 20_000 && (row.wait_ms ?? 0) <= 40_000, waits, `${row.wait_ms} ms`);
        const attempt = only(await readAttempts(db, id));
        assert.deepEqual(
          [attempt.outcome, attempt.taskId, attempt.surplus, attempt.finishedAt === null, attempt.phase],
          [kind, kind === 'accepted' ? 't-1' : null, false, false, 'answered'],
        );
        const { state, throttled, throttle_level } = await providerOf(db, made);
        assert.deepEqual(
          [state, throttled, throttle_level],
          [kind === 'halted' ? 'halted' : 'open', kind === 'throttled', kind === 'throttled' ? 1 : 0],
        );
      });
    }

    test('provably not sent uses attempts up, throttled does not', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const seen: unknown[] = [];
      for (const kind of ['not-sent', 'throttled', 'not-sent', 'throttled', 'not-sent'] as const) {
        const claimed = await claimFirst(db, made);
        const { state } = await recordOne(db, claimed, kind, { maxAttempts: 3 });
        seen.push([claimed.number, claimed.spent, state]);
      }
      assert.deepEqual(seen, [
        [1, 0, 'pending'],
        [2, 1, 'pending'],
        [3, 1, 'pending'],
        [4, 2, 'pending'],
        [5, 2, 'exhausted'],
      ]);
    });

    for (const kind of ['throttled', 'not-sent', 'halted'] as const) {
      test(`${kind}, but its batch was cancelled meanwhile: cancelled`, async () => {
        const { db } = storage();
        const { made, id, claimed } = await flying(db);
        assert.equal(await cancel(db, made.id), 0, 'a row in flight is left alone');
        assert.equal((await recordOne(db, claimed, kind)).state, 'cancelled');
        assert.equal((await storedOne(db, id)).state, 'cancelled');
      });
    }

    test('accepted, though its batch was cancelled or paused meanwhile: submitted', async () => {
      const { db } = storage();
      for (const stop of [cancel, pause]) {
        const { made, claimed } = await flying(db);
        await stop(db, made.id);
        assert.equal((await recordOne(db, claimed, 'accepted')).state, 'submitted');
      }
    });
  });

  describe('recording', () => {
    test('the same answer twice changes nothing the second time', async () => {
      const { db } = storage();
      for (const kind of KINDS) {
        const { made, id, claimed } = await flying(db);
        const outcome = outcomeOf(kind);
        const first = await recordOne(db, claimed, outcome, { maxAttempts: 9, waitMs: 60_000 });
        const see = async (): Promise<unknown> => {
          const { wait_ms: _moves, ...row } = await storedOne(db, id);
          return [row, await readAttempts(db, id), await providerOf(db, made)];
        };
        const before = await see();
        assert.deepEqual(await record(db, [resultOf(claimed, outcome)]), []);
        assert.deepEqual(await record(db, [resultOf(claimed, 'uncertain')]), [], 'nor does another answer');
        assert.deepEqual(await see(), before, kind);
        assert.deepEqual(await recordedBefore(db, [claimed.attemptId]), [{ ...first, moved: false }]);
      }
    });

    test('one attempt twice in one group counts once', async () => {
      const { db } = storage();
      const { made, id, claimed } = await flying(db);
      await record(db, [resultOf(claimed, 'uncertain'), resultOf(claimed, 'uncertain')]);
      assert.equal((await storedOne(db, id)).state, 'uncertain');
      assert.equal((await providerOf(db, made)).uncertain_streak, 1);
    });

    test('an attempt that is not in the ledger is passed over', async () => {
      const { db } = storage();
      const { claimed, id } = await flying(db);
      const stranger = { attemptId: '00000000-0000-4000-8000-000000000000' };
      const recorded = await record(db, [resultOf(stranger, 'accepted'), resultOf(claimed, 'rejected')]);
      assert.equal(only(recorded).attemptId, claimed.attemptId);
      assert.equal((await storedOne(db, id)).state, 'rejected');
    });

    test('keeps any text that a provider sends, as far as a database can hold it', async () => {
      const { db } = storage();
      const texts: [sent: string, kept: string][] = [
        ['nul \0 in the middle', 'nul \uFFFD in the middle'],
        ['lone \uD800 and \uDC00', 'lone \uFFFD and \uFFFD'],
        ['提示词 😀 \u2028 \u007F \u001B[31m', '提示词 😀 \u2028 \u007F \u001B[31m'],
        ['"\'\\ $1 ; drop table vidbatch.submission --', '"\'\\ $1 ; drop table vidbatch.submission --'],
        ['\\u0000', '\\u0000'],
        ['x'.repeat(65_536), 'x'.repeat(65_536)],
        ['😀'.repeat(16_384), '😀'.repeat(16_384)],
        ['', ''],
      ];
      for (const [sent, kept] of texts) {
        const { id, claimed } = await flying(db);
        const outcome = outcomeOf('uncertain', {
          message: sent,
          code: sent,
          body: sent,
          requestId: sent,
          headers: { server: sent },
        });
        await recordOne(db, claimed, outcome);
        const { body, error, errorCode, requestId, headers } = only(await readAttempts(db, id));
        assert.deepEqual([body, error, errorCode, requestId], [kept, kept, kept, kept]);
        assert.deepEqual(headers, { server: sent }, 'as JSON text, which escapes');
        assert.equal((await storedOne(db, id)).error, kept);
        if (sent === '') continue;
        const second = await flying(db);
        await recordOne(db, second.claimed, outcomeOf('accepted', { taskId: sent }));
        assert.equal((await storedOne(db, second.id)).task_id, kept);
      }
    });

    test('keeps an answer without any evidence', async () => {
      const { db } = storage();
      const { id, claimed } = await flying(db);
      await recordOne(db, claimed, { kind: 'uncertain', evidence: { phase: 'sending' } });
      const { phase, httpStatus, error, errorCode } = only(await readAttempts(db, id));
      assert.deepEqual([phase, httpStatus, error, errorCode], ['sending', null, null, null]);
    });
  });

  test('a group of a hundred answers does to its rows what each would do alone', async () => {
    const { db } = storage();
    const answer = fc.record({
      kind: fc.constantFrom(...KINDS),
      waitMs: fc.integer({ min: 0, max: 100_000 }),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      spent: fc.integer({ min: 0, max: 2 }),
      httpStatus: fc.option(fc.integer({ min: 100, max: 599 }), { nil: undefined }),
      message: fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 100, size: 'max' }), async (answers) => {
        const seen: unknown[] = [];
        for (const together of [true, false]) {
          const made = await makeBatch(db, { rows: answers.length });
          await db.query(
            `update vidbatch.row_state s set spent = n.spent
               from unnest($1::bigint[], $2::int[]) n(id, spent) where s.id = n.id`,
            [made.rows, answers.map(({ spent }) => spent)],
          );
          const claims = await claimAll(db, made, made.rows);
          const results = answers.map(({ kind, httpStatus, message, ...options }, n) =>
            resultOf(
              claims[n] as Claim,
              outcomeOf(kind, {
                taskId: `t${n}`,
                ...(httpStatus === undefined ? {} : { httpStatus }),
                ...(message === undefined ? {} : { message }),
              }),
              options,
            ),
          );
          const groups = together ? [results] : results.map((one) => [one]);
          const recorded = [];
          for (const group of groups) recorded.push(...(await record(db, group)));
          const byAttempt = new Map(recorded.map((one) => [one.attemptId, one]));
          const rows = (await stored(db, made.rows)).map(({ id: _id, wait_ms, ...row }) => ({
            ...row,
            waits: wait_ms !== null && wait_ms > 50_000,
          }));
          seen.push({
            rows: rows.map(({ waits, ...row }, n) =>
              // Within a second of the border, the two runs may disagree by the time between them.
              Math.abs((answers[n]?.waitMs ?? 0) - 55_000) < 5_000 ? row : { ...row, waits },
            ),
            answers: results.map(({ attemptId }) => {
              const { state, moved, surplus } = byAttempt.get(attemptId) ?? {};
              return { state, moved, surplus };
            }),
          });
        }
        assert.deepEqual(seen[0], seen[1]);
      }),
      { numRuns: 6 },
    );
  });

  test('a worker that is suspended while it records does not keep its locks for long', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claimed = await claimFirst(db, made);
    const patience = async (session: Queryable): Promise<unknown> =>
      (await session.query('show idle_in_transaction_session_timeout')).rows;
    await assert.rejects(
      transaction(db, async (session) => {
        await recordWithin(session, [resultOf(claimed, 'rejected')]);
        assert.deepEqual(await patience(session), [{ idle_in_transaction_session_timeout: '10s' }]);
        throw new Error('it stands still');
      }),
      /stands still/,
    );
    assert.deepEqual(
      await patience(db),
      [{ idle_in_transaction_session_timeout: '0' }],
      'of this transaction alone',
    );
    assert.equal((await recordOne(db, claimed, 'rejected')).state, 'rejected');
  });

  test('answers of two providers in one group stay apart', async () => {
    const { db } = storage();
    const one = await makeBatch(db);
    const two = await makeBatch(db);
    const claims = [await claimFirst(db, one), await claimFirst(db, two)] as const;
    await record(db, [resultOf(claims[0], 'halted'), resultOf(claims[1], 'throttled', { waitMs: 9000 })]);
    assert.deepEqual((await providerOf(db, one)).state, 'halted');
    const { state, throttled } = await providerOf(db, two);
    assert.deepEqual([state, throttled], ['open', true]);
  });

  test('throttling raises the wait of all workers by one level for each wave of answers, not for each answer', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 8 });
    const wave = await claimAll(db, made, made.rows.slice(0, 4));
    for (const claimed of wave) await recordOne(db, claimed, 'throttled', { waitMs: 10 });
    assert.equal((await providerOf(db, made)).throttle_level, 1);
    await letTimePass(db, made, 1000);
    const second = await claimAll(db, made, made.rows.slice(0, 4));
    assert.ok(
      second.every(({ throttleLevel }) => throttleLevel === 1),
      'the backoff of the next wave knows it',
    );
    for (const claimed of second) await recordOne(db, claimed, 'throttled', { waitMs: 10 });
    assert.equal((await providerOf(db, made)).throttle_level, 2);
    await letTimePass(db, made, 1000);
    await recordOne(db, only(await claimAll(db, made, made.rows.slice(7))), 'accepted');
    assert.equal((await providerOf(db, made)).throttle_level, 0, 'an accept ends it');
  });
});
