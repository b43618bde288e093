/**
 * Everything that can be said of a task, or of a line, when ledger, polled tasks and the provider's files are held
 * against one another. `is`: `difference` ends with exit code 7; `aside` is told, counted, and nobody's fault.
 * `grouped`: there may be a great many, and they are counted alone.
 */
export const KINDS = {
  matched: {
    is: 'match',
    means: 'ledger and files say the same',
    next: 'nothing',
  },
  refunded: {
    is: 'match',
    means: 'failed, charged and refunded in full',
    next: 'nothing',
  },
  'charged-twice': {
    is: 'difference',
    means: 'charged more than once',
    next: 'ask the provider for the surplus charge',
  },
  'charged-failed': {
    is: 'difference',
    means: 'charged, though it failed',
    next: 'ask the provider for a refund',
  },
  'charged-uncertain': {
    is: 'difference',
    means: 'charged, and its row is uncertain or was given up: it was accepted',
    next: 'settle the row: --accept, or `vidbatch resolve --task-id`',
  },
  'charged-rejected': {
    is: 'difference',
    means: 'charged, though the provider refused the request',
    next: 'ask the provider for a refund, with the raw answer',
  },
  'charged-unsent': {
    is: 'difference',
    means: 'charged for a call that was throttled, halted or never sent',
    next: 'ask the provider for a refund; the row may have been paid twice',
  },
  surplus: {
    is: 'difference',
    means: 'a second task for one row: it was paid twice',
    next: 'cancel one of the two at the provider, or use both',
  },
  'amount-differs': {
    is: 'difference',
    means: 'not the price of the price file, or two files name two amounts',
    next: 'ask the provider; check the price file',
  },
  'currency-differs': {
    is: 'difference',
    means: 'billed in another currency than the price, or in several',
    next: 'ask the provider; nothing is converted',
  },
  'refund-too-high': {
    is: 'difference',
    means: 'more was refunded than charged',
    next: 'expect the provider to claim it back',
  },
  'refunded-completed': {
    is: 'difference',
    means: 'refunded, though it completed',
    next: 'download it now; expect the provider to claim it back',
  },
  'free-completed': {
    is: 'difference',
    means: 'completed, and not charged',
    next: 'expect a later charge',
  },
  'only-provider': {
    is: 'difference',
    means: 'at the provider, and unknown to this ledger',
    next: 'find out who made it: another client, another ledger, or one that was lost',
  },
  candidate: {
    is: 'difference',
    means: "unknown to this ledger, and may be an uncertain row's",
    next: 'see the uncertain rows below',
  },
  orphaned: {
    is: 'difference',
    means: "known from a worker's journal alone: its row is missing here",
    next: 'submit its manifest again: it comes back as sent',
  },
  'only-ledger': {
    is: 'difference',
    means: 'in the ledger, and nowhere in the files',
    next: 'poll it with `vidbatch reconcile`; ask the provider',
  },
  unlisted: {
    is: 'difference',
    means: 'on the bill, and not in the task list',
    next: 'check that the list is complete',
  },
  'model-differs': {
    is: 'difference',
    means: 'another model than was asked for',
    next: 'ask the provider, with the request',
  },
  'duration-differs': {
    is: 'difference',
    means: 'another length than was asked for',
    next: 'ask the provider, with the request',
  },
  'status-differs': {
    is: 'difference',
    means: 'it ended otherwise than polling had heard, or two lines disagree',
    next: 'poll it again; ask the provider',
  },
  unreadable: {
    is: 'difference',
    means: 'a line that cannot be read',
    next: 'mend the line, or name the columns with --map',
  },
  'other-batch': {
    is: 'aside',
    grouped: true,
    means: "another batch's task",
    next: 'leave the batch out to see all',
  },
  foreign: {
    is: 'aside',
    grouped: true,
    means: 'at the provider: of another user, or from before this ledger',
    next: 'nothing, unless it should be ours',
  },
  'not-covered': {
    is: 'aside',
    grouped: true,
    means: 'in the ledger, from another time than the files',
    next: '--since and --until say what the files cover',
  },
  'no-task': {
    is: 'aside',
    grouped: true,
    means: 'a line about no task, such as a top-up',
    next: 'nothing',
  },
} as const satisfies Record<string, Kind>;

export interface Kind {
  is: 'match' | 'difference' | 'aside';
  grouped?: boolean;
  means: string;
  next: string;
}

export type KindName = keyof typeof KINDS;

/** In the order of the table: what costs money first. */
export const KIND_NAMES = Object.keys(KINDS) as KindName[];

export function isDifference(kind: KindName): boolean {
  return KINDS[kind].is === 'difference';
}
