import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isLost } from './rows.ts';
import type { CrashCli } from './crash-cli.ts';

/** What happens around a death, so that the program comes to the points of its recovery. */

export async function later(cli: CrashCli): Promise<void> {
  await cli.later();
}

/** The second row meets a bad key: the provider is halted, and the rows after it are not sent. */
export async function refuseSecond({ simulator, prompts }: CrashCli, batch: string): Promise<void> {
  await simulator.addRule({
    fault: 'unauthorized',
    match: { prompt: prompts.get(batch)?.[1] ?? '', times: 1 },
  });
}

/** Redis has lost everything, where the queue is there. */
export async function forgetQueue(cli: CrashCli): Promise<void> {
  if (cli.kind.startsWith('redis')) await cli.loseQueue();
}

/** As a ledger that was restored from a copy older than all attempts of the batch. */
export async function forgetAttempts(cli: CrashCli, batch: string): Promise<void> {
  await cli.ledger(async (db) => {
    const ofBatch = `batch_id = (select id from vidbatch.batch where name = $1)`;
    await db.query(
      `update vidbatch.row_state
          set state = 'pending', previous = null, attempt_id = null, deadline = null, attempts = 0, spent = 0,
              refusals = 0, not_before = '-infinity', task_id = null, http_status = null,
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
export function resolveLost(_file: string, batch: string, { simulator, prompts }: CrashCli): string[] {
  const index = (prompts.get(batch) ?? []).findIndex((prompt) => isLost(prompt));
  const task = simulator.accepted().find(({ body }) => body.prompt === prompts.get(batch)?.[index]);
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
export async function forgetDatabase({ dataDir }: CrashCli): Promise<void> {
  await rm(join(dataDir, 'database'), { recursive: true });
}
