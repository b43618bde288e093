import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Recorded, Result } from '../../src/ledger/send/result.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { sameKeyOf } from '../../src/core/retry-policy.ts';
import { STALE_MS } from '../../src/core/states.ts';
import { idempotencyKey, submit, type ClaimedRow, type SubmitPorts } from '../../src/worker/submit.ts';
import { outcomeOf } from '../contract/rows.ts';

const CLAIM: Claim = {
  attemptId: '5a1e0000-0000-4000-8000-000000000001',
  submissionId: 7,
  batch: 'b',
  key: 'k',
  content: 'h',
  request: '{ "model":"viduq3p-720p","prompt":"to the byte" }',
  number: 3,
  spent: 1,
  throttleLevel: 2,
  refusals: 2,
  epoch: 0,
  profileId: 1,
};

/** The beginning of the SHA-256 of that request. */
const CONTENT = createHash('sha256').update(CLAIM.request).digest('hex').slice(0, 16);

interface Staged {
  row: ClaimedRow;
  ports: SubmitPorts;
  /** What happened, in its order. */
  log: string[];
  results: Result[];
}

interface Script {
  claim?: Claim;
  outcome?: Outcome;
  passes?: { wall: number; monotonic: number };
  recordFails?: boolean;
  journalFull?: boolean;
  /** It breaks a rule. */
  broken?: boolean;
  /** Milliseconds until the intent is on the disk. */
  journalTakes?: number;
}

/** A claimed row, and ports that note what they do. `passes`: how far each clock has gone since the claim was asked for, in milliseconds. */
function stage({
  claim = CLAIM,
  outcome = outcomeOf('accepted', { taskId: 'task_1' }),
  passes = { wall: 0, monotonic: 0 },
  recordFails = false,
  journalFull = false,
  broken = false,
  journalTakes = 0,
}: Script = {}): Staged {
  const log: string[] = [];
  const results: Result[] = [];
  const asked = { wall: 1_774_507_626_000, monotonic: 1000 };
  const clock = { wall: asked.wall + passes.wall, monotonic: asked.monotonic + passes.monotonic };
  const ports: SubmitPorts = {
    journal: {
      intend: ({ attemptId }) => {
        log.push(`intend ${attemptId}`);
        clock.wall += journalTakes;
        clock.monotonic += journalTakes;
        return Promise.resolve(!journalFull);
      },
      answer: ({ attemptId }, { kind }) => {
        log.push(`answer ${attemptId} ${kind}`);
        return Promise.resolve();
      },
    },
    check: () => (broken ? { phase: 'connecting', code: 'duration-range', message: 'not sent' } : undefined),
    provider: {
      create: (body, { idempotencyKey: key }) => {
        log.push(`create ${key} ${body}`);
        return Promise.resolve(outcome);
      },
    },
    record: (result) => {
      log.push(`record ${result.outcome.kind}`);
      results.push(result);
      const recorded: Recorded = {
        attemptId: result.attemptId,
        state: 'submitted',
        moved: true,
        surplus: false,
        known: false,
        halted: false,
      };
      return recordFails ? Promise.reject(new Error('no record')) : Promise.resolve(recorded);
    },
    wait: (_claim, { kind }) => (kind === 'accepted' ? 0 : 1234),
    maxAttempts: 5,
    ledgerId: 'abc',
    pause: () => Promise.resolve(),
    clock: { wall: () => clock.wall, monotonic: () => clock.monotonic },
  };
  return { row: { claim, asked }, ports, log, results };
}

describe('a submission', () => {
  test('of a row that breaks a rule by now is recorded as invalid: nothing is intended, nothing is sent', async () => {
    const { row, ports, log } = stage({ broken: true });
    await submit(row, ports);
    assert.deepEqual(log, [`answer ${CLAIM.attemptId} invalid`, 'record invalid']);
  });

  test('is sent as its claim says, and recorded: each once, in this order', async () => {
    const { row, ports, log, results } = stage();
    const verdict = await submit(row, ports);
    assert.deepEqual(log, [
      `intend ${CLAIM.attemptId}`,
      `create vidbatch-abc-7-2-${CONTENT} ${CLAIM.request}`,
      `answer ${CLAIM.attemptId} accepted`,
      'record accepted',
    ]);
    assert.deepEqual(results, [
      {
        attemptId: CLAIM.attemptId,
        outcome: outcomeOf('accepted', { taskId: 'task_1' }),
        waitMs: 0,
        maxAttempts: 5,
      },
    ]);
    assert.equal(verdict.kind, 'settled');
  });

  for (const kind of ['rejected', 'throttled', 'not-sent', 'halted', 'uncertain'] as const) {
    test(`that was ${kind} is recorded as the provider said, with its wait, and not sent again`, async () => {
      const outcome = outcomeOf(kind);
      const { row, ports, log, results } = stage({ outcome });
      const verdict = await submit(row, ports);
      assert.equal(log.filter((line) => line.startsWith('create')).length, 1);
      assert.deepEqual([results[0]?.outcome, results[0]?.waitMs], [outcome, 1234]);
      assert.deepEqual([verdict.kind, verdict.waitMs], ['settled', 1234]);
    });
  }

  test('whose record fails is not sent again: the failure is passed on', async () => {
    const { row, ports, log } = stage({ recordFails: true });
    await assert.rejects(submit(row, ports), /no record/);
    assert.deepEqual(
      log.map((line) => line.split(' ')[0]),
      ['intend', 'create', 'answer', 'record'],
    );
  });

  test('whose intent cannot be put on the disk is given back unsent', async () => {
    const { row, ports, log, results } = stage({ journalFull: true });
    await submit(row, ports);
    assert.ok(!log.some((line) => line.startsWith('create')));
    assert.deepEqual(
      [results[0]?.outcome.kind, results[0]?.outcome.evidence.code],
      ['not-sent', 'NO_JOURNAL'],
    );
  });
});

