import { hostname } from 'node:os';
import type { LedgerApp } from '../worker/app.ts';
import { runName } from '../schedule/due.ts';
import { refusal, VidbatchError } from '../core/errors.ts';
import { logEvent } from '../ledger/batches.ts';
import { takeRun, triggerRun } from '../ledger/schedules/runs.ts';
import type { Schedule } from '../ledger/schedules/schedules.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import { takerOf } from '../schedule/schedule.ts';
import { makeRun } from '../schedule/make-run.ts';
import { configOf } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { describeProduced } from './submit.ts';

/** Makes the run itself, as `submit` would. If it dies meanwhile, a worker makes it. */
export async function triggerSchedule(
  { db }: LedgerApp,
  schedule: Schedule,
  flags: GlobalFlags,
  io: Io,
): Promise<void> {
  const { id, batch } = await ask(db, schedule);
  await logEvent(db, 'schedule-trigger', batch);
  const host = hostname();
  const run = await takeRun(db, { worker: takerOf(host), host, only: id });
  if (run === undefined) {
    tell(
      flags,
      io,
      { batch, state: 'due' },
      `${batch}: is due; a worker makes it when earlier runs are over`,
    );
    return;
  }
  const result = await makeRun(db, run, { config: configOf(flags), host });
  switch (result.kind) {
    case 'made': {
      const { batch: _batch, ...numbers } = result.produced;
      tell(flags, io, { batch, state: 'made', ...numbers }, describeProduced(result.produced));
      return;
    }
    case 'failed':
      throw result.error instanceof VidbatchError
        ? result.error
        : new VidbatchError(result.code, result.reason, { cause: result.error });
    case 'skipped':
    case 'missed':
      throw refusal(
        'RUN_SKIPPED',
        `${batch}: ${result.kind}: ${result.reason}; nothing was sent`,
        'Wait for that run, or `vidbatch cancel` what is left of it. A second run beside it would pay for the same rows again.',
      );
    case 'left':
    case 'given-back':
    case 'lost':
      tell(flags, io, { batch, state: 'due' }, `${batch}: a worker makes it`);
  }
}

/** Of a moment between two ticks, so that it takes no tick's place. */
async function ask(db: LedgerApp['db'], schedule: Schedule): Promise<{ id: number; batch: string }> {
  for (;;) {
    const now = await ledgerNow(db);
    const tick = now % 1000 === 0 ? now + 1 : now;
    const batch = runName(schedule, tick);
    const id = await triggerRun(db, schedule.id, { tick: new Date(tick), batch });
    if (id !== undefined) return { id, batch };
  }
}

function tell(flags: GlobalFlags, io: Io, json: Record<string, unknown>, text: string): void {
  io.out(flags.json === true ? JSON.stringify(json) : text);
}
