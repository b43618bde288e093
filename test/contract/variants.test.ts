import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { VidbatchError } from '../../src/core/errors.ts';
import type { Database } from '../../src/database/database.ts';
import { findBatch } from '../../src/ledger/batches.ts';
import { exportOf, submitExport } from './round-trip.ts';
import { claimAll, recordOne } from './rows.ts';
import { SQL_LEDGERS, onEvery } from './storages.ts';
import {
  bring,
  ManifestFile,
  ORIGIN,
  plain,
  refused,
  row,
  submissions,
  told,
  type Raw,
} from './manifest-file.ts';

const RUNS = { embedded: 5, postgres: 25 };

async function sendAll(db: Database, file: ManifestFile): Promise<void> {
  const batch = await findBatch(db, file.name);
  await db.query('update vidbatch.batch set proven = true where id = $1', [batch?.id]);
  const pending = (await submissions(db, file)).filter(({ state }) => state === 'pending');
  if (pending.length === 0) return;
  const ids = pending.map(({ id }) => id);
  for (const claimed of await claimAll(db, { origin: ORIGIN }, ids)) await recordOne(db, claimed, 'accepted');
}

async function keys(db: Database, file: ManifestFile): Promise<string[]> {
  return (await submissions(db, file)).map(({ key }) => key);
}

const promptOf = ({ request }: { request: string | null }): unknown =>
  (JSON.parse(request ?? '{}') as Raw)['prompt'];

