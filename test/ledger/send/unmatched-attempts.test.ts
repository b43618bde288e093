import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { after, beforeEach, describe, test } from 'node:test';
import { contentHash } from '../../../src/core/identity.ts';
import { findBatch } from '../../../src/ledger/batches.ts';
import type { Database, Queryable } from '../../../src/database/database.ts';
import { openJournal, type Journal } from '../../../src/worker/journal/journal.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import { record } from '../../../src/ledger/send/record.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import { replayJournals } from '../../../src/worker/journal/replay.ts';
import {
  bring,
  ManifestFile,
  ORIGIN,
  row,
  states,
  submissions,
  type Raw,
} from '../../contract/manifest-file.ts';
import { countSurplus, outcomeOf, tryAlone } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';

const CLAIM: Claim = {
  attemptId: '',
  submissionId: 0,
  batch: '',
  key: '',
  content: 'h',
  request: '{}',
  number: 1,
  epoch: 0,
  profileId: 1,
  spent: 0,
  throttleLevel: 0,
  refusals: 0,
};

/** An empty journal of a worker of that time, in a folder of its own. */
async function oldJournal(): Promise<{ folder: string; journal: Journal }> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-unmatched-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const journal = await openJournal(
    folder,
    { ledger: 'this', worker: `before-${randomUUID()}`, origin: ORIGIN },
    { reserve: 1024, flushAnswers: false },
  );
  return { folder, journal };
}