describe('a claim that took too long', () => {
  const cases: [string, { wall: number; monotonic: number }, stale: boolean][] = [
    ['by neither clock', { wall: STALE_MS, monotonic: STALE_MS }, false],
    ['by the wall clock, while the machine slept', { wall: STALE_MS + 1, monotonic: 0 }, true],
    [
      'by the monotonic clock, while the wall clock was set back',
      { wall: -60_000, monotonic: STALE_MS + 1 },
      true,
    ],
    ['by neither, though the wall clock was set back', { wall: -3_600_000, monotonic: 10 }, false],
  ];
  for (const [name, passes, stale] of cases) {
    test(`${name}: ${stale ? 'is given back unsent' : 'is sent'}`, async () => {
      const { row, ports, log, results } = stage({ passes });
      await submit(row, ports);
      assert.equal(
        log.some((line) => line.startsWith('create')),
        !stale,
      );
      assert.equal(results.length, 1);
      assert.equal(results[0]?.outcome.kind, stale ? 'not-sent' : 'accepted');
      if (stale) assert.equal(results[0]?.outcome.evidence.code, 'STALE_CLAIM');
    });
  }
});

describe('a row with an earlier attempt that may have been accepted', () => {
  const leave = sameKeyOf({ providerIdempotent: true });
  assert.ok(leave);
  const doubted = (doubtMs: number): Claim => ({ ...CLAIM, doubtMs });

  test('is sent with permission, and recorded with it', async () => {
    const { row, ports, log, results } = stage({ claim: doubted(leave.lifeMs - 1) });
    await submit(row, { ...ports, sameKey: leave });
    assert.ok(log.includes(`create vidbatch-abc-7-2-${CONTENT} ${CLAIM.request}`));
    assert.equal(results[0]?.sameKey, leave);
  });

  for (const [name, sameKey, doubtMs] of [
    ['without leave', undefined, 1],
    ['once the provider may have forgotten its key', leave, leave.lifeMs],
  ] as const) {
    test(`is not sent ${name}, and recorded without permission`, async () => {
      const { row, ports, log, results } = stage({ claim: doubted(doubtMs) });
      await submit(row, { ...ports, sameKey });
      assert.ok(!log.some((line) => line.startsWith('create')));
      const { outcome, sameKey: given } = results[0] ?? {};
      assert.deepEqual([outcome?.kind, outcome?.evidence.code, given], ['not-sent', 'IN_DOUBT', undefined]);
    });
  }
});

test('an intent that took too long to reach the disk is given back unsent', async () => {
  const { row, ports, log, results } = stage({ journalTakes: STALE_MS + 1 });
  await submit(row, ports);
  assert.ok(!log.some((line) => line.startsWith('create')));
  assert.equal(results[0]?.outcome.evidence.code, 'STALE_CLAIM');
});

test('the idempotency key changes with every known refusal, and with the row, what it asks for and the ledger', () => {
  const keys = [
    idempotencyKey('a', { submissionId: 1, refusals: 0, request: '{}' }),
    idempotencyKey('a', { submissionId: 1, refusals: 1, request: '{}' }),
    idempotencyKey('a', { submissionId: 2, refusals: 0, request: '{}' }),
    idempotencyKey('a', { submissionId: 1, refusals: 0, request: '[]' }),
    idempotencyKey('b', { submissionId: 1, refusals: 0, request: '{}' }),
  ];
  assert.equal(new Set(keys).size, 5);
  assert.equal(idempotencyKey('a', { submissionId: 1, refusals: 0, request: '{}' }), keys[0]);
});
