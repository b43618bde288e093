/**
 * Each built-in profile against the simulator that speaks its provider's format: a batch with a refusal, a throttle, a lost
 * answer and a failed task, from the manifest to the videos. The simulator's own record is the judge.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { builtInNames } from '../../src/provider/profile/built-in.ts';
import { DEFAULT_PROFILE } from '../../src/provider/profile/load.ts';
import { fileText } from '../../src/simulator/provider-files.ts';
import { startSimulator } from '../../src/simulator/server.ts';
import { Video } from '../../src/simulator/video.ts';
import { countsOf, exits, json, jsonLines, openCli } from '../cli.ts';
import { createLedgerDatabase, servers } from '../servers.ts';
import { startSimulatorProcess } from './simulator.ts';
import { SPOKEN } from '../provider/profile/spoken.ts';

const PROMPTS = ['first', 'second', 'refused', 'throttled', 'failing', 'lost'];

interface Exported {
  row_key: string;
  state: string;
  task_id: string | null;
  provider_status: string | null;
}

const shared = await servers();

for (const name of builtInNames().filter((one) => one !== DEFAULT_PROFILE)) {
  const { model, fields, cost } = SPOKEN[name] ?? assert.fail(`${name} has no rows here`);

  describe(name, async () => {
    const simulator = await startSimulator({ profile: name, task: { queuedMs: 0, runningMs: 0 } });
    const database = await createLedgerDatabase(shared);
    const cli = await openCli({
      DATABASE_URL: database.url,
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: 'sk-e2e',
      VIDBATCH_PROFILE: name,
    });
    after(async () => {
      await cli.close();
      await simulator.close();
      await database.drop();
    });
    simulator.faults.add({ match: { prompt: 'refused' }, fault: 'invalid-request' });
    simulator.faults.add({ match: { prompt: 'throttled', times: 1 }, fault: 'throttle-seconds' });
    simulator.faults.add({ match: { prompt: 'lost' }, fault: 'truncated-json:created' });
    simulator.faults.add({ match: { prompt: 'failing' }, task: { ends: 'failed' } });

    const rows = async (): Promise<Map<string, Exported>> => {
      const { stdout } = exits(await cli.run(['export', 'rows', '--format', 'jsonl']), 0);
      return new Map(jsonLines<Exported>(stdout).map((row) => [row.row_key, row]));
    };
    const accepted = (prompt: string): string[] =>
      simulator.record.filter(({ body }) => body.prompt === prompt).map(({ taskId }) => taskId);

    it('sends each row once, and knows the state of each', async () => {
      const manifest = PROMPTS.map((prompt) => ({ id: prompt, prompt, model, ...fields }));
      const file = await cli.write('rows.json', JSON.stringify(manifest));
      const ran = exits(await cli.run(['run', file, '--json']), 5);
      assert.deepEqual(Object.fromEntries(Object.entries(countsOf(ran)).filter(([, count]) => count > 0)), {
        submitted: 4,
        rejected: 1,
        uncertain: 1,
      });
      assert.equal(simulator.stats().byStatus['429'], 1);
      const known = await rows();
      for (const prompt of PROMPTS) {
        const ids = accepted(prompt);
        assert.equal(ids.length, prompt === 'refused' ? 0 : 1, `${prompt} was accepted ${ids.length} times`);
        const { state, task_id: taskId } = known.get(prompt) ?? assert.fail(prompt);
        assert.equal(state, { refused: 'rejected', lost: 'uncertain' }[prompt] ?? 'submitted');
        assert.equal(taskId, state === 'submitted' ? ids[0] : null);
      }
    });

    it('asks for the tasks, and downloads the videos', async () => {
      exits(await cli.run(['reconcile', 'rows']), 0);
      exits(await cli.run(['download', 'rows', '--allow-private', '--folder', 'videos']), 0);
      const known = await rows();
      for (const prompt of ['first', 'second', 'throttled']) {
        assert.equal(known.get(prompt)?.provider_status, 'completed');
        const [taskId = ''] = accepted(prompt);
        const video = await readFile(join(cli.folder, 'videos', `${prompt}.mp4`));
        assert.deepEqual(video, Buffer.concat([...new Video(taskId, 65_536).bytes()]));
      }
      assert.equal(known.get('failing')?.provider_status, 'failed');
    });

    it('reports the cost that the answers tell', async () => {
      const { answered } = json(exits(await cli.run(['report', 'rows', '--json']), 0)) as {
        answered: { sums: { unit: string; amount: string }[]; untold: number | null };
      };
      if (cost === undefined) return assert.deepEqual(answered, { sums: [], untold: null });
      const [sum, ...others] = answered.sums;
      assert.deepEqual(others, []);
      assert.equal(sum?.unit, cost.unit);
      // first, second and throttled are done. A failed task costs nothing.
      assert.equal(Number(sum.amount), 3 * Number(cost.amount));
    });

    it('settles the lost row by the list of the provider', async () => {
      const list = await cli.write(
        'list.json',
        [...fileText(simulator.providerFiles(), 'list.json')].join(''),
      );
      await cli.run(['reconcile', 'rows', '--provider-file', list, '--accept']);
      const known = await rows();
      assert.deepEqual([known.get('lost')?.task_id], accepted('lost'));
      assert.equal(simulator.record.length, PROMPTS.length - 1);
    });
  });
}

describe('simulate --profile', async () => {
  const simulator = await startSimulatorProcess('--profile', 'vidu');
  const cli = await openCli();
  after(() => Promise.all([cli.close(), simulator.close()]));

  it('speaks that format, and no unknown one', async () => {
    const answer = await fetch(`${simulator.url}/ent/v2/text2video`, {
      method: 'POST',
      headers: { authorization: 'Token any' },
      body: JSON.stringify({ model: 'viduq3-pro', prompt: 'a red kite' }),
    });
    const { task_id: taskId } = (await answer.json()) as { task_id: string };
    assert.deepEqual(
      simulator.accepted().map((create) => create.taskId),
      [taskId],
    );
    const { stderr } = exits(await cli.run(['simulate', '--profile', 'vidoo']), 2);
    assert.match(stderr, /does not speak "vidoo"; did you mean vidu\?/);
  });
});
