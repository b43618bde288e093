import type { AttemptView, TrailView } from '../ledger/read/read.ts';
import type { Reached } from '../ledger/read/uncertain.ts';

/** What it means that the exchange came so far and no further. */
export const REACHED: Record<Exclude<Reached, 'none'>, string> = {
  connecting: 'the request had not begun',
  sending: 'the request was being written when it broke',
  sent: 'the whole request was sent, and no answer began',
  answering: "the answer's head arrived, and its body broke off",
  answered: 'a whole answer arrived',
};

/** The name of the worker of an attempt that `resolve --task-id` has made. */
const BY_A_PERSON = 'resolve by ';

/** `not-sent after 0.3 s`, `in flight`: how an attempt ended, as far as is known. */
export function endOf({ worker, outcome, claimedAt, finishedAt, sweptAt }: AttemptView): string {
  if (worker.startsWith(BY_A_PERSON))
    return `no call: a person found its task, ${worker.slice(BY_A_PERSON.length)}`;
  const took =
    finishedAt === null ? '' : ` after ${((finishedAt.getTime() - claimedAt.getTime()) / 1000).toFixed(1)} s`;
  return `${outcome ?? (sweptAt === null ? 'in flight' : 'no answer recorded')}${took}`;
}

/** When it was last heard of. */
export function timeOf({ claimedAt, finishedAt, sweptAt }: AttemptView): Date {
  return finishedAt ?? sweptAt ?? claimedAt;
}

/** What came of an attempt, in the order in which a person asks. */
export function findingsOf(attempt: AttemptView): string[] {
  return [
    attempt.httpStatus === null ? undefined : `HTTP ${attempt.httpStatus}`,
    attempt.errorCode ?? undefined,
    attempt.error ?? undefined,
    Object.entries(REACHED).find(([phase]) => phase === attempt.phase)?.[1],
    attempt.requestId === null ? undefined : `request id ${attempt.requestId}`,
    attempt.taskId === null
      ? undefined
      : `task ${attempt.taskId}${attempt.surplus ? ' (SURPLUS: paid twice)' : ''}${attempt.remadeAt === null ? '' : ' (failed, and made again on purpose)'}`,
  ].filter((part) => part !== undefined);
}

/** `resolve --not-sent by anna@desk: not in their list` */
export function deedOf({ event, who, detail }: TrailView): string {
  return `${event}${who === null ? '' : ` by ${who}`}: ${shorten(detail, 300)}`;
}

/** By characters: half of one would be none. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}
