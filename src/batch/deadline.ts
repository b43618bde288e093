import { refusal } from '../core/errors.ts';
import type { VidbatchError } from '../core/errors.ts';
import { logEvent } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { setDeadline } from '../ledger/send/window.ts';
import { outlookOf } from './outlook.ts';
import type { Outlook } from './outlook.ts';
import type { Window } from '../core/time/window.ts';

/** Until when a batch is to be sent. */
export interface Deadline {
  /** Null: it has none any more. */
  at: Date | null;
  /** `wait`: rows are sent late, if need be. `fail`: a manifest that cannot be sent in time is refused, and late rows stay. */
  on: 'wait' | 'fail';
  /** For the forecast. */
  perSecond?: number;
  offPeak?: Window | null;
}

/** `unknown`: no rate is known, and there are hours enough. */
export type Chance = 'met' | 'missed' | 'unknown';

/** Whether all rows will have been sent by then. */
export function chanceOf(seen: Outlook, at: Date): Chance {
  if (seen.rows === 0) return 'met';
  if (at.getTime() <= seen.now || seen.earliest === undefined || seen.earliest > at.getTime())
    return 'missed';
  if (seen.perSecond === null) return 'unknown';
  return seen.doneAt !== undefined && seen.doneAt <= at.getTime() ? 'met' : 'missed';
}

/** Why a batch that shall not be late is refused; undefined: it is not known that it will be late. */
export function unreachable(batch: string, seen: Outlook, at: Date): VidbatchError | undefined {
  if (chanceOf(seen, at) !== 'missed') return undefined;
  return refusal(
    'DEADLINE_UNREACHABLE',
    `batch ${batch} cannot be sent by ${at.toISOString()}: ${at.getTime() <= seen.now ? 'that is over' : seen.told}; nothing was sent`,
    'Give a later --deadline, a higher --rate or other windows; --on-deadline wait sends late what does not fit.',
  );
}

/**
 * Gives a batch its deadline, before anything of it is sent.
 * @throws VidbatchError exit 3 when it cannot be met, and shall not be missed.
 */
export async function putDeadline(
  db: Queryable,
  batch: Pick<Batch, 'id' | 'name' | 'deadline' | 'onDeadline'>,
  { at, on, ...asked }: Deadline,
): Promise<void> {
  if (at !== null && on === 'fail') {
    const refused = unreachable(batch.name, await outlookOf(db, batch, asked), at);
    if (refused !== undefined) throw refused;
  }
  const same = at?.getTime() === batch.deadline?.getTime() && (at === null || on === batch.onDeadline);
  if (same) return;
  await setDeadline(db, batch.id, at, { closes: on === 'fail' });
  const words = at === null ? 'none' : `${at.toISOString()}, ${on}`;
  await logEvent(db, 'deadline', words, batch.id);
}
