import { refusal, type VidbatchError } from '../core/errors.ts';
import { logEvent, type Batch } from '../ledger/batches.ts';
import type { Queryable } from '../database/database.ts';
import { setDeadline } from '../ledger/send/window.ts';
import { outlookOf, type Outlook } from './outlook.ts';
import type { Window } from '../core/time/window.ts';

/** The time by which a batch is to be sent. */
export interface Deadline {
  /** Null removes the deadline. */
  at: Date | null;
  /** `wait`: rows may be sent late. `fail`: a manifest that cannot be sent in time is refused, and late rows are not sent. */
  on: 'wait' | 'fail';
  /** For the forecast. */
  perSecond?: number;
  offPeak?: Window | null;
}

/** `unknown`: no rate is known, and the open hours would suffice. */
export type Chance = 'met' | 'missed' | 'unknown';

/** Whether all rows will have been sent by then. */
export function chanceOf(seen: Outlook, at: Date): Chance {
  if (seen.rows === 0) return 'met';
  if (at.getTime() <= seen.now || seen.earliest === undefined || seen.earliest > at.getTime())
    return 'missed';
  if (seen.perSecond === null) return 'unknown';
  return seen.doneAt !== undefined && seen.doneAt <= at.getTime() ? 'met' : 'missed';
}

/** Refuses a strict deadline that will be missed. Undefined: it is met, or that is not known. */
export function refuseDeadline(batch: string, seen: Outlook, at: Date): VidbatchError | undefined {
  if (chanceOf(seen, at) !== 'missed') return undefined;
  return refusal(
    'DEADLINE_UNREACHABLE',
    `batch ${batch} cannot be sent by ${at.toISOString()}: ${at.getTime() <= seen.now ? 'that time is over' : seen.told}; nothing was sent`,
    'Give a later --deadline, a higher --rate or other windows; --on-deadline wait sends late what does not fit.',
  );
}

/**
 * Gives a batch its deadline, before any of its rows is sent.
 * @throws VidbatchError exit 3 when a strict deadline cannot be met.
 */
export async function putDeadline(
  db: Queryable,
  batch: Pick<Batch, 'id' | 'name' | 'deadline' | 'onDeadline'>,
  { at, on, ...asked }: Deadline,
): Promise<void> {
  if (at !== null && on === 'fail') {
    const refused = refuseDeadline(batch.name, await outlookOf(db, batch, asked), at);
    if (refused !== undefined) throw refused;
  }
  const same = at?.getTime() === batch.deadline?.getTime() && (at === null || on === batch.onDeadline);
  if (same) return;
  await setDeadline(db, batch.id, at, { closes: on === 'fail' });
  const words = at === null ? 'none' : `${at.toISOString()}, ${on}`;
  await logEvent(db, 'deadline', words, batch.id);
}
