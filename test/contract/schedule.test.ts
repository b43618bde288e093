import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { runName } from '../../src/schedule/due.ts';
import { openJournal } from '../../src/worker/journal/journal.ts';
import { listBatches } from '../../src/ledger/batches.ts';
import type { Database } from '../../src/database/database.ts';
import { listRuns, renewLease, takeRun, triggerRun, type TakenRun } from '../../src/ledger/schedules/runs.ts';
import {
  addSchedule,
  recordTicker,
  listSchedules,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
  type Schedule,
} from '../../src/ledger/schedules/schedules.ts';
import { ledgerNow } from '../../src/ledger/send/window.ts';
import { replayJournals } from '../../src/worker/journal/replay.ts';
import { decideAll } from '../../src/schedule/schedule.ts';
import { makeRun, type RunResult } from '../../src/schedule/make-run.ts';
import { nextTicks } from '../../src/core/time/cron.ts';
import { hear } from './log.ts';
import { ManifestFile, ORIGIN, row } from './manifest-file.ts';
import { only, outcomeOf } from './rows.ts';
import { LEDGERS, onEvery } from './storages.ts';

const { log } = hear();
const MINUTE = 60_000;
let schedules = 0;

/** A schedule of every minute whose next tick is so long ago, or ahead; without ticks before. */
async function schedule(
  db: Database,
  file: ManifestFile,
  more: Partial<Schedule> & { inMs?: number } = {},
): Promise<Schedule> {
  const rhythm = { cron: '* * * * *', zone: 'Asia/Shanghai' };
  const now = await ledgerNow(db);
  const [tick = 0] = nextTicks({ ...rhythm, ...more }, now + (more.inMs ?? -MINUTE), 1);
  return addSchedule(db, {
    ...rhythm,
    name: `s${++schedules}`,
    manifest: file.path,
    flags: {},
    overlap: 'allow',
    missed: 'once',
    jitterMs: 0,
    nextAt: new Date(tick),
    ...more,
  });
}

/** One tick that is due, taken. */
async function taken(db: Database, worker = 'w1', host = 'here'): Promise<TakenRun> {
  const run = await takeRun(db, { worker, host });
  assert.ok(run !== undefined, 'nothing to take');
  return run;
}

function make(db: Database, run: TakenRun, host = 'here'): Promise<RunResult> {
  return makeRun(db, run, { config: { baseUrl: ORIGIN, models: [] }, host });
}

async function leaseEnds(db: Database): Promise<void> {
  await db.query(`update vidbatch.run set lease_until = now() - interval '1 second' where state = 'taken'`);
}

async function statesOf(db: Database, { id }: Schedule): Promise<string[]> {
  return (await listRuns(db, id, 100)).map(({ state }) => state).toReversed();
}

async function keysOf(db: Database, batch: string): Promise<string[]> {
  const { rows } = await db.query<{ row_key: string }>(
    `select s.row_key from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
      where b.name = $1 order by s.line`,
    [batch],
  );
  return rows.map((one) => one.row_key);
}

