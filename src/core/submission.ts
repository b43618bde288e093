/**
 * The room `core` holds words and pure rules for all rooms: states, money, time, rates, errors, configuration,
 * log and formatting.
 * It imports no other room.
 */

/** Every state of a submission. A row of a manifest is in exactly one of them, for ever. */
export const STATES = [
  'pending',
  'submitting',
  'submitted',
  'uncertain',
  'rejected',
  'exhausted',
  'invalid',
  'cancelled',
  'abandoned',
] as const;

export type State = (typeof STATES)[number];

/**
 * Every legal move, and what causes it. The CHECK `submission_move` of the schema holds the same pairs (a test
 * compares them), so an illegal move is refused by the database and not only by this program.
 */
export const TRANSITIONS: readonly { from: State; to: State; by: string }[] = [
  { from: 'pending', to: 'submitting', by: 'claim' },
  { from: 'pending', to: 'invalid', by: 'a rule is broken' },
  { from: 'pending', to: 'cancelled', by: 'operator' },
  { from: 'pending', to: 'uncertain', by: 'operator, while an earlier attempt may have been accepted' },
  { from: 'submitting', to: 'submitted', by: 'accepted' },
  { from: 'submitting', to: 'rejected', by: 'refused for what the row says' },
  {
    from: 'submitting',
    to: 'pending',
    by: 'throttled, halted, provably not sent, or sent again under the same key',
  },
  { from: 'submitting', to: 'cancelled', by: 'provably not sent, and its batch was cancelled meanwhile' },
  { from: 'submitting', to: 'exhausted', by: 'provably not sent, attempts used up' },
  { from: 'submitting', to: 'uncertain', by: 'nobody can know, or its deadline passed' },
  { from: 'uncertain', to: 'submitted', by: 'late answer, reconciliation or resolve --task-id' },
  {
    from: 'uncertain',
    to: 'pending',
    by: 'late answer, resolve --not-sent, or sent again under the same key',
  },
  { from: 'uncertain', to: 'cancelled', by: 'known not to be sent, and its batch was cancelled meanwhile' },
  { from: 'uncertain', to: 'rejected', by: 'late answer' },
  { from: 'uncertain', to: 'exhausted', by: 'late answer "not sent", attempts used up' },
  { from: 'uncertain', to: 'abandoned', by: 'resolve --abandon' },
  // A task id that reached us is never dropped, wherever its row stands by then.
  { from: 'pending', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'rejected', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'exhausted', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'cancelled', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'invalid', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'abandoned', to: 'submitted', by: 'late answer of an earlier attempt' },
  { from: 'rejected', to: 'pending', by: 'retry, or a corrected manifest' },
  { from: 'exhausted', to: 'pending', by: 'retry, or a corrected manifest' },
  { from: 'cancelled', to: 'pending', by: 'retry, or a corrected manifest' },
  { from: 'invalid', to: 'pending', by: 'retry, or a corrected manifest' },
  { from: 'invalid', to: 'cancelled', by: 'gone from a corrected manifest' },
  // The one move that pays a second time. Its first task stays on its attempt.
  {
    from: 'submitted',
    to: 'pending',
    by: 'retry --failed-tasks: the task failed, and a person wants another',
  },
];

/** States in which a row may have been paid: it is never sent again by itself, and its content is fixed. */
export const PAID_STATES = ['submitting', 'submitted', 'uncertain', 'abandoned'] as const satisfies State[];

/** States in which there is still something to do without a person. */
export const OPEN_STATES = ['pending', 'submitting'] as const satisfies State[];

/** States that `retry` takes back to pending. */
export const RETRYABLE_STATES = ['rejected', 'exhausted', 'cancelled'] as const satisfies State[];

export function isLegal(from: State, to: State): boolean {
  return TRANSITIONS.some((move) => move.from === from && move.to === to);
}

export type Counts = Record<State, number>;

export function noCounts(): Counts {
  return Object.fromEntries(STATES.map((state) => [state, 0])) as Counts;
}
