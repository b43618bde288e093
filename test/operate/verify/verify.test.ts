import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TaskReport } from '../../../src/core/outcome.ts';
import { keepFeeder } from '../../../src/ledger/send/feeder.ts';
import type { Finding } from '../../../src/ledger/verify/invariant.ts';
import { inspectTasks } from '../../../src/operate/verify/task-check.ts';
import { inspectQueues, inspectLedger, type Inspection } from '../../../src/operate/verify/verify.ts';
import { queueName } from '../../../src/worker/queue/name.ts';
import { addChunks, openQueue } from '../../../src/worker/queue/queue.ts';
import { found, names } from '../../contract/findings.ts';
import { poll, reportOf } from '../../contract/polls.ts';
import { claimAll, makeBatch, outcomeOf, recordOne, editRow } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery, STORAGES } from '../../contract/storages.ts';

describe('what is looked at twice', () => {
  const one: Finding = {
    invariant: 'i',
    severity: 'risk',
    batch: null,
    key: null,
    attempt: null,
    what: 'w',
    next: 'n',
  };

  test('is reported if both inspections find it, as the second one describes it', async () => {
    async function* looks(): AsyncGenerator<Inspection> {
      yield {
        found: [one],
        again: () =>
          Promise.resolve([
            { ...one, severity: 'note' },
            { ...one, what: 'new' },
          ]),
      };
      yield { found: [], again: () => assert.fail('nothing was suspicious there') };
      yield { found: [one], again: () => Promise.resolve([]) };
      yield { found: [{ ...one, what: 'final' }] };
    }
    const told = await found(looks());
    assert.deepEqual(
      told.map(({ what, severity }) => [what, severity]),
      [
        ['final', 'risk'],
        ['w', 'note'],
      ],
    );
  });

  test('shares one pause, and memory stays bounded when everything is suspicious', async () => {
    async function* looks(): AsyncGenerator<Inspection> {
      for (let n = 0; n < 25; n++) {
        const many = Array.from({ length: 100 }, (_, m) => ({ ...one, what: `${n}.${m}` }));
        yield { found: many, again: () => Promise.resolve(many) };
      }
    }
    let pauses = 0;
    const told = await found(looks(), () => Promise.resolve((pauses += 1)));
    assert.equal(told.length, 2500);
    assert.equal(pauses, 3);
  });
});

