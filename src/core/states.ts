/**
 * The room `core` holds words and pure rules for all rooms: states, money, time, rates, errors, configuration,
 * log and formatting.
 * It imports no other room.
 */

/** A row of a manifest is always in exactly one of these states. */
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

const MOVES: readonly [from: readonly State[], to: State, by: string][] = [
  [['pending'], 'submitting', 'claim'],
  [['pending'], 'invalid', 'a rule is broken'],
  [['pending'], 'cancelled', 'cancel, or gone from the manifest with --prune'],
  [['pending'], 'uncertain', 'cancel, while an earlier attempt may have been accepted'],
  [['submitting'], 'submitted', 'accepted'],
  [['submitting'], 'rejected', 'refused because of its content'],
  [['submitting'], 'pending', 'throttled, halted, provably not sent, or sent again under the same key'],
  [['submitting'], 'cancelled', 'provably not sent, and its batch was cancelled meanwhile'],
  [['submitting'], 'exhausted', 'provably not sent, attempts used up'],
  [['submitting'], 'invalid', 'the check before sending finds a broken rule'],
  [['submitting'], 'uncertain', 'the outcome cannot be known, or the deadline passed'],
  [['uncertain'], 'submitted', 'late answer, reconciliation or resolve --task-id'],
  [['uncertain'], 'pending', 'late answer, resolve --not-sent, or sent again under the same key'],
  [['uncertain'], 'cancelled', 'known not to have been sent, and its batch was cancelled meanwhile'],
  [['uncertain'], 'rejected', 'late answer'],
  [['uncertain'], 'invalid', 'late result of the check before sending'],
  [['uncertain'], 'exhausted', 'late answer "not sent", attempts used up'],
  [['uncertain'], 'abandoned', 'resolve --abandon'],
  // A task id that arrived is never dropped, in any state of its row.
  [
    ['pending', 'rejected', 'exhausted', 'cancelled', 'invalid', 'abandoned'],
    'submitted',
    'late answer of an earlier attempt',
  ],
  [['rejected', 'exhausted', 'cancelled', 'invalid'], 'pending', 'retry, or a corrected manifest'],
  [['invalid'], 'cancelled', 'gone from a corrected manifest'],
  // The only move that pays a second time. The attempt keeps the first task.
  [['submitted'], 'pending', 'retry --failed-tasks: the task failed, and a person wants another'],
];

/** Every legal move, and its cause. The CHECK `row_state_move` of the schema holds the same pairs; a test compares them. */
export const TRANSITIONS: readonly { from: State; to: State; by: string }[] = MOVES.flatMap(
  ([states, to, by]) => states.map((from) => ({ from, to, by })),
);

/** The most milliseconds between a claim and its request. Later another worker may have judged the row already. */
export const STALE_MS = 5_000;

/** Milliseconds for which a window must stay open at a claim: the request has one second to arrive. `blocked_by` has it, too. */
export const WINDOW_MS = STALE_MS + 1_000;

/** States in which work remains without a person. */
export const OPEN_STATES = ['pending', 'submitting'] as const satisfies State[];

/** States that `retry` takes back to pending. */
export const RETRYABLE_STATES = ['rejected', 'exhausted', 'cancelled'] as const satisfies State[];

export type Counts = Record<State, number>;

export function noCounts(): Counts {
  return Object.fromEntries(STATES.map((state) => [state, 0])) as Counts;
}
