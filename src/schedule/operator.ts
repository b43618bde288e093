import { usageError } from '../core/errors.ts';
import { likely } from '../core/suggestion.ts';
import { transaction, type Database, type Queryable } from '../database/database.ts';
import { refuseCopied } from '../ledger/closed.ts';
import { logEvent } from '../ledger/batches.ts';
import { listRuns, triggerRun, type Run } from '../ledger/schedules/runs.ts';
import {
  listSchedules,
  lockSchedule,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
  type Schedule,
} from '../ledger/schedules/schedules.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import { firstAfter, runName } from './due.ts';

/** @throws VidbatchError exit 2 if there is no schedule of this name. */
export async function requireSchedule(db: Queryable, name: string): Promise<Schedule> {
  const all = await listSchedules(db);
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const meant = likely(name, names);
  const there =
    names.length === 0 ? 'There are no schedules yet.' : `There are: ${names.slice(-10).join(', ')}.`;
  throw usageError(
    'NO_SUCH_SCHEDULE',
    `there is no schedule named ${name}`,
    meant === undefined ? there : `Did you mean ${meant}?`,
  );
}

/** An operator lets the schedule make no runs until it is resumed. */
export function pauseScheduleBy(db: Database, who: string, schedule: Schedule): Promise<void> {
  return changeAndLog(db, who, 'schedule-pause', schedule, (session) => pauseSchedule(session, schedule.id));
}

/** An operator resumes the schedule. It makes runs again from its next tick on. */
export async function resumeScheduleBy(db: Database, who: string, schedule: Schedule): Promise<void> {
  const nextAt = firstAfter(schedule, await ledgerNow(db));
  await changeAndLog(db, who, 'schedule-resume', schedule, (session) =>
    resumeSchedule(session, schedule.id, nextAt),
  );
}

/** An operator removes the schedule. The batches of its runs stay. */
export function removeScheduleBy(db: Database, who: string, schedule: Schedule): Promise<void> {
  return changeAndLog(db, who, 'schedule-remove', schedule, (session) =>
    removeSchedule(session, schedule.id),
  );
}

async function changeAndLog(
  db: Database,
  who: string,
  event: string,
  { name }: Schedule,
  work: (session: Queryable) => Promise<void>,
): Promise<void> {
  await transaction(db, async (session) => {
    await refuseCopied(session);
    await work(session);
    await logEvent(session, event, name, undefined, who);
  });
}

/**
 * An operator asks for one run now. Its moment lies between two ticks, so that it does not replace a tick. `newest`: the
 * newest run that the operator saw, null: none. A form that is sent twice thus makes one run.
 * @throws VidbatchError exit 2 when there is a newer run by now.
 */
export async function requestRun(
  db: Database,
  who: string,
  schedule: Schedule,
  newest?: string | null,
): Promise<{ id: number; batch: string }> {
  for (;;) {
    const made = await transaction(db, async (session) => {
      await refuseCopied(session);
      await lockSchedule(session, schedule.id);
      const [run] = newest === undefined ? [] : await listRuns(session, schedule.id, 1);
      if (newest !== undefined && (run?.batch ?? null) !== newest) throw anotherRun(schedule, run);
      const now = await ledgerNow(session);
      const tick = now % 1000 === 0 ? now + 1 : now;
      const batch = runName(schedule, tick);
      const id = await triggerRun(session, schedule.id, { tick: new Date(tick), batch });
      if (id === undefined) return undefined;
      await logEvent(session, 'schedule-trigger', batch, undefined, who);
      return { id, batch };
    });
    if (made !== undefined) return made;
  }
}

function anotherRun({ name }: Schedule, run: Run | undefined): Error {
  return usageError(
    'CHANGED',
    `schedule ${name}: its newest run is ${run?.batch ?? 'gone'} now; no other run was made`,
    'Look at its runs again.',
  );
}