onEvery(LEDGERS, (storage) => {
  beforeEach(() =>
    storage().db.query(
      'truncate vidbatch.batch, vidbatch.import, vidbatch.schedule, vidbatch.ticker cascade',
    ),
  );

  describe('a tick that is due', () => {
    test('has one run, even if several workers see it, and the run has one batch', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), row('b')]);
      const one = await schedule(db, file);
      await Promise.all([decideAll(db, log), decideAll(db, log), decideAll(db, log)]);
      const run = only(await listRuns(db, one.id, 10));
      assert.equal(run.batch, runName(one, run.tick.getTime()));
      assert.equal(run.tick.getTime(), one.nextAt.getTime());
      const takers = await Promise.all(
        ['w1', 'w2', 'w3'].map((worker) => takeRun(db, { worker, host: 'here' })),
      );
      const made = await make(db, only(takers.filter((taker) => taker !== undefined)));
      assert.equal(made.kind, 'made');
      assert.deepEqual(await keysOf(db, run.batch), ['a', 'b']);
      assert.equal(await takeRun(db, { worker: 'w1', host: 'here' }), undefined);
      const [after] = await listSchedules(db);
      assert.equal(after?.nextAt.getTime(), one.nextAt.getTime() + MINUTE);
    });

    test('is not due before its jitter', async () => {
      const { db } = storage();
      await schedule(db, await new ManifestFile().write([row('a')]), { jitterMs: 86_400_000 });
      await decideAll(db, log);
      assert.equal(await takeRun(db, { worker: 'w1', host: 'here' }), undefined);
      assert.deepEqual(await statesOf(db, only(await listSchedules(db))), ['due']);
    });

    test('is lost while its schedule is paused, also after it is resumed', async () => {
      const { db } = storage();
      const one = await schedule(db, await new ManifestFile().write([row('a')]));
      await pauseSchedule(db, one.id);
      await decideAll(db, log);
      await resumeSchedule(db, one.id, new Date((await ledgerNow(db)) + MINUTE));
      await decideAll(db, log);
      assert.deepEqual(await statesOf(db, one), []);
    });
  });

  test('a run that waited too long for a free worker is not made, if its schedule says so', async () => {
    const { db } = storage();
    const one = await schedule(db, await new ManifestFile().write([row('a')]), { missed: 'skip' });
    await decideAll(db, log);
    await db.query(`update vidbatch.run set due_at = due_at - interval '10 minutes'`);
    assert.equal((await make(db, await taken(db))).kind, 'missed');
    assert.deepEqual([await statesOf(db, one), await listBatches(db)], [['missed'], []]);
  });

  test('a worker that gets a stop signal gives back the run whose manifest it is reading', async () => {
    const { db } = storage();
    const rows = Array.from({ length: 600 }, (_, n) => row(n));
    const one = await schedule(db, await new ManifestFile().write(rows));
    await decideAll(db, log);
    const making = { config: { baseUrl: ORIGIN, models: [] }, host: 'here', signal: AbortSignal.abort() };
    assert.deepEqual(await makeRun(db, await taken(db, 'w1'), making), { kind: 'given-back' });
    assert.deepEqual([await statesOf(db, one), await listBatches(db)], [['due'], []]);
    assert.equal((await make(db, await taken(db, 'w2'))).kind, 'made');
  });

  describe('a worker that dies while it makes a run', () => {
    test('leaves it to the next one once its lease is over, which reads the manifest as it is then', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a')]);
      await schedule(db, file);
      await decideAll(db, log);
      const dead = await taken(db, 'dead');
      assert.equal(await takeRun(db, { worker: 'w2', host: 'here' }), undefined);
      await leaseEnds(db);
      await renewLease(db, dead);
      assert.equal(await takeRun(db, { worker: 'w2', host: 'here' }), undefined, 'it is alive');
      await leaseEnds(db);
      await file.write([row('a', { prompt: 'edited' }), row('b')]);
      const next = await taken(db, 'w2');
      assert.equal(next.batch, dead.batch);
      assert.equal((await make(db, next)).kind, 'made');
      assert.deepEqual(await keysOf(db, next.batch), ['a', 'b']);
    });

    test('and comes back commits nothing, before or after the other one', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a')]);
      const one = await schedule(db, file);
      await decideAll(db, log);
      const slow = await taken(db, 'slow');
      await leaseEnds(db);
      const next = await taken(db, 'w2');
      assert.deepEqual(await make(db, slow), { kind: 'lost' });
      assert.deepEqual(await listBatches(db), []);
      assert.equal((await make(db, next)).kind, 'made');
      await file.write([row('c')]);
      assert.deepEqual(await make(db, slow), { kind: 'lost' });
      assert.deepEqual(await keysOf(db, next.batch), ['a']);
      assert.deepEqual(await statesOf(db, one), ['made']);
    });

    test('does not keep it for longer when the clock is set back', async () => {
      const { db } = storage();
      await schedule(db, await new ManifestFile().write([row('a')]));
      await decideAll(db, log);
      await taken(db, 'dead');
      await db.query(`update vidbatch.run set lease_until = lease_until + interval '1 day'`);
      assert.ok((await takeRun(db, { worker: 'w2', host: 'here' })) !== undefined);
    });
  });

  describe('when the clock is set back', () => {
    test('ticks that had their run get no other, and those that come have theirs', async () => {
      const { db } = storage();
      const one = await schedule(db, await new ManifestFile().write([row('a')]));
      await decideAll(db, log);
      const before = await listRuns(db, one.id, 10);
      // As the ledger looks after an hour was decided that is to come once more.
      await db.query(
        `update vidbatch.schedule set next_at = next_at + interval '1 hour', decided_at = now() + interval '1 hour'`,
      );
      await decideAll(db, log);
      const [back] = await listSchedules(db);
      assert.equal(back?.nextAt.getTime(), one.nextAt.getTime() + MINUTE);
      await db.query('update vidbatch.schedule set next_at = $1', [one.nextAt]);
      await decideAll(db, log);
      assert.deepEqual(await listRuns(db, one.id, 10), before);
    });
  });

  test('a tick that a restored ledger has forgotten is run again as the same batch, and what was sent is not sent', async () => {
    const { db } = storage();
    const folder = await mkdtemp(join(tmpdir(), 'vidbatch-schedule-'));
    after(() => rm(folder, { recursive: true, force: true }));
    await schedule(db, await new ManifestFile().write([row('a'), row('b')]));
    await decideAll(db, log);
    const run = await taken(db);
    const writer = { ledger: 'this', worker: `before-${randomUUID()}`, origin: ORIGIN };
    const journal = await openJournal(folder, writer, { reserve: 1024, flushAnswers: false });
    const sent = {
      attemptId: randomUUID(),
      submissionId: 9_000_000,
      batch: run.batch,
      key: 'a',
      content: 'h',
      request: '{}',
      number: 1,
      epoch: 0,
      profileId: 1,
      spent: 0,
      throttleLevel: 0,
      refusals: 0,
    };
    await journal.intend(sent);
    await journal.answer(sent, outcomeOf('accepted'));
    await journal.close();
    await replayJournals(db, folder, 'this');
    await make(db, run);
    const { rows } = await db.query('select row_key, state from vidbatch.submission order by line');
    assert.deepEqual(rows, [
      { row_key: 'a', state: 'submitted' },
      { row_key: 'b', state: 'pending' },
    ]);
  });

  describe('a manifest', () => {
    test('that is refused makes a failed run, with its reason, and no batch', async () => {
      const { db } = storage();
      const one = await schedule(db, await new ManifestFile().write([row('a'), row('b', { duration: 99 })]));
      await decideAll(db, log);
      assert.equal((await make(db, await taken(db))).kind, 'failed');
      const run = only(await listRuns(db, one.id, 10));
      assert.deepEqual([run.state, run.code, run.batchId], ['failed', 'INVALID_ROWS', null]);
      assert.match(run.reason ?? '', /1 of 2 rows is invalid; nothing was sent; the first: \S+.* duration/);
      assert.deepEqual(await listBatches(db), []);
    });

    test('is read by the rules that it was added with, and sent though other batches have sent it', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), row('b', { duration: 99 })]);
      const window = '23:00-07:00 Asia/Shanghai';
      await schedule(db, file, { flags: { keepGoing: true, window }, inMs: -2 * MINUTE });
      await decideAll(db, log);
      for (let n = 0; n < 2; n += 1) assert.equal((await make(db, await taken(db))).kind, 'made');
      assert.equal((await listBatches(db)).length, 2);
      const { rows } = await db.query<{ text: string }>(
        `select w.text from vidbatch.batch b join vidbatch.window w on w.id = b.window_id`,
      );
      assert.deepEqual(rows, [{ text: window }, { text: window }]);
    });

    test('that is not on this machine is left to one where a worker is up, and else the run has failed', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a')]);
      const one = await schedule(db, file);
      await rm(file.path);
      await recordTicker(db, 'here');
      await recordTicker(db, 'there');
      await decideAll(db, log);
      assert.deepEqual(await make(db, await taken(db, 'w1', 'here'), 'here'), { kind: 'left' });
      assert.equal(await takeRun(db, { worker: 'w1', host: 'here' }), undefined);
      const result = await make(db, await taken(db, 'w2', 'there'), 'there');
      assert.equal(result.kind, 'failed');
      const { state, reason } = only(await listRuns(db, one.id, 10));
      assert.deepEqual([state, reason], ['failed', `${file.path}: no such file (on here, there)`]);
    });

    test('that was only on a machine without a worker now is not waited for', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a')]);
      const one = await schedule(db, file);
      await rm(file.path);
      await recordTicker(db, 'there');
      await decideAll(db, log);
      assert.deepEqual(await make(db, await taken(db)), { kind: 'left' });
      await db.query(`update vidbatch.ticker set seen_at = now() - interval '1 minute'`);
      assert.equal((await make(db, await taken(db))).kind, 'failed');
      assert.deepEqual(await statesOf(db, one), ['failed']);
    });
  });

  describe('a run that comes while an earlier one has rows to send', () => {
    const two = (db: Database, file: ManifestFile, more: Partial<Schedule>): Promise<Schedule> =>
      schedule(db, file, { ...more, inMs: -2 * MINUTE });

    test('is skipped, and says why', async () => {
      const { db } = storage();
      const one = await two(db, await new ManifestFile().write([row('a')]), { overlap: 'skip' });
      await decideAll(db, log);
      const first = await taken(db);
      await make(db, first);
      const second = await make(db, await taken(db));
      assert.deepEqual(second, { kind: 'skipped', reason: `${first.batch} still has 1 row to send` });
      assert.deepEqual(await statesOf(db, one), ['made', 'skipped']);
    });

    test('is made when its deadline has shut what is left', async () => {
      const { db } = storage();
      const one = await two(db, await new ManifestFile().write([row('a')]), { overlap: 'skip' });
      await decideAll(db, log);
      await make(db, await taken(db));
      await db.query(`update vidbatch.batch set not_after = now() - interval '1 second'`);
      await make(db, await taken(db));
      assert.deepEqual(await statesOf(db, one), ['made', 'made']);
    });

    test('waits for it in a queue', async () => {
      const { db } = storage();
      const one = await two(db, await new ManifestFile().write([row('a')]), { overlap: 'queue' });
      await decideAll(db, log);
      await make(db, await taken(db));
      assert.equal(await takeRun(db, { worker: 'w1', host: 'here' }), undefined);
      await db.query(`update vidbatch.row_state set previous = 'pending', state = 'cancelled'`);
      assert.equal((await make(db, await taken(db))).kind, 'made');
      assert.deepEqual(await statesOf(db, one), ['made', 'made']);
    });

    test('is made beside it where that is allowed', async () => {
      const { db } = storage();
      const one = await two(db, await new ManifestFile().write([row('a')]), { overlap: 'allow' });
      await decideAll(db, log);
      const both = [await taken(db, 'w1'), await taken(db, 'w2')];
      await Promise.all(both.map((run) => make(db, run)));
      assert.deepEqual(await statesOf(db, one), ['made', 'made']);
    });
  });

  describe('a schedule', () => {
    test('has a name of its own', async () => {
      const { db } = storage();
      const file = new ManifestFile();
      await schedule(db, file, { name: 'nightly' });
      await assert.rejects(schedule(db, file, { name: 'nightly' }), { code: 'SCHEDULE_EXISTS', exitCode: 2 });
    });

    test('that is removed takes its runs with it, also one that is being made; batches stay', async () => {
      const { db } = storage();
      const one = await schedule(db, await new ManifestFile().write([row('a')]), { inMs: -2 * MINUTE });
      await decideAll(db, log);
      const made = await taken(db);
      await make(db, made);
      const late = await taken(db);
      await removeSchedule(db, one.id);
      assert.deepEqual(await make(db, late), { kind: 'lost' });
      assert.deepEqual(
        (await listBatches(db)).map(({ name }) => name),
        [made.batch],
      );
    });

    test('can be triggered while it is paused', async () => {
      const { db } = storage();
      const one = await schedule(db, await new ManifestFile().write([row('a')]));
      await pauseSchedule(db, one.id);
      const tick = new Date(await ledgerNow(db));
      const id = await triggerRun(db, one.id, { tick, batch: runName(one, tick.getTime()) });
      assert.equal(await triggerRun(db, one.id, { tick, batch: 'another' }), undefined);
      const run = await takeRun(db, { worker: 'w1', host: 'here', only: id ?? 0 });
      assert.ok(run !== undefined && run.triggered);
      assert.equal((await make(db, run)).kind, 'made');
    });
  });
});