onEvery(SQL_LEDGERS, (storage) => {
  test('rows that were sent before this copy of the ledger was made come back as sent, not as pending', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write(
      ['paid', 'unanswered', 'refused', 'new'].map((id) => row(id)),
    );
    const { folder, journal } = await oldJournal();
    const claims = ['paid', 'unanswered', 'refused'].map((key, n): Claim => ({
      ...CLAIM,
      attemptId: randomUUID(),
      submissionId: 9_000_000 + n,
      batch: file.name,
      key,
    }));
    const [paid, , refused] = claims as [Claim, Claim, Claim];
    for (const claim of claims) await journal.intend(claim);
    // What Postgres cannot hold may stand in any answer.
    await journal.answer(paid, outcomeOf('accepted', { taskId: 'task_\u0000\ud800\\u0000paid' }));
    await journal.answer(refused, outcomeOf('throttled'));
    await journal.close();

    const told = await replayJournals(db, folder, 'this');
    assert.deepEqual([told.unmatched, told.restored, told.answers], [3, 0, 0]);
    assert.equal((await replayJournals(db, folder, 'this')).journals, 0, 'the ledger has them now');

    await bring(db, file);
    assert.deepEqual(await states(db, file), ['submitted', 'submitting', 'pending', 'pending']);
    await sweep(db);
    assert.deepEqual(await states(db, file), ['submitted', 'uncertain', 'pending', 'pending']);
    assert.match((await submissions(db, file))[0]?.taskId ?? '', /^task_.+paid$/);
    await bring(db, file);
    assert.deepEqual(await states(db, file), ['submitted', 'uncertain', 'pending', 'pending']);
  });

  test('an answer that is read while the import of its row finds the attempt is recorded', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row('adopted', { prompt: 'sent before the copy' })]);
    const { folder, journal } = await oldJournal();
    const claim = {
      ...CLAIM,
      attemptId: randomUUID(),
      submissionId: 9_100_000,
      batch: file.name,
      key: 'adopted',
    };
    await journal.intend(claim);
    await journal.answer(claim, outcomeOf('accepted', { taskId: `task of ${file.name}` }));
    await journal.close();

    const meanwhile: Database = {
      query: async (text, params) => {
        if (text.includes('update vidbatch.unmatched_attempt set outcome')) await bring(db, file);
        return db.query(text, params);
      },
      connect: () => db.connect(),
      end: () => db.end(),
    };
    const told: string[] = [];
    const replayed = await replayJournals(meanwhile, folder, 'this', ({ taskId }) => told.push(taskId));
    assert.equal(replayed.answers, 1);
    assert.deepEqual(told, [`task of ${file.name}`]);
    assert.deepEqual(await states(db, file), ['submitted']);
  });

  for (const earlier of [undefined, 'uncertain'] as const) {
    test(`a refusal of the second attempt sends no row again whose first attempt ${earlier === undefined ? 'has no answer' : 'may have been accepted'}`, async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(`twice, ${earlier}`)]);
      const { folder, journal } = await oldJournal();
      const [first, second] = [1, 2].map((number): Claim => ({
        ...CLAIM,
        attemptId: randomUUID(),
        submissionId: 9_300_000,
        batch: file.name,
        key: `twice, ${earlier}`,
        number,
      })) as [Claim, Claim];
      await journal.intend(first);
      if (earlier !== undefined) await journal.answer(first, outcomeOf(earlier));
      await journal.intend(second);
      await journal.answer(second, outcomeOf('throttled'));
      await journal.close();
      await replayJournals(db, folder, 'this');

      await bring(db, file);
      await sweep(db);
      assert.deepEqual(await states(db, file), ['uncertain']);
    });
  }

  test('a row that is imported and claimed while a replay keeps its attempt is not sent again when the claim is refused', async () => {
    const { db } = storage();
    const content = { prompt: 'sent before the copy, and claimed after it' };
    const file = await new ManifestFile().write([row('claimed meanwhile', content)]);
    const { folder, journal } = await oldJournal();
    await journal.intend({
      ...CLAIM,
      attemptId: randomUUID(),
      submissionId: 9_500_000,
      batch: file.name,
      key: 'claimed meanwhile',
      content: contentHash({ model: 'viduq3p-720p', ...content }),
    });
    await journal.close();

    const claims: Claim[] = [];
    const meanwhile: Database = {
      query: async (text, params) => {
        if (text.includes('insert into vidbatch.unmatched_attempt')) {
          await bring(db, file);
          const id = (await submissions(db, file))[0]?.id ?? 0;
          claims.push((await tryAlone(db, { origin: ORIGIN }, id)) as Claim);
        }
        return db.query(text, params);
      },
      connect: () => db.connect(),
      end: () => db.end(),
    };
    await replayJournals(meanwhile, folder, 'this');
    const results = claims.map(({ attemptId }) => ({
      attemptId,
      outcome: outcomeOf('throttled'),
      waitMs: 0,
      maxAttempts: 9,
    }));
    await record(db, results);
    assert.deepEqual(await states(db, file), ['uncertain']);
  });

  test('a cancelled row that takes the id of an attempt without an answer is uncertain, so that no retry sends it again', async () => {
    const { db } = storage();
    const content = { prompt: 'cancelled before the copy' };
    const file = await new ManifestFile().write([row('id of now', content)]);
    await bring(db, file);
    await db.query(`update vidbatch.row_state set previous = state, state = 'cancelled' where id = $1`, [
      (await submissions(db, file))[0]?.id,
    ]);
    const { folder, journal } = await oldJournal();
    await journal.intend({
      ...CLAIM,
      attemptId: randomUUID(),
      submissionId: 9_400_000,
      batch: file.name,
      key: 'id of then',
      content: contentHash({ model: 'viduq3p-720p', ...content }),
    });
    await journal.close();
    assert.equal((await replayJournals(db, folder, 'this')).unmatched, 1);

    await file.write([row('id of then', content)]);
    await bring(db, file, { rename: true });
    await sweep(db);
    assert.deepEqual(await states(db, file), ['uncertain']);
  });

  for (const [key, now] of [
    ['refused', 'with the id of then'],
    ['id of then', 'with another id'],
  ] as const) {
    test(`an import adopts an attempt while a replay keeps it once more: its row, ${now}, and the next one stay pending`, async () => {
      const { db } = storage();
      const content = { prompt: 'refused before the copy' };
      const file = await new ManifestFile().write([row('refused', content), row('new', content)]);
      const { folder, journal } = await oldJournal();
      const claim = {
        ...CLAIM,
        attemptId: randomUUID(),
        submissionId: 9_200_000,
        batch: file.name,
        key,
        content: contentHash({ model: 'viduq3p-720p', ...content }),
      };
      await journal.intend(claim);
      await journal.answer(claim, outcomeOf('throttled'));
      await journal.close();
      await replayJournals(db, folder, 'this');
      // A replay that dies before its end leaves the same: its journal is read again.
      await db.query('delete from vidbatch.journal where name = $1', [journal.name]);

      let isLookedUp = false;
      const meanwhile: Database = {
        query: async (text, params) => {
          // Between the lookup of the attempt and what is done about it.
          if (isLookedUp && text.includes('insert into vidbatch.attempt')) await bring(db, file);
          isLookedUp = text.includes('left join vidbatch.attempt a on a.id = w.id');
          return db.query(text, params);
        },
        connect: () => db.connect(),
        end: () => db.end(),
      };
      await replayJournals(meanwhile, folder, 'this');
      await bring(db, file);
      await replayJournals(db, folder, 'this');
      assert.deepEqual(await states(db, file), ['pending', 'pending']);
      const { rows } = await db.query('select from vidbatch.unmatched_attempt where batch = $1', [file.name]);
      assert.equal(rows.length, 0);
    });
  }

  describe('rows whose ids or contents were changed after this copy of the ledger was made', () => {
    beforeEach(() =>
      storage().db.query('truncate vidbatch.batch, vidbatch.import, vidbatch.unmatched_attempt cascade'),
    );

    /** Claims of a worker of that time, each accepted: the number of its row, its id and the prompt that it sent. */
    async function sentThen(
      db: Database,
      file: ManifestFile,
      sent: readonly (readonly [number: number, id: string, prompt: string])[],
      edit: (journal: string) => string = (text) => text,
    ): Promise<string> {
      const { folder, journal } = await oldJournal();
      for (const [submissionId, key, prompt] of sent) {
        const one = {
          ...CLAIM,
          attemptId: randomUUID(),
          submissionId,
          batch: file.name,
          key,
          content: hashOf(prompt),
        };
        await journal.intend(one);
        await journal.answer(one, outcomeOf('accepted', { taskId: `${file.name} ${prompt}` }));
      }
      await journal.close();
      const path = join(folder, journal.name);
      await writeFile(path, edit(await readFile(path, 'utf8')));
      await replayJournals(db, folder, 'this');
      return folder;
    }

    const hashOf = (prompt: string): string => contentHash({ model: 'viduq3p-720p', prompt });
    const shots = (...rows: [id: string, prompt: string][]): Raw[] =>
      rows.map(([id, prompt]) => row(id, { prompt }));

    /** Of each row: its id, what it says, and the task that it has; undefined: it can be sent. */
    async function told(db: Database, file: ManifestFile): Promise<(string | undefined)[][]> {
      return (await submissions(db, file)).map(({ key, request, state, taskId }) => [
        key,
        (JSON.parse(request ?? '{}') as { prompt: string }).prompt,
        state === 'pending' ? undefined : (taskId ?? state).replace(`${file.name} `, ''),
      ]);
    }

    async function made(
      db: Database,
      ...rows: [id: string, prompt: string][]
    ): Promise<[ManifestFile, number[]]> {
      const file = await new ManifestFile().write(shots(...rows));
      await bring(db, file);
      return [file, (await submissions(db, file)).map(({ id }) => id)];
    }

    async function surplusOf(db: Queryable, file: ManifestFile): Promise<number> {
      return countSurplus(db, (await findBatch(db, file.name))?.id ?? 0);
    }

    test('a row that had changed its id with another one is the one that is not sent again', async () => {
      const { db } = storage();
      const [file, [dawn = 0]] = await made(db, ['a', 'dawn'], ['b', 'noon']);
      await sentThen(db, file, [[dawn, 'b', 'dawn']]);
      assert.deepEqual(await told(db, file), [
        ['a', 'dawn', 'dawn'],
        ['b', 'noon', undefined],
      ]);
    });

    test('ids that had moved on by one line: each content keeps its task, and the new row comes back as sent', async () => {
      const { db } = storage();
      const [file, [one = 0, two = 0, three = 0]] = await made(
        db,
        ['1', 'dawn'],
        ['2', 'noon'],
        ['3', 'dusk'],
      );
      const moved: [string, string][] = [
        ['1', 'new'],
        ['2', 'dawn'],
        ['3', 'noon'],
        ['4', 'dusk'],
      ];
      const numbers = [one, two, three, three + 9000];
      await sentThen(
        db,
        file,
        moved.map(([id, prompt], n) => [numbers[n] ?? 0, id, prompt] as const),
      );
      assert.deepEqual(await told(db, file), [
        ['1', 'dawn', 'dawn'],
        ['2', 'noon', 'noon'],
        ['3', 'dusk', 'dusk'],
      ]);
      await file.write(shots(...moved));
      await bring(db, file, { rename: true });
      assert.deepEqual(
        await told(db, file),
        moved.map(([id, prompt]) => [id, prompt, prompt]),
      );
      assert.equal(await surplusOf(db, file), 0);
    });

    test('a row that had got another content is not sent with its old one', async () => {
      const { db } = storage();
      const [file, [dawn = 0]] = await made(db, ['a', 'dawn'], ['b', 'noon']);
      await sentThen(db, file, [[dawn, 'a', 'dawn, corrected']]);
      assert.deepEqual(await told(db, file), [
        ['a', 'dawn', 'dawn, corrected'],
        ['b', 'noon', undefined],
      ]);
    });

    test('nor is one whose attempt before was refused, and a budget counts what it cost', async () => {
      const { db } = storage();
      const [file, [dawn = 0]] = await made(db, ['a', 'dawn'], ['b', 'noon']);
      await db.query(
        `update vidbatch.batch set budget = 10, budget_currency = 'CNY', held = 0 where name = $1`,
        [file.name],
      );
      await db.query(
        `update vidbatch.row_state set price = 2, currency = 'CNY', attempts = case when id = $1 then 1 else attempts end`,
        [dawn],
      );
      await sentThen(db, file, [[dawn, 'a', 'dawn, corrected']]);
      assert.deepEqual(await told(db, file), [
        ['a', 'dawn', 'dawn, corrected'],
        ['b', 'noon', undefined],
      ]);
      const { rows } = await db.query<{ held: string }>(
        'select held::text as held from vidbatch.batch where name = $1',
        [file.name],
      );
      assert.equal(Number(rows[0]?.held), 2);
    });

    test('an id that a new row had taken marks nothing; the new row comes back as sent', async () => {
      const { db } = storage();
      const [file, [dawn = 0]] = await made(db, ['a', 'dawn']);
      await sentThen(db, file, [[dawn + 9000, 'a', 'new']]);
      assert.deepEqual(await told(db, file), [['a', 'dawn', undefined]]);
      await file.write(shots(['b', 'dawn'], ['a', 'new']));
      await bring(db, file, { rename: true });
      assert.deepEqual(await told(db, file), [
        ['b', 'dawn', undefined],
        ['a', 'new', 'new'],
      ]);
    });

    test('a manifest with the ids of before brings rows back as sent by what they say', async () => {
      const { db } = storage();
      const file = new ManifestFile();
      await sentThen(db, file, [[9_000_000, 'b', 'dawn']]);
      await file.write(shots(['a', 'dawn'], ['b', 'noon']));
      await bring(db, file);
      assert.deepEqual(await told(db, file), [
        ['a', 'dawn', 'dawn'],
        ['b', 'noon', undefined],
      ]);
    });

    test('a journal of an older version knows ids alone, and is read as before', async () => {
      const { db } = storage();
      const [file, [dawn = 0]] = await made(db, ['a', 'dawn'], ['b', 'noon']);
      const older = (text: string): string => text.replaceAll(/"row":\d+,"content":"\w+",/g, '');
      await sentThen(db, file, [[dawn, 'b', 'noon']], older);
      assert.deepEqual(await told(db, file), [
        ['a', 'dawn', undefined],
        ['b', 'noon', 'noon'],
      ]);
    });
  });
});
