import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStorage } from '../contract/storages.ts';
import { assertTrue, makeCrowd } from '../contract/tasks.ts';

const ROWS = Number(process.env['SOAK_TASKS'] ?? 10_000);
const UNIT_MS = 1_000;
const ASKER = fileURLToPath(new URL('asker.ts', import.meta.url));

test(`${ROWS} tasks of every kind get their status, although one of three pollers is killed`, async () => {
  const storage = await openStorage('postgres');
  const crowd = await makeCrowd(storage.db, ROWS, UNIT_MS, {
    queryFaults: ['status-502=0.01', 'truncated-json=0.01', 'throttle=0.0005'],
  });
  const { simulator } = crowd;
  const start = (): { process: ChildProcess; ended: Promise<unknown[]> } => {
    const args = [ASKER, storage.config.databaseUrl ?? '', simulator.url, String(UNIT_MS)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    return { process: child, ended: once(child, 'exit') };
  };
  try {
    const askers = [start(), start()];
    const victim = start();
    await simulator.reached({ queries: ROWS });
    victim.process.kill('SIGKILL');
    await victim.ended;
    askers.push(start());
    for (const { ended } of askers) assert.deepEqual(await ended, [0, null]);
    // What the dead one asked for last, or had in its hands: nobody knows whether it was heard, and it was asked again.
    const { rows } = await storage.db.query<{ task_id: string; polls: number }>(
      'select task_id, polls from vidbatch.task where batch_id = $1',
      [crowd.id],
    );
    const heard = new Map(simulator.tasks().map(({ taskId, polls }) => [taskId, polls]));
    const more = rows.filter(({ task_id: taskId, polls }) => polls !== heard.get(taskId));
    assert.ok(more.length <= 16, `${more.length} tasks were counted otherwise`);
    for (const { task_id: taskId, polls } of more) {
      assert.equal(polls, (heard.get(taskId) ?? 0) + 1);
      await storage.db.query('update vidbatch.task set polls = polls - 1 where task_id = $1', [taskId]);
    }
    await assertTrue(storage.db, crowd);
    const { queries } = simulator.stats();
    process.stdout.write(`${queries} questions about ${ROWS} tasks, ${(queries / ROWS).toFixed(2)} each\n`);
    assert.ok(queries <= 8 * ROWS);
  } finally {
    await simulator.close();
    await storage.close();
  }
});
