import type { State } from '../../../core/states.ts';

/**
 * The facts by which answers are judged. All of them are locked when they are read. Moments are milliseconds since the
 * epoch.
 */
export interface Facts {
  now: number;
  /** Those of the answered attempts that have no outcome yet. */
  attempts: readonly AttemptFacts[];
  rows: ReadonlyMap<number, RowFacts>;
  batches: ReadonlyMap<number, BatchFacts>;
  /** By origin. */
  providers: ReadonlyMap<string, ProviderFacts>;
}

export interface AttemptFacts {
  id: string;
  submissionId: number;
  number: number;
  origin: string;
  /** The provider's epoch at the claim: the answer does not raise a halt again that was raised later. */
  epoch: number;
  /** Hash of what was sent. Null: the attempt comes from a journal of an older version, which lacks it. */
  contentHash: string | null;
  claimedAt: number;
}

export interface RowFacts {
  id: number;
  batchId: number;
  key: string;
  state: State;
  /** The attempt in flight, or the last one. */
  attemptId: string | null;
  contentHash: string | null;
  spent: number;
  refusals: number;
  haltedAt: number | null;
  /** It is sent again although an earlier attempt may have been accepted. */
  doubtful: boolean;
  taskId: string | null;
  /** Attempts that may have been accepted, the latest first. Empty unless the row is `doubtful`. */
  unknown: readonly string[];
  /** Task ids of its attempts. */
  taskIds: readonly string[];
}

export interface BatchFacts {
  id: number;
  /** Only a locked batch may change. A batch without a trial, a canary and a budget is not locked. */
  locked: boolean;
  state: 'active' | 'paused' | 'cancelled' | 'stopped';
  proven: boolean;
  canary: string | null;
  failShare: number | null;
  canaryRows: number | null;
  canaries: number;
  countedSince: number;
  succeeded: number;
  failed: number;
}

export interface ProviderFacts {
  origin: string;
  /**
   * True if this transaction holds the lock of the provider. Without it, the provider does not change: an acceptance
   * at a provider without trouble changes nothing, and locks nothing.
   */
  locked: boolean;
  state: 'open' | 'halted' | 'probing';
  epoch: number;
  probe: string | null;
  throttledUntil: number;
  throttledSince: number | null;
  throttleRaised: number;
  throttleLevel: number;
  uncertainStreak: number;
  unreachedStreak: number;
  unreachedSince: number | null;
  /** One of its batches has had an accepted row. */
  everThere: boolean;
  /** When a halt of it was last lifted. */
  liftedAt: number | null;
}
