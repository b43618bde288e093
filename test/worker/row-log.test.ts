import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { logAccepted, logVerdict, type Accepted } from '../../src/worker/row-log.ts';
import { openApp } from '../../src/worker/app.ts';
import { journalFolder, openJournal, type Journal } from '../../src/worker/journal/journal.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import { readLedgerId } from '../../src/ledger/read/rows.ts';
import { resolveAccepted } from '../../src/ledger/operator/resolve.ts';
import { sweep } from '../../src/ledger/send/sweep.ts';
import { countChosen } from '../../src/ledger/read/uncertain.ts';
import { replayJournals } from '../../src/worker/journal/replay.ts';
import { hear } from '../contract/log.ts';
import { bring, ManifestFile, ORIGIN, row } from '../contract/manifest-file.ts';
import { claimAll, claimFirst, makeBatch, outcomeOf, recordOne, type Made } from '../contract/rows.ts';
import { onEvery, place } from '../contract/storages.ts';

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A journal in a folder of its own, of a worker of its own. */
async function newJournal(origin: string): Promise<{ folder: string; journal: Journal }> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-accepted-'));
  folders.push(folder);
  return { folder, journal: await journalIn(folder, origin, 'this') };
}

function journalIn(folder: string, origin: string, ledger: string): Promise<Journal> {
  return openJournal(
    folder,
    { ledger, worker: `w-${randomUUID()}`, origin },
    { reserve: 1024, flushAnswers: false },
  );
}

async function answered(journal: Journal, claim: Claim, taskId: string): Promise<void> {
  await journal.intend(claim);
  await journal.answer(claim, outcomeOf('accepted', { taskId }));
}

const toldOf = (claim: Claim, taskId: string, more: Partial<Accepted> = {}): Accepted => ({
  batch: claim.batch,
  key: claim.key,
  attempt: claim.number,
  attemptId: claim.attemptId,
  taskId,
  surplus: false,
  ...more,
});

test('a task id is a line with its batch, key and attempt; a surplus one is an error, and says so', () => {
  const { log, lines } = hear();
  const accepted = { batch: 'b', key: 'k', attempt: 1, attemptId: 'a', taskId: 't' };
  logAccepted(log, { ...accepted, surplus: false });
  logAccepted(log, { ...accepted, surplus: true, by: 'journal' });
  const told = lines.map(({ time: _time, msg: _msg, ...line }) => line);
  assert.deepEqual(told, [
    { level: 'info', event: 'accepted', ...accepted },
    { level: 'error', event: 'accepted', ...accepted, by: 'journal', surplus: true },
  ]);
});

test('a row that is rejected while its provider is halted is logged as rejected, not as a halt', async () => {
  const { log, lines } = hear();
  const claim = { batch: 'b', key: 'k', number: 1, attemptId: 'a' } as Claim;
  const outcome = outcomeOf('rejected', { httpStatus: 400 });
  const recorded = {
    attemptId: 'a',
    state: 'rejected',
    moved: true,
    surplus: false,
    known: false,
    halted: true,
  } as const;
  logVerdict(log, { kind: 'settled', claim, outcome, recorded, waitMs: 0 });
  assert.deepEqual(
    lines.map(({ event, level }) => [event, level]),
    [['rejected', 'warn']],
  );
});

