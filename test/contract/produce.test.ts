import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, test } from 'node:test';
import { findBatch } from '../../src/ledger/batches.ts';
import { openCandidate } from '../../src/batch/candidate.ts';
import { openManifest } from '../../src/manifest/manifest.ts';
import { cancel } from '../../src/ledger/operator/pause.ts';
import type { Database } from '../../src/database/database.ts';
import { claim } from '../../src/ledger/send/claim.ts';
import { claimAll, recordOne, scopeOf, wishFor } from './rows.ts';
import { LEDGERS, onEvery } from './storages.ts';
import {
  bring,
  ManifestFile,
  ORIGIN,
  refused,
  row,
  send,
  states,
  submissions,
  told,
  type Raw,
} from './manifest-file.ts';

onEvery(LEDGERS, (storage) => {
  // What another batch has sent is asked about: no test must see the rows of another one.
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  describe('a manifest with ids', () => {
    test('is brought in whole, in its order, and nothing is sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('b', { note: 'kept' }), row('a', { duration: 5 })]);
      const produced = await bring(db, file);
      assert.deepEqual(told(produced), { rows: 2, added: 2 });
      assert.deepEqual([produced.batch.name, produced.batch.keyScheme], [file.name, 'id']);
      const rows = await submissions(db, file);
      assert.deepEqual(
        rows.map(({ key, line, state, attempts }) => [key, line, state, attempts]),
        [
          ['b', 1, 'pending', 0],
          ['a', 2, 'pending', 0],
        ],
      );
      assert.deepEqual(JSON.parse(rows[0]?.input ?? ''), row('b', { note: 'kept' }));
      assert.deepEqual(JSON.parse(rows[1]?.request ?? ''), {
        model: 'viduq3p-720p',
        prompt: 'prompt a',
        duration: 5,
      });
    });

    test('again adds nothing; one row more adds one', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2)]);
      await bring(db, file);
      const before = await submissions(db, file);
      assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 2 });
      assert.deepEqual(await submissions(db, file), before);
      await send(db, file, 'prompt 1', 'prompt 2');
      await file.write([row(0), row(1), row(2)]);
      assert.deepEqual(told(await bring(db, file)), { rows: 3, added: 1, known: 2 });
      assert.deepEqual(
        (await submissions(db, file)).map(({ key, line, state }) => [key, line, state]),
        [
          ['0', 1, 'pending'],
          ['1', 2, 'submitted'],
          ['2', 3, 'submitted'],
        ],
        'known rows follow the lines of the file',
      );
    });

    test('an edit before it was sent takes effect', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2)]);
      await bring(db, file);
      await file.write([row(1, { prompt: 'better' }), row(2)]);
      assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 1, updated: 1 });
      const [first] = await submissions(db, file);
      assert.equal((JSON.parse(first?.request ?? '') as Raw)['prompt'], 'better');
    });

    test('an edit after it was sent is refused, with both versions', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2), row(3)]);
      await bring(db, file);
      await send(db, file, 'prompt 1');
      await file.write([row(1, { prompt: 'too late' }), row(2, { prompt: 'in time' }), row(3), row(4)]);
      const parts = ['1 row', 'line 1', 'prompt 1', 'too late', 'submitted'];
      await refused(
        db,
        file,
        { add: true, again: true, vanished: 'prune' },
        'CHANGED_AFTER_SENT',
        3,
        ...parts,
      );
    });

    test('an edit of a row that was refused by the provider brings it back', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1)]);
      const { batch } = await bring(db, file);
      await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
      const [first] = await submissions(db, file);
      const [claimed] = await claimAll(db, { origin: ORIGIN }, [first?.id ?? 0]);
      assert.ok(claimed);
      await recordOne(db, claimed, 'rejected');
      assert.deepEqual(told(await bring(db, file)), { rows: 1, known: 1 });
      assert.deepEqual(await states(db, file), ['rejected'], 'unchanged, it stays');
      await file.write([row(1, { prompt: 'politer' })]);
      assert.deepEqual(told(await bring(db, file)), { rows: 1, updated: 1 });
      const [again] = await submissions(db, file);
      assert.deepEqual([again?.state, again?.error, again?.spent], ['pending', null, 0]);
    });

    test('rows that wait and are gone from the file are asked about', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2), row(3)]);
      await bring(db, file);
      await send(db, file, 'prompt 2');
      await file.write([row(1)]);
      await refused(db, file, {}, 'ROWS_VANISHED', 3, '1 row', 'line 3', 'prompt 3');
      assert.deepEqual(told(await bring(db, file, { vanished: 'keep' })), { rows: 1, known: 1 });
      assert.deepEqual(await states(db, file), ['pending', 'submitted', 'pending']);
      assert.deepEqual(told(await bring(db, file, { vanished: 'prune' })), { rows: 1, known: 1, pruned: 1 });
      assert.deepEqual(await states(db, file), ['pending', 'submitted', 'cancelled']);
      assert.deepEqual(told(await bring(db, file)), { rows: 1, known: 1 }, 'and asked about once');
    });

    test('a duplicate id is an error of its second row', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(1, { prompt: 'other' }), row(2)]);
      await refused(db, file, {}, 'INVALID_ROWS', 3, '1 of 3');
      assert.equal(await findBatch(db, file.name), undefined, 'not even a batch is made');
      assert.deepEqual(told(await bring(db, file, { keepGoing: true })), { rows: 3, added: 3, invalid: 1 });
      assert.deepEqual(
        (await submissions(db, file)).map(({ state, errorCode }) => [state, errorCode]),
        [
          ['pending', null],
          ['invalid', 'id-duplicate'],
          ['pending', null],
        ],
      );
    });

    test('an invalid row is recorded when asked for, and its correction is sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2, { duration: 99 })]);
      await refused(db, file, {}, 'INVALID_ROWS', 3, '1 of 2');
      await bring(db, file, { keepGoing: true });
      const [, second] = await submissions(db, file);
      assert.deepEqual([second?.state, second?.request], ['invalid', null]);
      assert.match(second?.error ?? '', /^duration: 99/);
      assert.deepEqual(told(await bring(db, file, { keepGoing: true })), { rows: 2, known: 2, invalid: 1 });
      await file.write([row(1), row(2, { duration: 9 })]);
      assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 1, updated: 1 });
      const [, fixed] = await submissions(db, file);
      assert.deepEqual([fixed?.state, fixed?.error, fixed?.errorCode], ['pending', null, null]);
    });

    test('a row that becomes invalid before it was sent is not sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1), row(2)]);
      await bring(db, file);
      await file.write([row(1, { duration: 99 }), row(2)]);
      await bring(db, file, { keepGoing: true });
      assert.deepEqual(await states(db, file), ['invalid', 'pending']);
    });

    describe('a row that a worker found invalid', () => {
      async function found(db: Database, file: ManifestFile): Promise<void> {
        await db.query(
          `update vidbatch.row_state s
              set previous = 'pending', state = 'invalid', error_code = 'model-unknown', price = 2, currency = 'CNY'
             from vidbatch.row r where r.id = s.id and r.row_key = $1`,
          [(await submissions(db, file))[1]?.key],
        );
      }

      test('waits again, at its price, once its manifest is valid again', async () => {
        const { db } = storage();
        const file = await new ManifestFile().write([row(1), row(2)]);
        await bring(db, file);
        await found(db, file);
        assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 1, updated: 1 });
        assert.deepEqual(await states(db, file), ['pending', 'pending']);
        assert.equal((await submissions(db, file))[1]?.price?.currency, 'CNY');
        assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 2 });
        await found(db, file);
        assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 1, updated: 1 }, 'and once more');
      });

      test('is asked about when another batch has sent its content since', async () => {
        const { db } = storage();
        const file = await new ManifestFile().write([row(1), row(2)]);
        await bring(db, file);
        await found(db, file);
        const other = await new ManifestFile().write([row(2)]);
        await bring(db, other);
        await send(db, other, 'prompt 2');
        await refused(db, file, {}, 'SENT_ELSEWHERE', 3, '1 row');
        assert.deepEqual(told(await bring(db, file, { again: true })), { rows: 2, known: 1, updated: 1 });
      });
    });

    test('that is taken away while it is read is refused as changed', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row(1)]);
      const opened = await openManifest(file.path, {});
      await rm(file.path);
      await assert.rejects(openCandidate(db, file.path, {}, opened), {
        code: 'manifest-changed',
        exitCode: 3,
      });
    });

    test('without any row is refused', async () => {
      const { db } = storage();
      await refused(db, await new ManifestFile().write([]), {}, 'manifest-empty', 3);
      const header = new ManifestFile();
      await writeFile(header.path, 'model,prompt\n');
      await refused(db, header, { format: 'csv' }, 'EMPTY_MANIFEST', 3);
    });
  });

  describe('a time of its own', () => {
    const soon = '2100-01-01T00:00:00Z';

    test('is respected', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('t1', { not_before: soon }), row('t2')]);
      const { batch } = await bring(db, file);
      await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
      const claims = await claim(db, scopeOf({ origin: ORIGIN }), wishFor(batch.id, 10));
      assert.deepEqual(
        claims.map(({ key }) => key),
        ['t2'],
      );
      assert.deepEqual((await submissions(db, file))[0]?.notBefore, new Date(soon));
    });

    test('can be changed, and taken away, until the row was sent', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('u1', { not_before: soon })]);
      await bring(db, file);
      await file.write([row('u1', { not_before: '2101-01-01T08:00:00+08:00' })]);
      assert.deepEqual(told(await bring(db, file)), { rows: 1, known: 1 });
      assert.deepEqual((await submissions(db, file))[0]?.notBefore, new Date('2101-01-01T00:00:00Z'));
      await file.write([row('u1')]);
      await bring(db, file);
      assert.equal((await submissions(db, file))[0]?.notBefore, null);
    });

    test('the same manifest again does not shorten the wait of a row that was throttled', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('v1')]);
      const { batch } = await bring(db, file);
      await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
      const [first] = await submissions(db, file);
      const [claimed] = await claimAll(db, { origin: ORIGIN }, [first?.id ?? 0]);
      assert.ok(claimed);
      await recordOne(db, claimed, 'not-sent', { waitMs: 50_000 });
      const { notBefore } = (await submissions(db, file))[0] ?? {};
      await bring(db, file);
      assert.deepEqual((await submissions(db, file))[0]?.notBefore, notBefore);
    });
  });

  test('text of every kind comes back as it was', async () => {
    const { db } = storage();
    const notes = ['nul \0', 'lone \uD800', '😀 提示', 'tab\t"quote" \\', '\u2028', ''];
    const file = await new ManifestFile().write(notes.map((note, n) => row(`w${n}`, { note })));
    await bring(db, file);
    const inputs = (await submissions(db, file)).map(({ input }) => (JSON.parse(input) as Raw)['note']);
    assert.deepEqual(inputs, notes);
  });

  test('a merge that breaks at its last statement changes nothing', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row(1), row(2)]);
    await bring(db, file);
    await file.write([row(1, { prompt: 'new' }), row(3)]);
    const breaking: Database = {
      query: (text, params) => db.query(text, params),
      end: () => db.end(),
      connect: async () => {
        const session = await db.connect();
        return {
          query: (text, params) =>
            text.startsWith('update vidbatch.batch set priority')
              ? Promise.reject(new Error('cut off'))
              : session.query(text, params),
          release: (destroy) => session.release(destroy),
        };
      },
    };
    const before = await submissions(db, file);
    await assert.rejects(bring(breaking, file, { vanished: 'prune', priority: 1 }), /cut off/);
    assert.deepEqual(await submissions(db, file), before);
  });

  test('two producers of the same manifest at once give each row once', async () => {
    const { db, another } = storage();
    const other = await another();
    const rows = Array.from({ length: 700 }, (_, n) => row(`two-${n}`));
    const file = await new ManifestFile().write(rows);
    const produced = await Promise.all([bring(db, file), bring(other.db, file), bring(db, file)]);
    assert.deepEqual(
      produced.map(({ added }) => added).toSorted((a, b) => a - b),
      [0, 0, 700],
    );
    assert.deepEqual(
      (await submissions(db, file)).map(({ key }) => key),
      rows.map(({ id }) => id),
    );
    await other.close();
  });

  test('rows of a cancelled batch stay cancelled when its manifest comes again', async () => {
    const { db } = storage();
    const file = await new ManifestFile().write([row('c1'), row('c2')]);
    const { batch } = await bring(db, file);
    await cancel(db, batch.id);
    assert.deepEqual(told(await bring(db, file)), { rows: 2, known: 2 });
    assert.deepEqual(await states(db, file), ['cancelled', 'cancelled']);
  });

  test('a cancelled batch takes no new rows: it says how it is taken up again', async () => {
    const { db } = storage();
    const manifest = new ManifestFile();
    const file = await manifest.write([row('x1')]);
    const { batch } = await bring(db, file);
    await cancel(db, batch.id);
    await manifest.write([row('x1'), row('x2')]);
    await assert.rejects(bring(db, file), { code: 'BATCH_CANCELLED', exitCode: 3 });
    assert.deepEqual(await states(db, file), ['cancelled']);
  });

  test('an invalid row without an id that was corrected is cancelled, and its correction waits', async () => {
    const { db } = storage();
    const manifest = new ManifestFile();
    const { id: _one, ...one } = row('y1');
    const { id: _two, ...two } = row('y2');
    const file = await manifest.write([one, { ...two, duration: 99 }]);
    await bring(db, file, { keepGoing: true });
    assert.deepEqual(await states(db, file), ['pending', 'invalid']);
    await manifest.write([one, two]);
    await bring(db, file);
    assert.deepEqual((await states(db, file)).toSorted(), ['cancelled', 'pending', 'pending']);
  });
});
