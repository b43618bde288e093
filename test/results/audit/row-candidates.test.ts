import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { VidbatchError } from '../../../src/core/errors.ts';
import { findCandidates, type Candidates } from '../../../src/results/audit/row-candidates.ts';
import { only } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { openAccount, type Account } from './account.ts';
import { fileText } from '../../../src/simulator/provider-files.ts';

const MODEL = 'viduq3p-720p';
const row = (id: string, prompt: string) => ({ id, prompt, model: MODEL, duration: 5 });

describe('the list that a person pastes for one row', () => {
  onEvery(SQL_LEDGERS, (storage) => {
    let account: Account;
    before(async () => {
      account = await openAccount(storage().db, [
        row('answered', 'a harbour'),
        row('lost', 'lost: a tea hill'),
        row('twin-1', 'lost: a night market'),
        row('twin-2', 'lost: a night market'),
        row('never', 'never: a walrus'),
      ]);
      account.simulator.faults.add({ match: { prompt: 'lost' }, fault: 'status-502:created' });
      account.simulator.faults.add({ match: { prompt: 'never' }, fault: 'status-502:not-created' });
      await account.send();
    });
    after(() => account.close());

    /** The list of the provider, changed on the way. */
    const list = (change: (text: string) => string = (text) => text): string =>
      change([...fileText(account.simulator.providerFiles(), 'list.csv')].join(''));
    const tasksOf = (prompt: string): string[] =>
      account.simulator.record.flatMap(({ body, taskId }) =>
        body.prompt === prompt && taskId !== null ? [taskId] : [],
      );

    async function candidatesOf(key: string, text: string, zone?: string): Promise<Candidates> {
      const { db } = storage();
      const { rows } = await db.query<{ id: number }>(
        'select id from vidbatch.submission where batch_id = $1 and row_key = $2',
        [account.batch.id, key],
      );
      return findCandidates(db, {
        list: text,
        zone,
        map: new Map(),
        row: { submissionId: only(rows).id, origin: account.origin },
        redact: (one) => one,
      });
    }
    /** Without request ids, as most lists are. */
    const withoutRequests = (text: string): string => text.replace('request_id', 'of_no_use');

    test('shows the task with the request id of the row first, as proof', async () => {
      const { verdict, tasks, listed, known } = await candidatesOf('lost', list());
      const [task] = tasksOf('lost: a tea hill');
      assert.deepEqual(verdict, { kind: 'settled', task, evidence: 'request' });
      assert.deepEqual([tasks[0]?.task, tasks[0]?.evidence], [task, 'request']);
      assert.deepEqual([listed, known], [4, 1]);
    });

    test('shows the task with the prompt of the row, and how many other rows fit it', async () => {
      const { verdict, tasks } = await candidatesOf('lost', list(withoutRequests));
      const [task] = tasksOf('lost: a tea hill');
      assert.deepEqual(verdict, { kind: 'settled', task, evidence: 'prompt' });
      const [first, ...more] = tasks;
      assert.deepEqual([first?.task, first?.evidence, first?.rivals, more.length], [task, 'prompt', 0, 0]);
      assert.equal(first?.prompt, 'lost: a tea hill');
      const twins = await candidatesOf('twin-1', list(withoutRequests));
      assert.equal(twins.verdict.kind, 'ambiguous');
      assert.deepEqual(
        twins.tasks.map((one) => one.task).toSorted(),
        tasksOf('lost: a night market').toSorted(),
      );
      assert.deepEqual(
        twins.tasks.map(({ evidence, rivals }) => [evidence, rivals]),
        [
          ['prompt', 1],
          ['prompt', 1],
        ],
      );
    });

    test('shows nothing for a row that was not accepted, and says what the list has', async () => {
      const { verdict, tasks, listed, known } = await candidatesOf('never', list(withoutRequests));
      assert.deepEqual([verdict, tasks, listed, known], [{ kind: 'none' }, [], 4, 1]);
    });

    test('may be CSV, JSON or JSON lines, with amounts that name no currency', async () => {
      const [task] = tasksOf('lost: a tea hill');
      const created = Math.floor(Date.now() / 1000);
      const entry = {
        task_id: task,
        model: MODEL,
        prompt: 'lost: a tea hill',
        created_at: created,
        cost: '-1.5',
      };
      const texts = [
        JSON.stringify({ total: 1, data: [entry] }, null, 2),
        JSON.stringify([entry]),
        `${JSON.stringify(entry)}\n${JSON.stringify({ ...entry, task_id: 'task_other', prompt: 'x' })}\n`,
        JSON.stringify(entry),
        `task_id\tmodel\tprompt\tcreated_at\n${task}\t${MODEL}\tlost: a tea hill\t${created}\n`,
      ];
      for (const text of texts) {
        const { tasks } = await candidatesOf('lost', text);
        assert.deepEqual(
          tasks.map((one) => one.task),
          [task],
          text,
        );
      }
    });

    test('is refused without a column of task ids, a zone of its times or any text, and no file is named', async () => {
      const refuses = async (text: string, code: string, zone?: string): Promise<void> => {
        await assert.rejects(candidatesOf('lost', text, zone), (error) => {
          assert.ok(error instanceof VidbatchError);
          assert.equal(error.code, code);
          assert.doesNotMatch(error.message, /\/|--provider-file/);
          return true;
        });
      };
      await refuses(' \n', 'NO_LIST');
      await refuses('colour,shape\nred,round\n', 'NO_TASK_IDS');
      const local = 'task_id,model,created_at\ntask_1,viduq3p-720p,2026-11-30 10:00\n';
      await refuses(local, 'NO_ZONE');
      assert.deepEqual((await candidatesOf('lost', local, 'Asia/Shanghai')).tasks, []);
    });

    test('leaves nothing in the ledger', async () => {
      await candidatesOf('lost', list());
      const { rows } = await storage().db.query<{ n: number }>(
        `select (select count(*) from vidbatch.listed)::int + (select count(*) from vidbatch.charge)::int
              + (select count(*) from vidbatch.import)::int as n`,
      );
      assert.equal(only(rows).n, 0);
    });
  });
});
