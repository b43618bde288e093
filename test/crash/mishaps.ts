import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Running } from '../cli.ts';
import { laneOf } from '../../src/worker/queue/queue.ts';
import { isLost } from './rows.ts';
import type { Scene } from './scene.ts';

/** What happens around a death, so that the program comes to the points of its recovery. */

export async function later(scene: Scene): Promise<void> {
  await scene.later();
}

/** The second row meets a bad key: the provider is halted, and the rows after it are not sent. */
export async function refuseSecond({ standIn, prompts }: Scene, batch: string): Promise<void> {
  await standIn.addRule({
    fault: 'unauthorized',
    match: { prompt: prompts.get(batch)?.[1] ?? '', times: 1 },
  });
}

/** The first row is answered after the others could be looked at. */
export async function slowFirst({ standIn, prompts }: Scene, batch: string): Promise<void> {
  await standIn.addRule({
    fault: 'slow-headers',
    match: { prompt: prompts.get(batch)?.[0] ?? '', times: 1 },
  });
}

/** The ledger believes that the last row has been in the queue for a while, and the queue has no job for it. */
export async function loseJob(scene: Scene, batch: string, running: Running): Promise<void> {
  await running.prints(new RegExp(`^${batch}: `));
  await scene.beside(async (db) => {
    const { rows } = await db.query<{ ledger_id: string; id: number }>(
      'select m.ledger_id, b.id from vidbatch.meta m, vidbatch.batch b where b.name = $1',
      [batch],
    );
    const [found] = rows;
    await db.query(
      `update vidbatch.submission set lane = $1, queued_at = now() - interval '1 h'
        where id = (select max(id) from vidbatch.submission where batch_id = $2)`,
      [laneOf(found?.ledger_id ?? '', [found?.id ?? 0]), found?.id],
    );
  });
}

/** As a ledger that was restored from a copy older than all attempts of the batch. */
export async function forgetAttempts(scene: Scene, batch: string): Promise<void> {
  await scene.ledger(async (db) => {
    const ofBatch = `batch_id = (select id from vidbatch.batch where name = $1)`;
    await db.query(
      `update vidbatch.submission
          set state = 'pending', previous = null, attempt_id = null, deadline = null, attempts = 0, spent = 0,
              refusals = 0, not_before = '-infinity', lane = null, task_id = null, http_status = null,
              error_code = null, error = null, submitted_at = null, provider_status = null, polled_at = null
        where ${ofBatch}`,
      [batch],
    );
    await db.query(
      `delete from vidbatch.task where batch_id = (select id from vidbatch.batch where name = $1)`,
      [batch],
    );
    await db.query(
      `delete from vidbatch.attempt where submission_id in (select id from vidbatch.submission where ${ofBatch})`,
      [batch],
    );
    await db.query('update vidbatch.batch set proven = false, canary = null where name = $1', [batch]);
    await db.query('delete from vidbatch.journal');
  });
}

/** A person has found the task of the row whose answer was lost. */
export function resolveLost(_file: string, batch: string, { standIn, prompts }: Scene): string[] {
  const index = (prompts.get(batch) ?? []).findIndex((prompt) => isLost(prompt));
  const task = standIn.accepted().find(({ body }) => body.prompt === prompts.get(batch)?.[index]);
  return [
    'resolve',
    batch,
    `${batch}-${index + 1}`,
    '--task-id',
    task?.taskId ?? '',
    '--reason',
    'seen in the list',
  ];
}

/** As on a first start: the scene has files that were copied. Nothing was sent yet. */
export async function forgetDatabase({ dataDir }: Scene): Promise<void> {
  await rm(join(dataDir, 'database'), { recursive: true });
}
