import { usageError } from '../core/errors.ts';
import type { Queryable } from '../database/database.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import type { Schedule } from '../ledger/schedules/schedules.ts';
import { likely } from '../core/suggestion.ts';

/** The schedule of that name, or a usage error that says which there are. */
export async function scheduleNamed(db: Queryable, name: string): Promise<Schedule> {
  const all = await listSchedules(db);
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const meant = likely(name, names);
  const hint =
    names.length === 0
      ? 'There are no schedules yet.'
      : meant === undefined
        ? `There are: ${names.slice(-10).join(', ')}.`
        : `Did you mean ${meant}?`;
  throw usageError('NO_SUCH_SCHEDULE', `there is no schedule named ${name}`, hint);
}
