import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Queryable } from '../../../src/database/database.ts';
import { ensurePoller, releaseTasks, readNextPoll } from '../../../src/ledger/tasks/poll.ts';
import { recordPolls } from '../../../src/ledger/tasks/record-polls.ts';
import { readEventLog } from '../../../src/ledger/read/rows.ts';
import { askNow, countTasks, readTasks, type TaskView } from '../../../src/ledger/tasks/tasks.ts';
import { judgePoll } from '../../../src/core/poll-plan.ts';
import type { TaskReport } from '../../../src/core/outcome.ts';
import { poll, reportOf, take } from '../../contract/polls.ts';
import {
  claimAll,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const MISSING: TaskReport = { kind: 'missing', body: '{"code":"task_not_exist"}' };

interface Shown {
  provider_status: string | null;
  result_url: string | null;
  error_code: string | null;
  error: string | null;
}

async function shown(db: Queryable, id: number): Promise<Shown> {
  const { rows } = await db.query<Shown>(
    'select provider_status, result_url, error_code, error from vidbatch.submission where id = $1',
    [id],
  );
  return only(rows);
}

async function task(db: Queryable, id: number): Promise<TaskView> {
  return only(await readTasks(db, id));
}

/** Everything that was asked was asked for so long ago. */
async function age(db: Queryable, made: Made, ms: number): Promise<void> {
  await letTimePass(db, made, ms);
  await db.query(
    `update vidbatch.task
        set accepted_at = accepted_at - $2 * interval '1 ms', due_at = due_at - $2 * interval '1 ms',
            lease_until = lease_until - $2 * interval '1 ms', missed_since = missed_since - $2 * interval '1 ms'
      where batch_id = $1`,
    [made.id, ms],
  );
}

onEvery(SQL_LEDGERS, (storage) => {
  async function accepted(rows = 1): Promise<Made> {
    const { db } = storage();
    const made = await makeBatch(db, { rows });
    const claims = await claimAll(db, made, made.rows);
    for (const [n, claim] of claims.entries()) {
      await recordOne(db, claim, outcomeOf('accepted', { taskId: `task_${made.id}_${n}` }));
    }
    return made;
  }

  describe('a task that is due', () => {
    it('is given to one process when many ask at once', async () => {
      const { db } = storage();
      const made = await accepted(40);
      await ensurePoller(db, made.origin);
      const askers = Array.from({ length: 8 }, (_, n) => take(db, made, { asker: `p${n}`, room: 7 }));
      const taken = (await Promise.all(askers)).flat();
      const more = await take(db, made);
      const ids = [...taken, ...more].map((one) => one.submissionId);
      assert.deepEqual(
        ids.toSorted((a, b) => a - b),
        made.rows,
      );
      assert.ok(taken.every(({ poll: number }) => number === 1));
      assert.deepEqual(await take(db, made), []);
    });

    it('is due again when its lease ends, and an answer after that changes nothing', async () => {
      const { db } = storage();
      const made = await accepted();
      const first = only(await take(db, made));
      await age(db, made, 60_001);
      const second = only(await take(db, made, { asker: 'p2' }));
      assert.equal(second.poll, 2);
      const answer = (one: typeof first, status: 'completed' | 'in_progress') =>
        recordPolls(db, made.origin, [
          { task: one, verdict: judgePoll(one, reportOf(status), { random: Math.random }) },
        ]);
      assert.deepEqual(await answer(first, 'completed'), [false]);
      assert.equal((await task(db, only(made.rows))).status, 'queued');
      assert.deepEqual(await answer(second, 'in_progress'), [true]);
      assert.deepEqual(await answer(second, 'completed'), [false], 'twice is once');
      assert.equal((await shown(db, only(made.rows))).provider_status, 'in_progress');
    });

    it('is taken when it is old enough, the task that has waited longest first', async () => {
      const { db } = storage();
      const made = await accepted(3);
      assert.deepEqual(await take(db, made, { firstMs: 10_000 }), []);
      const wait = await readNextPoll(db, { origin: made.origin, batches: [made.id] }, { firstMs: 10_000 });
      assert.ok(wait !== undefined && wait > 5_000 && wait <= 10_000, String(wait));
      await db.query(
        `update vidbatch.row_state set submitted_at = now() - id * interval '1 minute' where batch_id = $1`,
        [made.id],
      );
      const order: number[] = [];
      for (let n = 0; n < 3; n += 1) order.push(only(await take(db, made, { room: 1 })).submissionId);
      assert.deepEqual(order, made.rows.toReversed());
    });

    it('is polled at the rate, which all processes share, no more than a second ahead', async () => {
      const { db } = storage();
      const made = await accepted(30);
      const waits: number[] = [];
      for (let n = 0; n < 4; n += 1) {
        waits.push(...(await take(db, made, { room: 5, intervalMs: 200 })).map((one) => one.waitMs));
      }
      assert.ok(waits.length >= 6 && waits.length <= 12, `${waits.length} in little over a second`);
      const sorted = waits.toSorted((a, b) => a - b);
      assert.ok((sorted.at(-1) ?? 0) <= 2_400, String(sorted));
      const wait = await readNextPoll(db, { origin: made.origin, batches: [made.id] }, { firstMs: 0 });
      assert.ok(wait !== undefined && wait >= 0);
    });

    it('that was not polled is given back, and no poll counts', async () => {
      const { db } = storage();
      const made = await accepted();
      await releaseTasks(db, await take(db, made));
      assert.equal(only(await take(db, made)).poll, 1);
    });

    it('of another provider or another batch is not taken', async () => {
      const { db } = storage();
      const made = await accepted();
      const other = await accepted();
      assert.deepEqual(await take(db, { id: made.id, origin: other.origin }), []);
      assert.equal((await take(db, made)).length, 1);
    });
  });

  describe('what the provider says about a task', () => {
    it('keeps the life of a URL by the profile from when the URL was first seen', async () => {
      const { db } = storage();
      const made = await accepted(1);
      const [row = 0] = made.rows;
      const see = async (url: string, at: number): Promise<number | undefined> => {
        const expiry = { resultUrl: `https://r.example/${url}`, urlExpiry: { at, by: 'profile' as const } };
        await poll(db, made, () => reportOf('in_progress', expiry));
        await age(db, made, 60_000);
        return (await task(db, row)).urlExpiresAt?.getTime();
      };
      assert.equal(await see('a', 1000), 1000);
      assert.equal(await see('a', 2000), 1000);
      assert.equal(await see('b', 3000), 3000);
    });

    it('is kept: status, answer, progress, URL with its expiry, reason and times', async () => {
      const { db } = storage();
      const made = await accepted(2);
      const [first = 0, second = 0] = made.rows;
      const at = Date.UTC(2030, 0, 1);
      await poll(db, made, () => reportOf('in_progress', { rawStatus: 'RUNNING', progress: 60 }));
      await age(db, made, 60_000);
      await poll(db, made, () => reportOf('in_progress', { progress: 30 }));
      assert.equal((await task(db, first)).progress, 30, 'backwards is nothing special');
      await age(db, made, 60_000);
      await poll(db, made, ({ submissionId }) =>
        submissionId === first
          ? reportOf('completed', {
              rawStatus: 'SUCCESS',
              progress: 100,
              resultUrl: 'https://r.example/a.mp4',
              urlExpiry: { at, by: 'answer' },
            })
          : reportOf('failed', { failReason: 'CreationPolicyViolation' }),
      );
      const done = await task(db, first);
      assert.deepEqual(
        [done.status, done.rawStatus, done.body, done.progress, done.polls, done.dueAt],
        ['completed', 'SUCCESS', '{"status":"completed"}', 100, 3, null],
      );
      assert.deepEqual([done.urlExpiresAt?.getTime(), done.urlExpiry], [at, 'answer']);
      assert.ok(done.startedAt !== null && done.finishedAt !== null && done.startedAt < done.finishedAt);
      assert.deepEqual(await shown(db, first), {
        provider_status: 'completed',
        result_url: 'https://r.example/a.mp4',
        error_code: null,
        error: null,
      });
      assert.deepEqual(await shown(db, second), {
        provider_status: 'failed',
        result_url: null,
        error_code: 'TASK_FAILED',
        error: 'CreationPolicyViolation',
      });
      await age(db, made, 3_600_000);
      assert.deepEqual(await take(db, made), [], 'what is over is not asked for');
    });

    it('is polled again as long as its status is unknown', async () => {
      const { db } = storage();
      const made = await accepted();
      await poll(db, made, () => reportOf('unknown', { rawStatus: 'ARCHIVING' }));
      const { status, rawStatus, dueAt } = await task(db, only(made.rows));
      assert.deepEqual([status, rawStatus, dueAt === null], ['unknown', 'ARCHIVING', false]);
    });

    it('is that it does not exist: missing after several answers over minutes, and polled again on demand', async () => {
      const { db } = storage();
      const made = await accepted();
      const id = only(made.rows);
      for (let n = 0; n < 4; n += 1) {
        assert.equal((await shown(db, id)).provider_status, 'queued', `after ${n}`);
        assert.equal((await poll(db, made, () => MISSING)).length, 1);
        await age(db, made, 150_000);
      }
      await poll(db, made, () => MISSING);
      const gone = await shown(db, id);
      assert.deepEqual([gone.provider_status, gone.error_code], ['missing', 'TASK_MISSING']);
      assert.match(gone.error ?? '', /does not know task \S+: asked 5 times in 10m/);
      assert.deepEqual(
        (await readEventLog(db, id)).map(({ event }) => event),
        ['task-missing'],
      );
      const scope = { origin: made.origin, batches: [made.id] };
      assert.equal(await readNextPoll(db, scope, { firstMs: 0 }), undefined);
      assert.equal((await countTasks(db, [made.id])).missing, 1);

      const since = await askNow(db, scope, { open: true, ended: false });
      await poll(db, made, () => reportOf('completed', { resultUrl: 'https://r.example/b.mp4' }), {
        before: since,
      });
      assert.deepEqual(await shown(db, id), {
        provider_status: 'completed',
        result_url: 'https://r.example/b.mp4',
        error_code: null,
        error: null,
      });
      assert.deepEqual(
        (await readEventLog(db, id)).map(({ event }) => event),
        ['task-missing', 'task-found'],
      );
    });

    it('after its end is kept beside its status, and reported once; a fresh URL is taken', async () => {
      const { db } = storage();
      const made = await accepted();
      const id = only(made.rows);
      const scope = { origin: made.origin, batches: [made.id] };
      const again = async (report: TaskReport): Promise<void> => {
        await askNow(db, scope, { open: false, ended: true });
        assert.equal((await poll(db, made, () => report)).length, 1);
      };
      await poll(db, made, () => reportOf('completed', { resultUrl: 'https://r.example/1' }));
      await again(reportOf('completed', { resultUrl: 'https://r.example/2' }));
      assert.equal((await shown(db, id)).result_url, 'https://r.example/2');
      for (let n = 0; n < 2; n += 1) await again(reportOf('failed', { failReason: 'refunded' }));
      const { status, laterStatus, laterBody } = await task(db, id);
      assert.deepEqual([status, laterStatus, laterBody], ['completed', 'failed', '{"status":"failed"}']);
      assert.equal((await shown(db, id)).provider_status, 'completed');
      assert.equal((await countTasks(db, [made.id])).otherwise, 1);
      assert.deepEqual(
        (await readEventLog(db, id)).map(({ event }) => event),
        ['task-otherwise'],
      );
      await again(MISSING);
      assert.equal((await task(db, id)).laterStatus, 'missing');
      await again(reportOf('completed'));
      assert.equal((await task(db, id)).laterStatus, null);
    });

    it('is nothing: the poll counts as a failure, and is repeated', async () => {
      const { db } = storage();
      const made = await accepted();
      await poll(db, made, () => ({ kind: 'transient', trouble: 'broken', message: 'HTTP 502' }));
      const { status, polls, problem, dueAt } = await task(db, only(made.rows));
      assert.deepEqual([status, polls, problem, dueAt === null], ['queued', 1, 'HTTP 502', false]);
    });

    it('is to wait: no process polls it until then', async () => {
      const { db } = storage();
      const made = await accepted(2);
      const throttled = {
        kind: 'transient',
        trouble: 'throttled',
        message: 'HTTP 429',
        afterMs: 30_000,
      } as const;
      await poll(db, made, () => throttled, { room: 1 });
      assert.deepEqual(await take(db, made), []);
      const wait = await readNextPoll(db, { origin: made.origin, batches: null }, { firstMs: 0 });
      assert.ok(wait !== undefined && wait > 25_000, String(wait));
      await db.query(`update vidbatch.poller set held_until = '-infinity' where origin = $1`, [made.origin]);
      assert.equal(only(await poll(db, made, () => reportOf('queued'))).level, 1);
      await age(db, made, 60_000);
      assert.equal((await take(db, made))[0]?.level, 0, 'an answer makes it good again');
    });
  });

  describe('a surplus task', () => {
    it('is paid too: it is polled, shown beside the task of the row, and counted', async () => {
      const { db } = storage();
      const made = await accepted();
      const id = only(made.rows);
      await db.query(
        `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, deadline, finished_at, outcome, task_id, surplus)
         values (gen_random_uuid(), $1, 2, 'w1', $2, 0, now(), now(), 'accepted', 'task_surplus', true)`,
        [id, made.origin],
      );
      const running = async (): Promise<number | undefined> =>
        (await db.query<{ n: number }>(`select vidbatch.running($1, 'viduq3p-720p', 9) as n`, [made.origin]))
          .rows[0]?.n;
      assert.equal(await running(), 2, 'against --max-in-flight');
      await poll(db, made, ({ taskId }) => reportOf(taskId === 'task_surplus' ? 'failed' : 'completed'));
      assert.deepEqual(
        (await readTasks(db, id)).map(({ surplus, status }) => [surplus, status]),
        [
          [false, 'completed'],
          [true, 'failed'],
        ],
      );
      assert.equal((await shown(db, id)).provider_status, 'completed');
      const { completed, failed, queued } = await countTasks(db, [made.id]);
      assert.deepEqual([completed, failed, queued], [1, 1, 0]);
      assert.equal(await running(), 0);
    });
  });
});
