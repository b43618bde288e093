import assert from 'node:assert/strict';
import type { Database } from '../../src/database/database.ts';
import { record } from '../../src/ledger/send/record.ts';
import type { PollPlan } from '../../src/core/poll-plan.ts';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../src/simulator/server.ts';
import type { TaskLife } from '../../src/simulator/settings.ts';
import { claimAll, makeBatch, outcomeOf, resultOf, type Made } from './rows.ts';

/** Ways in which a task may live; its prompt names it. All times are in units, of which a test says how long one is. */
const LIVES = {
  plain: {},
  failing: { ends: 'failed' },
  expiring: { ends: 'expired' },
  waiting: { queuedMs: 12 },
  late: { missingPolls: 2 },
  later: { missingPolls: 3, missingStatus: 404 },
  odd: { unknownStatus: 'ARCHIVING' },
  backwards: { backwards: true, runningMs: 12 },
  lost: { missingPolls: 1_000_000 },
  turning: { afterEnd: 'failed' },
  vanishing: { afterEnd: 'missing' },
} as const;

const KINDS = Object.keys(LIVES) as (keyof typeof LIVES)[];

/** The plan, a unit being some ten seconds of it. */
export function planOf(unitMs: number): PollPlan {
  return {
    firstMs: unitMs,
    leastMs: unitMs / 2,
    share: 0.5,
    mostMs: 20 * unitMs,
    mostQueuedMs: 20 * unitMs,
    mostMissedMs: 3 * unitMs,
    gone: { misses: 5, missedMs: 8 * unitMs, ageMs: 15 * unitMs },
  };
}

export interface Crowd extends Made {
  simulator: Simulator;
}

/** A batch whose rows a simulator has accepted, living in every way. */
export async function makeCrowd(
  db: Database,
  rows: number,
  unitMs: number,
  options: SimulatorOptions = {},
): Promise<Crowd> {
  const simulator = await startSimulator({
    queryShape: 'mixed',
    task: { queuedMs: 2 * unitMs, runningMs: 4 * unitMs },
    ...options,
  });
  for (const kind of KINDS) {
    const { queuedMs, runningMs, ...life }: Partial<TaskLife> = LIVES[kind];
    const times = {
      ...(queuedMs === undefined ? {} : { queuedMs: queuedMs * unitMs }),
      ...(runningMs === undefined ? {} : { runningMs: runningMs * unitMs }),
    };
    simulator.faults.add({ match: { prompt: `${kind} ` }, task: { ...life, ...times } });
  }
  const made = await makeBatch(db, { rows, origin: simulator.url });
  for (let at = 0; at < rows; at += 100) {
    const claims = await claimAll(db, made, made.rows.slice(at, at + 100));
    const results = await Promise.all(
      claims.map(async (claim, n) => {
        const kind = KINDS[(at + n) % KINDS.length] ?? 'plain';
        const answer = await fetch(`${simulator.url}/v1/video/generations`, {
          method: 'POST',
          headers: { authorization: 'Bearer any', 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'viduq3p-720p', prompt: `${kind} ${at + n}`, duration: 5 }),
        });
        const { task_id: taskId } = (await answer.json()) as { task_id: string };
        return resultOf(claim, outcomeOf('accepted', { taskId }));
      }),
    );
    await record(db, results);
  }
  return { ...made, simulator };
}

/** What the simulator knows of its tasks, as the ledger should have it. */
export function truthOf({ simulator }: Pick<Crowd, 'simulator'>): Map<string, Record<string, unknown>> {
  return new Map(
    simulator.tasks().map(({ taskId, prompt, status, failReason, polls }) => {
      const lost = prompt.startsWith('lost ');
      const ended = status === 'expired' ? 'failed' : status;
      return [
        taskId,
        {
          status: lost ? 'missing' : ended,
          url: !lost && ended === 'completed' ? simulator.resultUrl(taskId) : null,
          reason: lost ? null : (failReason ?? null),
          polls,
        },
      ];
    }),
  );
}

/** Holds the ledger against that, row by row, and the polls of each. */
export async function assertTrue(db: Database, crowd: Crowd): Promise<void> {
  const { rows } = await db.query<Record<string, unknown> & { task_id: string; provider_status: string }>(
    `select s.task_id, s.provider_status, t.status, t.result_url as url, t.fail_reason as reason, t.polls,
            s.result_url as shown
       from vidbatch.submission s left join vidbatch.task t on t.submission_id = s.id and t.task_id = s.task_id
      where s.batch_id = $1`,
    [crowd.id],
  );
  const truth = truthOf(crowd);
  assert.equal(rows.length, truth.size);
  for (const { task_id: taskId, provider_status: status, shown, ...known } of rows) {
    assert.deepEqual({ taskId, ...known }, { taskId, ...truth.get(taskId) });
    assert.deepEqual([status, shown], [known['status'], known['url']]);
  }
}