onEvery(['postgres'], (storage) => {
  /** Tells what becomes of an attempt, as its worker does. */
  async function settle(claim: Claim, taskId: string): Promise<Record<string, unknown>[]> {
    const { log, lines } = hear();
    const outcome = outcomeOf('accepted', { taskId });
    const recorded = await recordOne(storage().db, claim, outcome);
    logVerdict(log, { kind: 'settled', claim, outcome, recorded, waitMs: 0 });
    return lines;
  }

  async function replayed(folder: string): Promise<Accepted[]> {
    const told: Accepted[] = [];
    await replayJournals(storage().db, folder, 'this', (one) => told.push(one));
    return told;
  }

  /** A row that is uncertain, and of which a person then says that this is its task. */
  async function resolved(made: Made, claim: Claim, taskId: string): Promise<void> {
    const { db } = storage();
    await sweep(db, { all: true });
    const choice = { batchId: made.id, submissionId: claim.submissionId };
    const { asOf } = await countChosen(db, choice);
    const said = { who: 'me', reason: 'in their list' };
    assert.equal((await resolveAccepted(db, { ...choice, asOf }, taskId, said)).kind, 'submitted');
  }

  describe('a task id is logged once', () => {
    test('by the worker that it answered, also when that comes late', async () => {
      const { db } = storage();
      const claim = await claimFirst(db, await makeBatch(db));
      await sweep(db, { all: true });
      const [line, ...more] = await settle(claim, 'task_late');
      assert.deepEqual([line?.['event'], line?.['taskId'], more.length], ['accepted', 'task_late', 0]);
    });

    test('by the worker that reads it in a dead worker’s journal, and not by the next reader', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 110 });
      const { folder, journal } = await newJournal(made.origin);
      const claims = await claimAll(db, made, made.rows);
      for (const claim of claims) await journal.intend(claim);
      for (const claim of claims)
        await journal.answer(claim, outcomeOf('accepted', { taskId: `t-${claim.key}` }));
      await journal.close();
      // The first was recorded, and told, before the worker died.
      const [first, ...others] = claims;
      assert.ok(first !== undefined);
      await settle(first, `t-${first.key}`);
      assert.deepEqual(
        await replayed(folder),
        others.map((claim) => toldOf(claim, `t-${claim.key}`, { by: 'journal' })),
      );
      assert.deepEqual(await replayed(folder), []);
    });

    test('as surplus, when its row has another one already', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const { folder, journal } = await newJournal(made.origin);
      const claim = await claimFirst(db, made);
      await answered(journal, claim, 'task_theirs');
      await journal.close();
      await resolved(made, claim, 'task_said');
      assert.deepEqual(await replayed(folder), [
        toldOf(claim, 'task_theirs', { by: 'journal', surplus: true }),
      ]);
    });

    test('for the person who found it; a later answer with the same id is not logged', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const { folder, journal } = await newJournal(made.origin);
      const [read, late] = await claimAll(db, made, made.rows);
      assert.ok(read !== undefined && late !== undefined);
      await answered(journal, read, 'task_read');
      await journal.close();
      await resolved(made, read, 'task_read');
      await resolved(made, late, 'task_late_too');
      assert.deepEqual(await replayed(folder), []);
      const lines = await settle(late, 'task_late_too');
      assert.deepEqual(
        lines.map(({ event }) => event),
        ['known-task'],
      );
    });

    test('when its row is not in this ledger, and not again when its manifest comes back', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('paid')]);
      const { folder, journal } = await newJournal(ORIGIN);
      const claim: Claim = {
        attemptId: randomUUID(),
        submissionId: 9_000_000,
        batch: file.name,
        key: 'paid',
        content: 'h',
        request: '{}',
        number: 1,
        epoch: 0,
        profileId: 1,
        spent: 0,
        throttleLevel: 0,
        refusals: 0,
      };
      await answered(journal, claim, 'task_unmatched');
      await journal.close();
      assert.deepEqual(await replayed(folder), [toldOf(claim, 'task_unmatched', { by: 'journal' })]);
      // As if it had been interrupted before it remembered the file.
      await db.query('delete from vidbatch.journal where name = $1', [journal.name]);
      assert.deepEqual(await replayed(folder), []);
      await bring(db, file);
      await db.query('delete from vidbatch.journal where name = $1', [journal.name]);
      assert.deepEqual(await replayed(folder), []);
    });
  });
});

test('any command that opens an embedded folder logs what its journals know', async () => {
  const { config, remove } = await place('embedded');
  after(remove);
  const first = await openApp(config, 'writer');
  const made = await makeBatch(first.db);
  const claim = await claimFirst(first.db, made);
  const journal = await journalIn(journalFolder(config.dataDir), made.origin, await readLedgerId(first.db));
  await answered(journal, claim, 'task_found');
  await journal.close();
  await first.close();
  const { log, lines } = hear();
  const second = await openApp(config, 'reader', log);
  await second.close();
  const told = lines.filter(({ event }) => event === 'accepted');
  assert.deepEqual(
    told.map(({ taskId, key, by }) => [taskId, key, by]),
    [['task_found', claim.key, 'journal']],
  );
});
