import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isGone, judgePoll, nextPollMs, POLL_PLAN, type AskedTask } from '../../src/core/poll-plan.ts';
import type { TaskReport } from '../../src/core/outcome.ts';
import type { TaskStatus } from '../../src/core/task-status.ts';
import { reportOf } from '../contract/polls.ts';

const MINUTE = 60_000;
const middle = { random: () => 0.5 };

function asked(task: Partial<AskedTask> = {}): AskedTask {
  return {
    submissionId: 1,
    taskId: 'task_1',
    poll: 1,
    status: 'queued',
    ageMs: MINUTE,
    misses: 0,
    missedMs: 0,
    failures: 0,
    laterStatus: null,
    level: 0,
    ...task,
  };
}

const MISSING: TaskReport = { kind: 'missing', body: 'task_not_exist' };

function trouble(
  kind: 'throttled' | 'refused' | 'broken',
  afterMs?: number,
): Extract<TaskReport, { kind: 'transient' }> {
  return { kind: 'transient', trouble: kind, message: kind, ...(afterMs === undefined ? {} : { afterMs }) };
}

describe('the next poll of a task', () => {
  it('comes soon for a new task and less often for an old one, always within the limits of the plan', () => {
    const status = fc.constantFrom<TaskStatus>('queued', 'in_progress', 'unknown');
    const age = fc.double({ min: 0, max: 7 * 24 * 60 * MINUTE, noNaN: true });
    fc.assert(
      fc.property(
        status,
        age,
        age,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (one, a, b, r) => {
          const wait = (ageMs: number): number => nextPollMs({ ageMs, status: one }, () => r);
          const [young, old] = [Math.min(a, b), Math.max(a, b)];
          assert.ok(wait(young) <= wait(old));
          assert.ok(wait(young) >= POLL_PLAN.leastMs * 0.9);
          assert.ok(wait(old) <= (one === 'queued' ? POLL_PLAN.mostQueuedMs : POLL_PLAN.mostMs) * 1.1);
        },
      ),
    );
  });

  it('is repeated a few times for a task of minutes, and dozens of times for a task of two days', () => {
    const polls = (life: number, status: TaskStatus): number => {
      let [age, n] = [POLL_PLAN.firstMs, 1];
      for (; age < life; n += 1) age += nextPollMs({ ageMs: age, status }, () => 0.5);
      return n;
    };
    assert.deepEqual(
      [MINUTE, 5 * MINUTE, 60 * MINUTE].map((life) => polls(life, 'in_progress')),
      [6, 10, 17],
    );
    assert.ok(polls(48 * 60 * MINUTE, 'queued') < 120);
  });
});

describe('"there is no such task"', () => {
  it('is final after several answers in a row over minutes, for a task that is not new', () => {
    const { misses, missedMs, ageMs } = POLL_PLAN.gone;
    assert.ok(isGone({ misses, missedMs, ageMs }));
    assert.ok(!isGone({ misses: misses - 1, missedMs, ageMs }));
    assert.ok(!isGone({ misses, missedMs: missedMs - 1, ageMs }));
    assert.ok(!isGone({ misses, missedMs, ageMs: ageMs - 1 }));
  });

  it('is polled again until then, and not afterwards', () => {
    const first = judgePoll(asked(), MISSING, middle);
    assert.ok(first.kind === 'missed' && !first.missing && first.nextMs !== null);
    const last = judgePoll(asked({ misses: 4, missedMs: 6 * MINUTE, ageMs: 20 * MINUTE }), MISSING, middle);
    assert.ok(last.kind === 'missed' && last.missing && last.nextMs === null);
    const again = judgePoll(asked({ status: 'missing', misses: 0 }), MISSING, middle);
    assert.ok(again.kind === 'missed' && again.missing);
  });

  it('does not change a task that has ended: it is reported as a changed status', () => {
    for (const status of ['completed', 'failed'] as const) {
      const verdict = judgePoll(asked({ status }), MISSING, middle);
      assert.deepEqual(verdict, { kind: 'otherwise', status: 'missing', body: 'task_not_exist', news: true });
    }
  });
});

describe('a task', () => {
  it('that has ended keeps its status when the provider changes it later; the change is logged once', () => {
    for (const [was, now] of [
      ['completed', 'failed'],
      ['failed', 'completed'],
      ['completed', 'queued'],
      ['completed', 'unknown'],
    ] as const) {
      const verdict = judgePoll(asked({ status: was }), reportOf(now), middle);
      assert.ok(verdict.kind === 'otherwise' && verdict.status === now && verdict.news);
      const known = judgePoll(asked({ status: was, laterStatus: now }), reportOf(now), middle);
      assert.ok(known.kind === 'otherwise' && !known.news);
    }
    assert.equal(judgePoll(asked({ status: 'completed' }), reportOf('completed'), middle).kind, 'said');
  });

  it('that the provider did not know gets its status when the provider knows it', () => {
    const verdict = judgePoll(asked({ status: 'missing' }), reportOf('in_progress'), middle);
    assert.ok(verdict.kind === 'said' && verdict.nextMs !== null);
  });

  it('with an unknown status is polled again', () => {
    const verdict = judgePoll(asked(), reportOf('unknown', { rawStatus: 'ARCHIVING' }), middle);
    assert.ok(verdict.kind === 'said' && verdict.nextMs !== null);
  });
});

describe('no answer about a task', () => {
  it('that is a 429 pauses all polls, at least for as long as the provider says', () => {
    const verdict = judgePoll(asked(), trouble('throttled', 30_000), middle);
    assert.ok(verdict.kind === 'unanswered' && verdict.holdMs >= 30_000 && verdict.nextMs >= verdict.holdMs);
    assert.equal(verdict.heard, false);
    const silent = judgePoll(asked({ level: 5 }), trouble('throttled'), middle);
    assert.ok(silent.kind === 'unanswered' && silent.holdMs >= 16_000);
  });

  it('that is a single failure pauses no other poll, and many failures in a row do', () => {
    const hold = (level: number): number => {
      const verdict = judgePoll(asked({ level }), trouble('broken'), middle);
      return verdict.kind === 'unanswered' ? verdict.holdMs : assert.fail(verdict.kind);
    };
    assert.deepEqual([hold(0), hold(3)], [0, 0]);
    assert.ok(hold(5) > 0 && hold(50) <= 90_000);
    const asks = judgePoll(asked(), trouble('broken', 5_000), middle);
    assert.ok(asks.kind === 'unanswered' && asks.holdMs >= 5_000);
  });

  it('for one task again and again makes this task wait longer, up to the wait of its age', () => {
    const next = (failures: number): number => {
      const verdict = judgePoll(asked({ failures, ageMs: 60 * MINUTE }), trouble('broken'), middle);
      return verdict.kind === 'unanswered' ? verdict.nextMs : assert.fail(verdict.kind);
    };
    assert.deepEqual([next(0), next(1), next(3), next(60)], [5_000, 10_000, 40_000, 30 * MINUTE]);
  });
});
