import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { openJournal, type Journal } from '../../../src/worker/journal/journal.ts';
import type { Database } from '../../../src/database/database.ts';
import { readAttempts } from '../../../src/ledger/read/rows.ts';
import { sameKeyOf } from '../../../src/core/retry-policy.ts';
import { claim as claimRows, type Claim } from '../../../src/ledger/send/claim.ts';
import { rememberJournal } from '../../../src/ledger/send/journal.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import { replayJournals } from '../../../src/worker/journal/replay.ts';
import {
  againOf,
  claimAll,
  claimFirst,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  scopeOf,
  storedOne,
  editRow,
  wishFor,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-journal-'));
  folders.push(folder);
  return folder;
}

const CLAIM: Claim = {
  attemptId: 'a',
  submissionId: 1,
  batch: 'b',
  key: 'k',
  content: 'h',
  request: '{}',
  number: 1,
  epoch: 0,
  profileId: 1,
  spent: 0,
  throttleLevel: 0,
  refusals: 0,
};

let workers = 0;

/** Names are unique as those of real workers are: a ledger remembers which journals it has taken in. */
function journalOf(folder: string, made: Pick<Made, 'origin'>, ledger = 'this'): Promise<Journal> {
  workers += 1;
  return openJournal(
    folder,
    { ledger, worker: `w${workers}`, origin: made.origin },
    { reserve: 64 * 1024, flushAnswers: workers % 2 === 0 },
  );
}

/** The ledger as a copy from before these attempts would have it. */
async function forget(db: Database, claims: readonly Claim[]): Promise<void> {
  for (const { attemptId, submissionId } of claims) {
    await db.query('delete from vidbatch.attempt where id = $1', [attemptId]);
    await db.query(
      `update vidbatch.row_state
          set previous = null, state = 'pending', attempt_id = null, deadline = null, attempts = 0, task_id = null,
              submitted_at = null
        where id = $1`,
      [submissionId],
    );
  }
}

