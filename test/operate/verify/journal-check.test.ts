import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Queryable } from '../../../src/database/database.ts';
import { inspectJournals } from '../../../src/operate/verify/journal-check.ts';
import { inspectLedger, type Inspection } from '../../../src/operate/verify/verify.ts';
import { openJournal, type Journal } from '../../../src/worker/journal/journal.ts';
import { replayJournals } from '../../../src/worker/journal/replay.ts';
import { found, names } from '../../contract/findings.ts';
import { claimAll, claimFirst, makeBatch, outcomeOf, recordOne, type Made } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-verify-'));
  folders.push(folder);
  return folder;
}

let workers = 0;

async function journalOf(
  folder: string,
  { origin }: Pick<Made, 'origin'>,
  ledger = 'this',
): Promise<Journal> {
  workers += 1;
  const header = { ledger, worker: `w${workers}`, origin };
  return openJournal(folder, header, { reserve: 64 * 1024, flushAnswers: false });
}

function journalsOf(db: Queryable, folder: string, batch: string | null = null): AsyncGenerator<Inspection> {
  return inspectJournals(db, folder, { ledgerId: 'this', batch });
}

onEvery(SQL_LEDGERS, (storage) => {
  test('a journal whose attempts and answers are all recorded has no finding, also with a torn end', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 2 });
    const claims = await claimAll(db, made, made.rows);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    for (const [n, claim] of claims.entries()) {
      const outcome = outcomeOf(n === 0 ? 'accepted' : 'rejected', { taskId: `task_\0_${made.id}` });
      await journal.intend(claim);
      await journal.answer(claim, outcome);
      await recordOne(db, claim, outcome);
    }
    await journal.close();
    await appendFile(join(folder, journal.name), '{"kind":"answ');
    assert.deepEqual(await found(journalsOf(db, folder)), []);
    assert.deepEqual(await found(journalsOf(db, join(folder, 'none'))), []);
  });

  test('an attempt, an answer or a task id that is in a journal alone is a risk', async () => {
    const { db } = storage();
    const made = await makeBatch(db, { rows: 3 });
    const claims = await claimAll(db, made, made.rows);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    for (const [n, claim] of claims.entries()) {
      await journal.intend(claim);
      await journal.answer(claim, outcomeOf('accepted', { taskId: `task_${n}` }));
    }
    await journal.close();
    const [lost, unheard, other] = claims;
    assert.ok(lost && unheard && other);
    await db.query('delete from vidbatch.attempt where id = $1', [lost.attemptId]);
    await recordOne(db, other, outcomeOf('accepted', { taskId: 'task_other' }));

    const told = await found(journalsOf(db, folder));
    assert.deepEqual(
      told.map(({ invariant, batch, key, what }) => [invariant, batch, key, what]),
      [
        ['journal-intent', made.name, 'k1', 'attempt 1 is only in a journal: it may have been accepted'],
        ['journal-answer', null, null, 'an answer is only in a journal: accepted as task task_0'],
        [
          'journal-answer',
          made.name,
          'k2',
          'attempt 1 is accepted as task task_1 in the journal, but no answer in the ledger',
        ],
        [
          'journal-answer',
          made.name,
          'k3',
          'attempt 1 is accepted as task task_2 in the journal, but accepted as task task_other in the ledger',
        ],
      ],
    );
    assert.ok(told.every(({ severity }) => severity === 'risk'));
    assert.deepEqual(await found(journalsOf(db, folder, 'another batch')), []);
    const late = await found(journalsOf(db, folder), () =>
      recordOne(db, unheard, outcomeOf('accepted', { taskId: 'task_1' })),
    );
    assert.equal(late.length, 3, 'what is recorded between the two looks is none');
  });

  test('an attempt that the ledger keeps without its row is known to it', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = { ...(await claimFirst(db, made)), attemptId: randomUUID(), batch: 'gone' };
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: 'task_unmatched' }));
    await journal.close();
    assert.equal((await found(journalsOf(db, folder))).length, 2);
    assert.equal((await replayJournals(db, folder, 'this')).unmatched, 1);
    assert.deepEqual(await found(journalsOf(db, folder)), []);
    const told = (await found(inspectLedger(db, null))).filter(
      ({ invariant }) => invariant === 'orphan-adopted',
    );
    assert.ok(
      told.some(({ what }) =>
        what.startsWith('attempt 1 of gone k1, accepted as task task_unmatched, has no row'),
      ),
    );
    await db.query('delete from vidbatch.unmatched_attempt');
  });

  test('an answer that a living worker has not recorded yet is a note', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const claim = await claimFirst(db, made);
    const folder = await newFolder();
    const journal = await journalOf(folder, made);
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted'));
    assert.deepEqual(names(await found(journalsOf(db, folder))), ['note journal-answer']);
    await journal.close();
    assert.deepEqual(names(await found(journalsOf(db, folder))), ['risk journal-answer']);
  });

  test('a journal of another ledger is named; lines that cannot be read are, unless they are the last', async () => {
    const { db } = storage();
    const made = await makeBatch(db);
    const folder = await newFolder();
    const foreign = await journalOf(folder, made, 'another');
    await foreign.close();
    const torn = await journalOf(folder, made);
    await torn.close();
    // What a power failure leaves of a line: a half, zeros, and the next line behind them.
    const answer = { kind: 'answer', attempt: randomUUID(), outcome: outcomeOf('rejected') };
    await appendFile(join(folder, torn.name), `{"kind":"int\0\0\0${JSON.stringify(answer)}\n{"kind":`);
    await writeFile(
      join(folder, 'x.jsonl'),
      '{"kind":"intent","attempt":"d9fb1519-00f3-4947-81cd-b88d6065c3d4"}\n',
    );
    assert.deepEqual(
      (await found(journalsOf(db, folder))).map(({ severity, what }) => `${severity}: ${what}`),
      [
        `note: ${foreign.name} belongs to another ledger, another`,
        'risk: an answer is only in a journal: rejected',
        `broken: ${torn.name}: line 2 cannot be read`,
        'broken: x.jsonl does not say whose journal it is',
      ],
    );
  });
});
