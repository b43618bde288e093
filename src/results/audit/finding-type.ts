/** A type of finding. `difference` ends with exit code 7; `aside` is counted, and needs no action. */
interface TypeText {
  is: 'match' | 'difference' | 'aside';
  /** There may be a great many: they are counted by group. */
  grouped?: boolean;
  means: string;
  next: string;
}

const match = (means: string): TypeText => ({ is: 'match', means, next: 'nothing' });
const difference = (means: string, next: string): TypeText => ({ is: 'difference', means, next });
const aside = (means: string, next: string): TypeText => ({ is: 'aside', grouped: true, means, next });

/** Every result for a task or a line when ledger, polled tasks and the provider's files are compared. */
const TYPES = {
  matched: match('ledger and files say the same'),
  refunded: match('failed, charged and refunded in full'),
  'charged-twice': difference('charged more than once', 'ask the provider for the surplus charge'),
  'charged-failed': difference('charged, though it failed', 'ask the provider for a refund'),
  'charged-uncertain': difference(
    'charged, and its row is uncertain or was given up: it was accepted',
    'settle the row: --accept, or `vidbatch resolve --task-id`',
  ),
  'charged-rejected': difference(
    'charged, though the provider refused the request',
    'ask the provider for a refund, with the raw answer',
  ),
  'charged-unsent': difference(
    'charged for a call that was throttled, halted or never sent',
    'ask the provider for a refund; the row may have been paid twice',
  ),
  surplus: difference(
    'a second task for one row: it was paid twice',
    'cancel one of the two at the provider, or use both',
  ),
  'amount-differs': difference(
    'not the price of the price file, or two files name two amounts',
    'ask the provider; check the price file',
  ),
  'currency-differs': difference(
    'billed in another currency than the price, or in several',
    'ask the provider; nothing is converted',
  ),
  'refund-too-high': difference('more was refunded than charged', 'expect the provider to claim it back'),
  'refunded-completed': difference(
    'refunded, though it completed',
    'download it now; expect the provider to claim it back',
  ),
  'free-completed': difference('completed, and not charged', 'expect a later charge'),
  'only-provider': difference(
    'at the provider, and unknown to this ledger',
    'find out who made it: another client, another ledger, or one that was lost',
  ),
  candidate: difference(
    "unknown to this ledger, and may be an uncertain row's",
    'see the uncertain rows below',
  ),
  orphaned: difference(
    "known only from a worker's journal: its row is missing here",
    'submit its manifest again: it comes back as sent',
  ),
  'only-ledger': difference(
    'in the ledger, and nowhere in the files',
    'poll it with `vidbatch reconcile`; ask the provider',
  ),
  unlisted: difference('on the bill, and not in the task list', 'check that the list is complete'),
  'model-differs': difference('another model than the row has', 'ask the provider, with the request'),
  'duration-differs': difference('another duration than the row has', 'ask the provider, with the request'),
  'status-differs': difference(
    'its final status differs from the polled one, or two lines disagree',
    'poll it again; ask the provider',
  ),
  unreadable: difference('a line that cannot be read', 'correct the line, or name the columns with --map'),
  'other-batch': aside("another batch's task", 'leave the batch out to see all'),
  foreign: aside(
    'at the provider: of another user, or from before this ledger',
    'nothing, unless the task should be yours',
  ),
  'not-covered': aside(
    'in the ledger, from another time than the files',
    '--since and --until say what the files cover',
  ),
  'no-task': aside('a line about no task, such as a top-up', 'nothing'),
};

export type FindingType = keyof typeof TYPES;

export const FINDING_TYPES: Readonly<Record<FindingType, TypeText>> = TYPES;

/** In the order of the table: what costs money first. */
export const TYPE_NAMES = Object.keys(TYPES) as FindingType[];

export function isDifference(kind: FindingType): boolean {
  return FINDING_TYPES[kind].is === 'difference';
}