describe('a journal', () => {
  test('holds its lines, and room for more, on the disk; closed, it is as long as its lines', async () => {
    const folder = await newFolder();
    const journal = await journalOf(folder, { origin: 'https://a.example' });
    await journal.ready();
    const open = await readFile(join(folder, journal.name));
    assert.ok(open.length >= 64 * 1024, 'room is taken ahead of need');
    const bytes = await journal.close();
    const closed = await readFile(join(folder, journal.name), 'utf8');
    assert.equal(Buffer.byteLength(closed), bytes);
    assert.match(closed, /^\{"kind":"header","version":1,"ledger":"this","worker":"w\d+"[^\n]*\n$/);
  });

  test('loses no line to the room that is taken for the next ones', async () => {
    const folder = await newFolder();
    const header = { ledger: 'this', worker: 'busy', origin: 'https://a.example' };
    const journal = await openJournal(folder, header, { reserve: 3 * 1024 * 1024, flushAnswers: false });
    const claims = Array.from({ length: 300 }, (_, n) => ({
      ...CLAIM,
      attemptId: `a${n}`,
      key: 'k'.repeat(9000),
    }));
    await Promise.all(
      claims.flatMap((claim) => [
        journal.ready(),
        journal.intend(claim),
        journal.answer(claim, outcomeOf('uncertain')),
      ]),
    );
    await journal.close();
    const lines = (await readFile(join(folder, journal.name), 'utf8')).trimEnd().split('\n');
    const attempts = lines.slice(1).map((line) => (JSON.parse(line) as { attempt: string }).attempt);
    const expected = claims.flatMap(({ attemptId }) => [attemptId, attemptId]);
    assert.deepEqual(attempts.toSorted(), expected.toSorted());
  });

  test('has one writer', async () => {
    const folder = await newFolder();
    const header = { ledger: 'this', worker: 'only', origin: 'https://a.example' };
    const journal = await openJournal(folder, header, { reserve: 1024, flushAnswers: false });
    await assert.rejects(openJournal(folder, header, { reserve: 1024, flushAnswers: false }));
    await journal.close();
  });
});

onEvery(SQL_LEDGERS, (storage) => {
  test('an answer that the ledger lacks is recorded from the journal', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: 'task_kept' }));
    await journal.close();

    const told = await replayJournals(db, folder, 'this');
    assert.deepEqual(told, {
      journals: 1,
      answers: 1,
      restored: 0,
      unmatched: 0,
      neverSent: 0,
      foreign: [],
      damaged: [],
      torn: 0,
    });
    const row = await storedOne(db, claim.submissionId);
    assert.deepEqual([row.state, row.task_id], ['submitted', 'task_kept']);

    const again = await replayJournals(db, folder, 'this');
    assert.deepEqual([again.journals, again.answers], [0, 0], 'what was taken in is not read again');
  });

  test('an answer is read whole, with any characters in its body', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    const accepted = outcomeOf('accepted', { taskId: 'task_whole' });
    const body = 'a line separator \u2028, a paragraph separator \u2029, a next line \u0085, 画🎬\r\n';
    await journal.answer(claim, { ...accepted, evidence: { ...accepted.evidence, body } });
    await journal.close();
    assert.equal((await replayJournals(db, folder, 'this')).torn, 0);
    assert.equal((await storedOne(db, claim.submissionId)).task_id, 'task_whole');
  });

  test('the answer to what a row asked for before it was edited does not settle the row, and is surplus', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: 'task_late' }));
    await journal.close();
    await sweep(db, { all: true });
    await editRow(db, claim.submissionId, { contentHash: 'other' });
    await db.query(`update vidbatch.row_state set previous = state, state = 'pending' where id = $1`, [
      claim.submissionId,
    ]);
    const told: [string, boolean][] = [];
    await replayJournals(db, folder, 'this', ({ taskId, surplus }) => told.push([taskId, surplus]));
    assert.deepEqual(told, [['task_late', true]]);
    const row = await storedOne(db, claim.submissionId);
    assert.deepEqual([row.state, row.task_id], ['pending', null]);
    const again = await claimFirst(db, made);
    assert.equal((await recordOne(db, again, outcomeOf('accepted', { taskId: 'task_own' }))).surplus, false);
    assert.equal((await storedOne(db, claim.submissionId)).task_id, 'task_own');
  });

  test('an answer that came before the sweep settles a row that is uncertain by now', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: 'task_late' }));
    await journal.close();
    await sweep(db, { all: true });
    assert.equal((await storedOne(db, claim.submissionId)).state, 'uncertain');
    await replayJournals(db, folder, 'this');
    assert.equal((await storedOne(db, claim.submissionId)).task_id, 'task_late');
  });

  test('a ledger restored from an older copy gets its attempts back, and pays for none of them again', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const claims = await claimAll(db, made, made.rows);
    const [accepted, unanswered, refused] = claims as [Claim, Claim, Claim];
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    for (const claim of claims) await journal.intend(claim);
    await journal.answer(accepted, outcomeOf('accepted', { taskId: 'task_paid' }));
    await journal.answer(refused, outcomeOf('throttled'));
    await journal.close();
    await recordOne(db, accepted, outcomeOf('accepted', { taskId: 'task_paid' }));
    await forget(db, claims);

    const told = await replayJournals(db, folder, 'this');
    assert.deepEqual([told.restored, told.answers], [3, 2]);
    await sweep(db);
    const states = await Promise.all(made.rows.map(async (id) => (await storedOne(db, id)).state));
    assert.deepEqual(states, ['submitted', 'uncertain', 'pending']);
    assert.equal((await readAttempts(db, unanswered.submissionId)).length, 1);
  });

  test('a lost attempt, found while a later one of its row is in flight, keeps a refusal of that one from sending the row again', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    const lost = await claimFirst(db, made);
    await journal.intend(lost);
    await journal.close();
    await forget(db, [lost]);
    await recordOne(db, await claimFirst(db, made), outcomeOf('throttled'));
    const later = await claimFirst(db, made);
    assert.equal((await replayJournals(db, folder, 'this')).restored, 1);
    await recordOne(db, later, outcomeOf('throttled'));
    assert.equal((await storedOne(db, lost.submissionId)).state, 'uncertain');
  });

  test('what a crash leaves behind, half a line and zeros, is passed over; whole lines count', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: 'task_whole' }));
    await journal.close();
    const half = `{"kind":"answer","attempt":"${claim.attemptId}","outc`;
    await appendFile(join(folder, journal.name), half + '\0'.repeat(5000));
    const told = await replayJournals(db, folder, 'this');
    assert.deepEqual([told.answers, told.torn], [1, 1]);
  });

  describe('an attempt of a dead worker without an answer', () => {
    /** Three rows in flight under the worker whose journal this is; the first has an intent there, the others none. */
    async function inFlight(): Promise<{ db: Database; folder: string; journal: Journal; claims: Claim[] }> {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3 });
      const folder = await newFolder();
      const journal = await journalOf(folder, made);
      const claims = await claimAll(db, made, made.rows);
      const worker = journal.name.replace('.jsonl', '');
      await db.query('update vidbatch.attempt set worker = $1 where id = any($2::uuid[])', [
        worker,
        claims.map(({ attemptId }) => attemptId),
      ]);
      await journal.intend(claims[0] as Claim);
      return { db, folder, journal, claims };
    }

    const statesOf = (db: Database, claims: readonly Claim[]): Promise<string[]> =>
      Promise.all(claims.map(async ({ submissionId }) => (await storedOne(db, submissionId)).state));

    test('was never sent if its journal is whole and lacks its intent; with one, it may have been', async () => {
      const { db, folder, journal, claims } = await inFlight();
      await journal.close();
      const told = await replayJournals(db, folder, 'this');
      assert.equal(told.neverSent, 2);
      assert.deepEqual(await statesOf(db, claims), ['submitting', 'pending', 'pending']);
      await sweep(db, { all: true });
      assert.deepEqual(await statesOf(db, claims), ['uncertain', 'pending', 'pending']);
      const { rows } = await db.query<{ intended: boolean }>(
        'select intended_at is not null as intended from vidbatch.attempt where id = any($1::uuid[]) order by 1',
        [claims.map(({ attemptId }) => attemptId)],
      );
      assert.deepEqual(
        rows.map((row) => row.intended),
        [false, false, true],
      );
    });

    test('is taken back from uncertain when the journal is read after the sweep', async () => {
      const { db, folder, journal, claims } = await inFlight();
      await sweep(db, { all: true });
      await journal.close();
      await replayJournals(db, folder, 'this');
      assert.deepEqual(await statesOf(db, claims), ['uncertain', 'pending', 'pending']);
    });

    test('that is found only after its journal was read has it read again', async () => {
      const { db, folder, journal, claims } = await inFlight();
      const late = (claims[2] as Claim).attemptId;
      await db.query(`update vidbatch.attempt set worker = 'not seen yet' where id = $1`, [late]);
      await journal.close();
      assert.equal((await replayJournals(db, folder, 'this')).neverSent, 1);
      await db.query('update vidbatch.attempt set worker = $1 where id = $2', [
        journal.name.replace('.jsonl', ''),
        late,
      ]);
      assert.equal((await replayJournals(db, folder, 'this')).neverSent, 1);
      assert.equal((await replayJournals(db, folder, 'this')).journals, 0, 'nothing is open any more');
    });

    test('stays what it is while its worker lives', async () => {
      const { db, folder, journal, claims } = await inFlight();
      await replayJournals(db, folder, 'this');
      assert.deepEqual(await statesOf(db, claims), ['submitting', 'submitting', 'submitting']);
      await journal.close();
    });

    test('stays in doubt when the journal is torn in the middle', async () => {
      const { db, folder, journal, claims } = await inFlight();
      await journal.close();
      const whole = JSON.stringify({
        kind: 'answer',
        attempt: claims[0]?.attemptId,
        outcome: outcomeOf('uncertain'),
      });
      await appendFile(join(folder, journal.name), `{"kind":"intent","att\n${whole}\n`);
      const told = await replayJournals(db, folder, 'this');
      assert.deepEqual([told.neverSent, told.damaged.length], [0, 1]);
      assert.deepEqual(await statesOf(db, claims.slice(1)), ['submitting', 'submitting']);
    });

    test('stays in doubt when the journal is an older copy: it lacks an attempt that is known to have left', async () => {
      const { db, folder, journal, claims } = await inFlight();
      await journal.close();
      await recordOne(db, claims[1] as Claim, outcomeOf('rejected'));
      const told = await replayJournals(db, folder, 'this');
      assert.deepEqual([told.neverSent, told.damaged.length], [0, 1]);
      assert.deepEqual(await statesOf(db, claims.slice(1)), ['rejected', 'submitting']);
    });
  });

  describe('a row with several attempts without an answer, at a provider that honours the idempotency key', () => {
    const SAME_KEY = sameKeyOf({ providerIdempotent: true });

    interface Twice {
      db: Database;
      folder: string;
      /** The row is uncertain, and the second attempt decides. */
      rowId: number;
      claims: [Claim, Claim];
      journals: [Journal, Journal];
    }

    /** The row was claimed by two workers, one after the other. Both are dead, and the ledger has read their journals. */
    async function claimedTwice(names: [string, string], intended: readonly (0 | 1)[] = []): Promise<Twice> {
      const { db } = storage();
      const made = await makeBatch(db);
      const folder = await newFolder();
      assert.ok(SAME_KEY);
      const claimBy = async (worker: string, again = SAME_KEY): Promise<[Claim, Journal]> => {
        const header = { ledger: 'this', worker, origin: made.origin };
        const journal = await openJournal(folder, header, { reserve: 1024, flushAnswers: false });
        const claim = only(await claimRows(db, scopeOf(made, { worker }), wishFor(made.id, 1)));
        await sweep(db, { all: true, again: againOf(made, again, 2) });
        return [claim, journal];
      };
      const [first, firstJournal] = await claimBy(names[0]);
      const [second, secondJournal] = await claimBy(names[1]);
      const twice: Twice = {
        db,
        folder,
        rowId: only(made.rows),
        claims: [first, second],
        journals: [firstJournal, secondJournal],
      };
      for (const n of intended) await twice.journals[n].intend(twice.claims[n]);
      for (const journal of twice.journals) await rememberJournal(db, journal.name, await journal.close());
      assert.deepEqual(await decidedBy(twice), ['uncertain', second.attemptId]);
      return twice;
    }

    async function decidedBy({ db, rowId }: Twice): Promise<[string, string]> {
      const { rows } = await db.query<{ state: string; attempt_id: string }>(
        'select state, attempt_id from vidbatch.row_state where id = $1',
        [rowId],
      );
      const row = only(rows);
      return [row.state, row.attempt_id];
    }

    async function outcomesOf({ db, rowId }: Twice): Promise<(string | null)[]> {
      return (await readAttempts(db, rowId)).map(({ outcome }) => outcome);
    }

    /** Names of two workers whose journals are read in this order. */
    const inOrder = (): [string, string] => [`a-${randomUUID()}`, `b-${randomUUID()}`];
    const orders = [
      ['the earlier attempt', inOrder],
      ['the later attempt', () => inOrder().toReversed() as [string, string]],
    ] as const;

    for (const [first, names] of orders) {
      test(`is pending after one replay if none of them left, and the journal of ${first} is read first`, async () => {
        const twice = await claimedTwice(names());
        const told = await replayJournals(twice.db, twice.folder, 'this');
        assert.deepEqual([told.journals, told.neverSent], [2, 2]);
        assert.equal((await storedOne(twice.db, twice.rowId)).state, 'pending');
        assert.deepEqual(await outcomesOf(twice), ['not-sent', 'not-sent']);
        assert.equal((await replayJournals(twice.db, twice.folder, 'this')).journals, 0, 'nothing is open');
      });

      test(`stays uncertain if the earlier one may have left, and the journal of ${first} is read first`, async () => {
        const twice = await claimedTwice(names(), [0]);
        assert.equal((await replayJournals(twice.db, twice.folder, 'this')).neverSent, 1);
        assert.deepEqual(await decidedBy(twice), ['uncertain', twice.claims[0].attemptId]);
        assert.deepEqual(await outcomesOf(twice), [null, 'not-sent']);
        assert.equal((await replayJournals(twice.db, twice.folder, 'this')).journals, 0, 'nothing is open');
      });

      test(`stays uncertain if the later one may have left, and the journal of ${first} is read first`, async () => {
        const twice = await claimedTwice(names(), [1]);
        assert.equal((await replayJournals(twice.db, twice.folder, 'this')).neverSent, 1);
        assert.deepEqual(await decidedBy(twice), ['uncertain', twice.claims[1].attemptId]);
        assert.deepEqual(await outcomesOf(twice), ['not-sent', null]);
      });

      test(`stays uncertain if the journal of the earlier one is damaged, and that of ${first} is read first`, async () => {
        const twice = await claimedTwice(names());
        const damaged = join(twice.folder, twice.journals[0].name);
        const whole = JSON.stringify({
          kind: 'answer',
          attempt: randomUUID(),
          outcome: outcomeOf('uncertain'),
        });
        await appendFile(damaged, `{"kind":"intent","att\n${whole}\n`);
        for (const neverSent of [1, 0]) {
          const told = await replayJournals(twice.db, twice.folder, 'this');
          assert.deepEqual([told.neverSent, told.damaged], [neverSent, [damaged]]);
          assert.deepEqual(await decidedBy(twice), ['uncertain', twice.claims[0].attemptId]);
        }
        assert.deepEqual(await outcomesOf(twice), [null, 'not-sent']);
      });

      test(`is pending after one replay that restores its refused attempt, though the journal of ${first} is read first`, async () => {
        const twice = await claimedTwice(names(), [1]);
        const [earlier, later] = twice.claims;
        const answer = { kind: 'answer', attempt: later.attemptId, outcome: outcomeOf('throttled') };
        await appendFile(join(twice.folder, twice.journals[1].name), `${JSON.stringify(answer)}\n`);
        // The ledger was restored from a backup in which the row waits, because its first attempt may have left.
        await twice.db.query('delete from vidbatch.attempt where id = $1', [later.attemptId]);
        await twice.db.query(
          `update vidbatch.row_state set previous = 'submitting', state = 'pending', doubtful = true, attempts = 1,
                  attempt_id = $2 where id = $1`,
          [twice.rowId, earlier.attemptId],
        );
        const told = await replayJournals(twice.db, twice.folder, 'this');
        assert.deepEqual([told.restored, told.answers, told.neverSent], [1, 1, 1]);
        assert.equal((await storedOne(twice.db, twice.rowId)).state, 'pending');
        assert.deepEqual(await outcomesOf(twice), ['not-sent', 'throttled']);
      });
    }

    test('is pending in the end if the first replay died, at any of its statements', async () => {
      for (let statements = 0; ; statements += 1) {
        const twice = await claimedTwice(inOrder());
        const died = await replayJournals(dyingAfter(twice.db, statements), twice.folder, 'this').then(
          () => false,
          () => true,
        );
        await replayJournals(twice.db, twice.folder, 'this');
        assert.equal((await storedOne(twice.db, twice.rowId)).state, 'pending');
        assert.deepEqual(await outcomesOf(twice), ['not-sent', 'not-sent']);
        if (!died) break;
      }
    });

    /** The ledger as a process sees it that dies after so many statements. A transaction is one of them. */
    function dyingAfter(db: Database, statements: number): Database {
      let left = statements;
      const live = (): void => {
        left -= 1;
        if (left < 0) throw new Error('the process died');
      };
      return {
        query: async (text, params) => {
          live();
          return db.query(text, params);
        },
        connect: async () => {
          live();
          return db.connect();
        },
        end: () => Promise.resolve(),
      };
    }
  });

  test('the journal of another ledger is kept and named; one that is being written is left alone', async () => {
    const { db } = storage();
    const folder = await newFolder();
    const foreign = await journalOf(folder, { origin: 'https://a.example' }, 'another');
    await foreign.close();
    const living = await journalOf(folder, { origin: 'https://a.example' });
    const told = await replayJournals(db, folder, 'this');
    assert.equal(told.journals, 0);
    assert.deepEqual(told.foreign, [join(folder, foreign.name)]);
    await living.close();
    assert.ok((await readdir(folder)).includes(foreign.name));
  });

  test('a journal is kept for a month after it was taken in', async () => {
    const { db } = storage();
    const folder = await newFolder();
    const journal = await journalOf(folder, { origin: 'https://a.example' });
    await journal.close();
    await replayJournals(db, folder, 'this');
    assert.ok((await readdir(folder)).includes(journal.name));
    const longAgo = new Date(Date.now() - 31 * 24 * 3_600_000);
    await utimes(join(folder, journal.name), longAgo, longAgo);
    await replayJournals(db, folder, 'this');
    assert.deepEqual(await readdir(folder), ['replay.lock']);
  });

  test('a replay that restores an attempt ends, though it deletes a journal that is older than a month', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const folder = await newFolder();
    const old = await journalOf(folder, made);
    await old.close();
    await replayJournals(db, folder, 'this');
    const longAgo = new Date(Date.now() - 31 * 24 * 3_600_000);
    await utimes(join(folder, old.name), longAgo, longAgo);
    const journal = await journalOf(folder, made);
    const claim = await claimFirst(db, made);
    await journal.intend(claim);
    await journal.close();
    await forget(db, [claim]);
    assert.equal((await replayJournals(db, folder, 'this')).restored, 1);
    assert.ok(!(await readdir(folder)).includes(old.name));
  });

  test('a missing folder and a file that is not a journal cause no error', async () => {
    const { db } = storage();
    const folder = await newFolder();
    assert.equal((await replayJournals(db, join(folder, 'none'), 'this')).journals, 0);
    await writeFile(join(folder, 'noise.jsonl'), 'not json\n[1]\n"x"\n{"kind":"else"}\n');
    assert.equal((await replayJournals(db, folder, 'this')).answers, 0);
  });
});
