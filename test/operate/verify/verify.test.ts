import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { feed, keepLane } from '../../../src/ledger/send/feed.ts';
import type { Finding } from '../../../src/ledger/verify/invariant.ts';
import { enqueue, laneOf, openQueue } from '../../../src/worker/queue/queue.ts';
import { queueLooks } from '../../../src/operate/verify/queue-check.ts';
import type { TaskReport } from '../../../src/core/outcome.ts';
import { taskLooks } from '../../../src/operate/verify/task-check.ts';
import { ledgerLooks } from '../../../src/operate/verify/verify.ts';
import type { Look } from '../../../src/operate/verify/verify.ts';
import { found, names } from '../../contract/findings.ts';
import { poll, reportOf } from '../../contract/polls.ts';
import { claimAll, makeBatch, outcomeOf, recordOne } from '../../contract/rows.ts';
import type { Made } from '../../contract/rows.ts';
import { LEDGERS, onEvery, STORAGES } from '../../contract/storages.ts';

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

  test('is told when it is there both times, with what the second look says of it', async () => {
    async function* looks(): AsyncGenerator<Look> {
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
    async function* looks(): AsyncGenerator<Look> {
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

onEvery(LEDGERS, (storage) => {
  test('a row that a living worker puts right between the two looks is none', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    await db.query('update vidbatch.submission set attempts = 1 where batch_id = $1', [made.id]);
    const looks = ledgerLooks(db, made.id);
    const repaired = await found(looks, () =>
      db.query(`update vidbatch.submission set attempts = 0, content_hash = 'x' where batch_id = $1`, [
        made.id,
      ]),
    );
    assert.deepEqual(
      names(repaired).filter((name) => name !== 'broken content-hash'),
      [],
    );
  });

  test('only rows of the named batch count', async () => {
    const { db } = storage();
    const [made, other] = [await makeBatch(db), await makeBatch(db)];
    await db.query('update vidbatch.submission set attempts = 1, spent = 2 where batch_id = $1', [made.id]);
    const ours = await found(ledgerLooks(db, made.id));
    assert.ok(names(ours).includes('broken attempts-counted'));
    assert.ok(ours.every(({ batch }) => batch === made.name));
    const theirs = await found(ledgerLooks(db, other.id));
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
      `update vidbatch.submission set submitted_at = now() - interval '1 hour' where id = any($1::bigint[])`,
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
    const told = await found(taskLooks(db, provider, { batchId: null, concurrency: 2 }, totals));
    assert.deepEqual(asked.toSorted(), Object.keys(reports).toSorted());
    assert.deepEqual(totals, { asked: 5, unanswered: 1 });
    assert.deepEqual(told.map(({ key, severity, what }) => `${key} ${severity}: ${what}`).toSorted(), [
      'k1 difference: task task_0 is not known to the provider',
      'k2 difference: task task_1 was completed, and the provider calls it in_progress now',
      'k3 note: task task_2 is not known to the provider',
      'k3 note: task task_surplus has the status "odd"',
    ]);
    const now = await db.query('select * from vidbatch.submission where batch_id = $1 order by id', [
      made.id,
    ]);
    assert.deepEqual(now.rows, before.rows);
    const elsewhere = { ...provider, origin: 'https://elsewhere.example' };
    assert.deepEqual(await found(taskLooks(db, elsewhere, { batchId: null, concurrency: 2 }, totals)), []);
    assert.equal(asked.length, 5, 'a task id means nothing at another provider');
  });
});

onEvery(STORAGES, (storage) => {
  /** Three rows, fed and settled in the queue. */
  async function fedRows(): Promise<{ made: Made; lane: string; ids: string[] }> {
    const { db, store, ledgerId } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const lane = laneOf(ledgerId, [made.id]);
    const rows = await feed(db, { lane, origin: made.origin, batches: [made.id] }, 10);
    const queue = openQueue(store, lane);
    await enqueue(queue, rows);
    await queue.close();
    await db.query(
      `update vidbatch.submission set queued_at = now() - interval '1 minute' where batch_id = $1`,
      [made.id],
    );
    return { made, lane, ids: rows.map((row) => `s${row.submissionId}-${row.generation}`) };
  }

  function queuesOf(made: Made | null): AsyncGenerator<Look> {
    const { db, store, ledgerId } = storage();
    return queueLooks(db, store, { ledgerId, batchId: made?.id ?? null });
  }

  test('a queued row without a job is fed again, which is a fault only where a feeder lives', async () => {
    const { db, store } = storage();
    const { made, lane, ids } = await fedRows();
    assert.deepEqual(await found(queuesOf(made)), []);
    const queue = openQueue(store, lane);
    await queue.remove(ids[1] ?? '');
    const lost = await found(queuesOf(made));
    assert.deepEqual(names(lost), ['note queued-job']);
    assert.deepEqual([lost[0]?.batch, lost[0]?.key], [made.name, 'k2']);
    await keepLane(db, lane);
    assert.deepEqual(names(await found(queuesOf(made))), ['broken queued-job']);
    await queue.obliterate({ force: true });
    await queue.close();
    await db.query(`update vidbatch.submission set lane = null where batch_id = $1`, [made.id]);
  });

  test('a job of a row that the ledger does not have is told, whatever its id', async () => {
    const { store } = storage();
    const { made, lane, ids } = await fedRows();
    const queue = openQueue(store, lane);
    const job = await queue.getJob(ids[0] ?? '');
    assert.ok(job);
    await queue.add('text', { ...job.data, submission: 999_999_999 }, { jobId: 's999999999-1' });
    await queue.add('text', { ...job.data, submission: 999_999_998 });
    await queue.add('text', job.data);
    const strays = await found(queuesOf(null));
    assert.deepEqual(names(strays), ['broken job-known', 'broken job-known']);
    assert.ok(strays.some(({ what }) => what === `job s999999999-1 in ${lane} names no row of this ledger`));
    assert.deepEqual(await found(queuesOf(made)), [], 'they belong to no batch');
    await queue.obliterate({ force: true });
    await queue.close();
  });
});