onEvery(SQL_LEDGERS, (storage, kind) => {
  beforeEach(() => storage().db.query('truncate vidbatch.batch, vidbatch.import cascade'));

  describe('variants of rows with ids', () => {
    test('are new beside what was sent without them, and more of them are only the new ones', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), row('b')]);
      await bring(db, file);
      await sendAll(db, file);
      assert.deepEqual(told(await bring(db, file, { variants: 4 })), { rows: 8, known: 2, added: 6 });
      assert.deepEqual(await keys(db, file), ['a', 'a#2', 'a#3', 'a#4', 'b', 'b#2', 'b#3', 'b#4']);
      await sendAll(db, file);
      assert.deepEqual(told(await bring(db, file, { variants: 4 })), { rows: 8, known: 8 });
      assert.deepEqual(told(await bring(db, file, { variants: 6 })), { rows: 12, known: 8, added: 4 });
      await refused(db, file, { variants: 2 }, 'ROWS_VANISHED', 3, 'a#5', '4 rows');
      assert.deepEqual(told(await bring(db, file, { variants: 2, vanished: 'prune' })), {
        rows: 4,
        known: 4,
        pruned: 4,
      });
      assert.deepEqual(
        told(await bring(db, file)),
        { rows: 2, known: 2 },
        'sent variants stay in the ledger',
      );
      assert.deepEqual(
        (await keys(db, file)).slice(0, 7),
        ['a', 'a#2', 'a#3', 'a#4', 'a#5', 'a#6', 'b'],
        'in input order',
      );
    });

    test('are refused beside an id that ends like theirs, also with keepGoing', async () => {
      const { db } = storage();
      for (const rows of [[row('a'), row('a#2')], [row('a#2'), row('a')], [row('x#10')]]) {
        const file = await new ManifestFile().write(rows);
        await bring(db, file);
        for (const keepGoing of [false, true])
          await refused(db, file, { variants: 2, keepGoing }, 'BROKEN_MANIFEST', 3);
      }
    });

    test('never take the place of a sent row whose id was like theirs', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), row('a#2', { prompt: 'another' })]);
      await bring(db, file);
      await sendAll(db, file);
      await file.write([row('a')]);
      await refused(db, file, { variants: 2 }, 'CHANGED_AFTER_SENT', 3, 'a#2');
    });

    test('are renamed with their row, and no new id pays again', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a')]);
      await bring(db, file, { variants: 3 });
      await sendAll(db, file);
      await file.write([row('z', { prompt: 'prompt a' })]);
      await refused(db, file, { variants: 3 }, 'RENAMED_IDS', 3, 'a → z', 'a#3 → z#3');
      assert.deepEqual(told(await bring(db, file, { variants: 3, rename: true })), { rows: 3, known: 3 });
      assert.deepEqual(await keys(db, file), ['z', 'z#2', 'z#3']);
      // Without --variants, ids of the same content that a person adds by hand look like the variants.
      await file.write(['z', 'z2', 'z3'].map((id) => row(id, { prompt: 'prompt a' })));
      await refused(db, file, {}, 'RENAMED_IDS', 3, 'z#2 → z2');
    });

    test('come back as the same rows from an export, with and without the flag', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a', { note: 'x' }), row('b')]);
      await bring(db, file, { variants: 3 });
      await sendAll(db, file);
      for (const format of ['csv', 'jsonl'] as const)
        for (const variants of [1, 3, 5]) {
          const text = await exportOf(db, file.name, format);
          const again = await submitExport(db, file.name, format, text, { origin: ORIGIN, variants });
          assert.deepEqual(told(again), { rows: 6, known: 6 }, `${format}, ${variants} variants`);
        }
    });

    test('have one fault for a row that cannot be sent, at its own line and number', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([row('a'), row('b', { duration: 99 }), row('c')]);
      const faults: unknown[] = [];
      const onFault = ({ rule, line, row: number }: { rule: string; line: number; row?: number }): void =>
        void faults.push([rule, line, number]);
      const made = await bring(db, file, { variants: 3, keepGoing: true, onFault });
      assert.deepEqual(told(made), { rows: 7, added: 7, invalid: 1 });
      assert.deepEqual(faults, [['duration-range', 2, 2]]);
    });

    test('pay for nothing twice, however their number and the rows change', async () => {
      const { db } = storage();
      const ids = ['a', 'b', 'c'];
      const step = fc.record({
        rows: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 3 }),
        variants: fc.integer({ min: 1, max: 4 }),
        vanished: fc.constantFrom(undefined, 'keep' as const, 'prune' as const),
        send: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 2, maxLength: 5 }),
          fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 3, maxLength: 3 }),
          async (steps, contents) => {
            await db.query('truncate vidbatch.batch, vidbatch.import cascade');
            const file = new ManifestFile();
            const most = new Map<string, number>();
            const contentOf = (id: string): string => contents[ids.indexOf(id)] ?? '';
            for (const { rows, variants, vanished, send } of steps) {
              await file.write(rows.map((id) => row(id, { prompt: contentOf(id) })));
              const options = { variants, ...(vanished === undefined ? {} : { vanished }) };
              const made = await bring(db, file, options).catch((error: unknown) => {
                if (error instanceof VidbatchError && error.exitCode === 3) return undefined;
                throw error;
              });
              if (made !== undefined)
                for (const id of rows) most.set(id, Math.max(variants, most.get(id) ?? 0));
              if (send) await sendAll(db, file);
              const all = await submissions(db, file);
              const of = Map.groupBy(all, ({ key }) => key.replace(/#\d+$/, ''));
              assert.deepEqual([...of.keys()].toSorted(), [...most.keys()].toSorted());
              for (const [id, its] of of) {
                const wanted = Array.from({ length: most.get(id) ?? 0 }, (_, n) =>
                  n === 0 ? id : `${id}#${n + 1}`,
                );
                assert.deepEqual(its.map(({ key }) => key).toSorted(), wanted.toSorted());
                for (const one of its) assert.equal(promptOf(one), contentOf(id));
              }
              assert.ok(all.every(({ attempts }) => attempts <= 1));
            }
          },
        ),
        { numRuns: RUNS[kind === 'embedded' ? 'embedded' : 'postgres'] },
      );
    });
  });

  describe('variants of rows without ids', () => {
    test('are more of the same row: only what is missing is added', async () => {
      const { db } = storage();
      const file = await new ManifestFile().write([plain('x'), plain('x'), plain('y')]);
      await bring(db, file);
      await sendAll(db, file);
      assert.deepEqual(told(await bring(db, file, { variants: 2 })), { rows: 6, known: 3, added: 3 });
      await sendAll(db, file);
      assert.deepEqual(told(await bring(db, file)), { rows: 3, known: 3 });
      await file.write([plain('x'), plain('y'), plain('new')]);
      await refused(db, file, {}, 'LOOKS_LIKE_EDITS', 3);
    });

    test('pay for nothing twice, however their number changes', async () => {
      const { db } = storage();
      const step = fc.record({
        rows: fc.array(fc.constantFrom('x', 'y'), { minLength: 1, maxLength: 3 }),
        variants: fc.integer({ min: 1, max: 4 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 5 }), async (steps) => {
          await db.query('truncate vidbatch.batch, vidbatch.import cascade');
          const file = new ManifestFile();
          const most = new Map<unknown, number>();
          for (const { rows, variants } of steps) {
            await file.write(rows.map((prompt) => plain(prompt)));
            const made = await bring(db, file, { variants, vanished: 'keep' }).catch((error: unknown) => {
              if (error instanceof VidbatchError && error.exitCode === 3) return undefined;
              throw error;
            });
            for (const prompt of made === undefined ? [] : rows) {
              const wanted = rows.filter((one) => one === prompt).length * variants;
              most.set(prompt, Math.max(wanted, most.get(prompt) ?? 0));
            }
            await sendAll(db, file);
            const counts = Map.groupBy(await submissions(db, file), promptOf);
            assert.deepEqual(new Map([...counts].map(([prompt, its]) => [prompt, its.length])), most);
          }
        }),
        { numRuns: RUNS[kind === 'embedded' ? 'embedded' : 'postgres'] },
      );
    });
  });
});
