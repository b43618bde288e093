import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Verdict } from '../../../src/results/audit/candidate.ts';
import { readEventLog } from '../../../src/ledger/read/rows.ts';
import { onEvery } from '../../contract/storages.ts';
import { distinct, openDoubtful, type Doubtful } from './doubt.ts';

const SAID = { who: 'ann@desk', reason: 'found in list.csv' };
const HOUR = 3600;

describe('uncertain rows, half of them accepted, beside the list of the provider', () => {
  onEvery(['postgres'], (storage) => {
    let account: Doubtful;

    before(async () => {
      account = await openDoubtful(storage().db, 60);
    });
    after(() => account.close());

    /** Keys that are settled, after a look that each of them is settled by its own task. */
    function settled(verdicts: ReadonlyMap<string, Verdict>): string[] {
      const found = [...verdicts].flatMap(([key, verdict]) => {
        if (verdict.kind !== 'settled') return [];
        assert.equal(verdict.task, account.truth.get(key), key);
        return [key];
      });
      assert.equal(verdicts.size, account.truth.size, 'every row has a verdict');
      return found.sort();
    }

    const accepted = (): string[] =>
      [...account.truth].flatMap(([key, task]) => (task === undefined ? [] : [key])).sort();
    const told = (): string[] => accepted().filter((key) => distinct(account.rows).has(key));
    const kindsOf = (verdicts: ReadonlyMap<string, Verdict>): string[] =>
      [...new Set([...verdicts.values()].map(({ kind }) => kind))].sort();

    test('are distinguished by the request, by the prompt, or else by model, length and time', async () => {
      assert.deepEqual(settled(await account.verdicts([])), accepted());
      assert.deepEqual(settled(await account.verdicts(['request_id'])), accepted());
      const bare = await account.verdicts(['request_id', 'prompt']);
      assert.deepEqual(settled(bare), told());
      assert.ok(told().length > 5 && told().length < accepted().length, String(told().length));
      // What shares model and length with another row stays open, though it may have a task.
      for (const [key, verdict] of bare) {
        if (!distinct(account.rows).has(key)) assert.notEqual(verdict.kind, 'settled', key);
      }
      assert.equal(settled(await account.verdicts(['request_id', 'prompt', 'model'])).length, 0);
    });

    test('are left alone where the clocks differ, unless the request is named', async () => {
      const late = (line: Record<string, string>): void => {
        line['created_at'] = String(Number(line['created_at']) + HOUR);
      };
      assert.deepEqual(settled(await account.verdicts(['request_id'], late)), []);
      assert.deepEqual(settled(await account.verdicts([], late)), accepted());
    });

    test('are left alone where another client is seen, unless prompt or request say whose a task is', async () => {
      // A task of the list is somebody else's: once like a row that has one already, once like no row at all.
      for (const [prompt, length] of [
        [undefined, undefined],
        ['A walrus.', '99'],
      ] as const) {
        const another = (line: Record<string, string>): void => {
          if (line['prompt'] !== `answered-${account.rows.length}.`) return;
          line['task_id'] = 'task_of_another_client';
          line['duration'] = length ?? line['duration'] ?? '';
          line['prompt'] = prompt ?? line['prompt'];
        };
        const bare = await account.verdicts(['request_id', 'prompt'], another);
        assert.deepEqual(settled(bare), []);
        assert.ok(kindsOf(bare).includes('unproven'));
        // Who sends the prompt of a row that has its task sends the same manifest.
        const byPrompt = prompt === undefined ? [] : accepted();
        assert.deepEqual(settled(await account.verdicts(['request_id'], another)), byPrompt);
        assert.deepEqual(settled(await account.verdicts([], another)), accepted());
      }
    });

    test('two of them with one model in one second are never settled by it', async () => {
      const same = (line: Record<string, string>): void => {
        line['model'] = 'viduq3p-720p';
        line['duration'] = '';
      };
      assert.deepEqual(settled(await account.verdicts(['request_id', 'prompt'], same)), []);
    });

    test('are settled when a person accepts, with a trail; and once', async () => {
      const { db } = storage();
      const list = await account.list(['request_id']);
      const first = await account.audit([list], { accept: SAID });
      assert.equal(first.doubts.settled, accepted().length);
      assert.equal(first.summary.count('candidate'), 0);
      assert.equal(first.summary.count('matched'), account.simulator.record.length);
      const { rows } = await db.query<{ id: number; row_key: string; state: string; task_id: string | null }>(
        'select id, row_key, state, task_id from vidbatch.submission where batch_id = $1',
        [account.batch.id],
      );
      for (const { row_key: key, state, task_id: task } of rows) {
        if (!account.truth.has(key)) continue;
        assert.deepEqual(
          [state, task ?? undefined],
          [account.truth.get(key) ? 'submitted' : 'uncertain', account.truth.get(key)],
        );
      }
      const one = rows.find(({ row_key: key }) => key === accepted()[0]);
      const [trail] = await readEventLog(db, one?.id ?? 0);
      assert.equal(trail?.who, 'ann@desk');
      assert.match(
        trail?.detail ?? '',
        /found in list\.csv: the only task with this prompt and model in the time of the attempt/,
      );

      const again = await account.audit([list], { accept: SAID });
      assert.deepEqual(
        [again.doubts.settled, again.doubts.without],
        [0, account.rows.length - accepted().length],
      );
    });
  });
});