onEvery(SQL_LEDGERS, (storage) => {
  test('a row that a living worker corrects between the two inspections is not reported', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    await db.query('update vidbatch.row_state set attempts = 1 where batch_id = $1', [made.id]);
    const looks = inspectLedger(db, made.id);
    const repaired = await found(looks, async () => {
      await db.query('update vidbatch.row_state set attempts = 0 where batch_id = $1', [made.id]);
      await editRow(db, made.rows[0] ?? 0, { contentHash: 'x' });
    });
    assert.deepEqual(
      names(repaired).filter((name) => name !== 'broken content-hash'),
      [],
    );
  });

  test('only rows of the named batch count', async () => {
    const { db } = storage();
    const [made, other] = [await makeBatch(db), await makeBatch(db)];
    await db.query('update vidbatch.row_state set attempts = 1, spent = 2 where batch_id = $1', [made.id]);
    const ours = await found(inspectLedger(db, made.id));
    assert.ok(names(ours).includes('broken attempts-counted'));
    assert.ok(ours.every(({ batch }) => batch === made.name));
    const theirs = await found(inspectLedger(db, other.id));
    assert.deepEqual(
      new Set(names(theirs)),
      new Set(['broken content-hash']),
      'rows of makeBatch have no real hash',
    );
  });

  test('the provider is asked for every task id, surplus ones too, and only asked', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 4 });
    const claims = await claimAll(db, made, made.rows);
    for (const [n, claim] of claims.entries()) {
      await recordOne(db, claim, outcomeOf('accepted', { taskId: `task_${n}` }));
    }
    const [first, second, third] = made.rows;
    await poll(db, made, ({ submissionId }) =>
      reportOf(submissionId === first || submissionId === second ? 'completed' : 'queued'),
    );
    await db.query(
      `update vidbatch.row_state set submitted_at = now() - interval '1 hour' where id = any($1::bigint[])`,
      [[first, second]],
    );
    await db.query(
      `insert into vidbatch.attempt (id, submission_id, number, worker, origin, epoch, deadline, finished_at, outcome, task_id, surplus)
       values (gen_random_uuid(), $1, 2, 'w1', $2, 0, now(), now(), 'accepted', 'task_surplus', true)`,
      [third, made.origin],
    );
    const reports: Record<string, TaskReport> = {
      task_0: { kind: 'missing', body: '' },
      task_1: { kind: 'task', status: 'in_progress', rawStatus: 'running', body: '' },
      task_2: { kind: 'missing', body: '' },
      task_3: { kind: 'transient', trouble: 'broken', message: 'HTTP 502' },
      task_surplus: { kind: 'task', status: 'unknown', rawStatus: 'odd', body: '' },
    };
    const asked: string[] = [];
    const provider = {
      origin: made.origin,
      query: (taskId: string): Promise<TaskReport> => {
        asked.push(taskId);
        return Promise.resolve(reports[taskId] ?? assert.fail(taskId));
      },
    };
    const totals = { asked: 0, unanswered: 0 };
    const before = await db.query('select * from vidbatch.submission where batch_id = $1 order by id', [
      made.id,
    ]);
    const told = await found(inspectTasks(db, provider, { batchId: null, concurrency: 2 }, totals));
    assert.deepEqual(asked.toSorted(), Object.keys(reports).toSorted());
    assert.deepEqual(totals, { asked: 5, unanswered: 1 });
    assert.deepEqual(told.map(({ key, severity, what }) => `${key} ${severity}: ${what}`).toSorted(), [
      'k1 difference: task task_0 is not known to the provider',
      'k2 difference: task task_1 was completed, and the provider now says in_progress',
      'k3 note: task task_2 is not known to the provider',
      'k3 note: task task_surplus has the status "odd"',
    ]);
    const now = await db.query('select * from vidbatch.submission where batch_id = $1 order by id', [
      made.id,
    ]);
    assert.deepEqual(now.rows, before.rows);
    const elsewhere = { ...provider, origin: 'https://elsewhere.example' };
    assert.deepEqual(await found(inspectTasks(db, elsewhere, { batchId: null, concurrency: 2 }, totals)), []);
    assert.equal(asked.length, 5, 'a task id means nothing at another provider');
  });
});

onEvery(STORAGES, (storage) => {
  function queuesOf(onJobs?: (jobs: number) => void): AsyncGenerator<Inspection> {
    const { db, store, ledgerId } = storage();
    return inspectQueues(db, store, { ledgerId, ...(onJobs === undefined ? {} : { onJobs }) });
  }

  test('jobs of its batches are as they should be, and rows without a job are no fault', async () => {
    const { db, store, ledgerId } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const name = queueName(ledgerId, [made.id]);
    await keepFeeder(db, name);
    assert.deepEqual(await found(queuesOf()), []);
    const queue = openQueue(store, name);
    await addChunks(queue, [{ batch: made.id, name: made.name, rows: 3 }]);
    const jobs: number[] = [];
    assert.deepEqual(await found(queuesOf((count) => jobs.push(count))), []);
    assert.equal(
      jobs.reduce((sum, count) => sum + count, 0),
      1,
    );
    await queue.obliterate({ force: true });
    await queue.close();
  });

  test('a job of a batch that the ledger does not have is reported, with any id', async () => {
    const { store, ledgerId } = storage();
    const name = queueName(ledgerId, null);
    const queue = openQueue(store, name);
    await queue.add('gone', { batch: 999_999_999, rows: 1 }, { jobId: 'b999999999-1-aaaa' });
    await queue.add('foreign', { batch: 1, rows: 1 }, { jobId: 'foreign' });
    const strays = await found(queuesOf());
    assert.deepEqual(names(strays), ['broken job-known', 'broken job-known']);
    assert.ok(strays.every(({ what }) => what.includes(name)));
    assert.ok(strays.some(({ what }) => what.includes('b999999999-1-aaaa')));
    await queue.obliterate({ force: true });
    await queue.close();
  });
});
