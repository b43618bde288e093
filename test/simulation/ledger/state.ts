import type { OutcomeKind } from '../../../src/core/outcome.ts';
import type { State } from '../../../src/core/states.ts';
import { isLegal } from '../../core/moves.ts';
import type { Window } from '../../../src/core/time/window.ts';

/** A row of `vidbatch.submission`, as far as the promise depends on it. Moments are milliseconds. */
export interface Row {
  id: number;
  batchId: number;
  key: string;
  request: string;
  contentHash: string;
  state: State;
  previous: State | null;
  notBefore: number;
  offPeak: boolean;
  attemptId: string | null;
  deadline: number | null;
  attempts: number;
  spent: number;
  refusals: number;
  haltedAt: number | null;
  taskId: string | null;
  doubtful: boolean;
  price: number | null;
  currency: string | null;
}

/** A row of `vidbatch.attempt`. */
export interface Attempt {
  id: string;
  submissionId: number;
  number: number;
  worker: string;
  origin: string;
  epoch: number;
  contentHash: string | null;
  claimedAt: number;
  deadline: number;
  sameKey: boolean;
  /** By which it was sent; null: a journal brought it. */
  profileId: number | null;
  refusals: number | null;
  intendedAt: number | null;
  sweptAt: number | null;
  outcome: OutcomeKind | null;
  phase: string | null;
  code: string | null;
  taskId: string | null;
  surplus: boolean;
}

export interface Batch {
  id: number;
  name: string;
  origin: string;
  state: 'active' | 'paused' | 'cancelled' | 'stopped';
  proven: boolean;
  canary: string | null;
  windowId: number | null;
  notAfter: number;
  budget: number | null;
  currency: string | null;
  failShare: number | null;
  canaryRows: number | null;
  canaries: number;
  countedSince: number;
  succeeded: number;
  failed: number;
  stopCode: string | null;
}

export interface Gateway {
  origin: string;
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
}

export interface Halt {
  origin: string;
  liftedAt: number | null;
}

/** What a test of the harness may break in the model, as the same slip would break the SQL. */
export type Slip =
  | 'claim-without-compare'
  | 'record-by-row'
  | 'record-drops-late-answers'
  | 'uncertain-is-sent-again'
  | 'sweep-before-the-deadline'
  | 'restore-revives-paid-rows'
  | 'restore-moves-pending-rows-only'
  | 'unheard-asks-for-the-deciding-attempt-only'
  | 'attempt-made-twice'
  | 'claim-over-the-budget';

/** The ledger in memory: what its SQL does, verb for verb. A differential test holds it to that. */
export class ModelLedger {
  rows = new Map<number, Row>();
  attempts = new Map<string, Attempt>();
  batches = new Map<number, Batch>();
  gateways = new Map<string, Gateway>();
  halts: Halt[] = [];
  journals = new Map<string, number>();
  paused = false;
  windows = new Map<number, Window>();
  offPeakWindowId: number | null = null;
  /** The database's clock, in milliseconds. */
  at = 0;
  readonly slip: Slip | undefined;

  constructor(slip?: Slip) {
    this.slip = slip;
  }

  /** As a backup has it. */
  copy(): ModelLedger {
    const copy = new ModelLedger(this.slip);
    copy.restore(this);
    copy.at = this.at;
    return copy;
  }

  /** Becomes what the copy holds; its clock goes on. */
  restore(from: ModelLedger): void {
    this.rows = copied(from.rows);
    this.attempts = copied(from.attempts);
    this.batches = copied(from.batches);
    this.gateways = copied(from.gateways);
    this.halts = from.halts.map((halt) => ({ ...halt }));
    this.journals = new Map(from.journals);
    this.paused = from.paused;
    this.windows = new Map(from.windows);
    this.offPeakWindowId = from.offPeakWindowId;
  }

  batchOf(row: Row): Batch {
    return this.#known(this.batches.get(row.batchId));
  }

  windowOf(id: number): Window {
    return this.#known(this.windows.get(id));
  }

  gatewayOf({ origin }: { origin: string }): Gateway {
    return this.#known(this.gateways.get(origin));
  }

  rowOf(attempt: Attempt): Row {
    return this.#known(this.rows.get(attempt.submissionId));
  }

  /** Changes a row and asks what the CHECKs of the schema ask. */
  move(row: Row, state: State, change: Partial<Row> = {}): void {
    const from = row.state;
    if (state !== from) {
      if (!isLegal(from, state)) throw new Error(`row_state_move: ${row.id} ${from} → ${state}`);
      row.previous = from;
    }
    Object.assign(row, change, { state });
    if ((state === 'submitted') !== (row.taskId !== null)) {
      throw new Error(`row_state_task_id: ${row.id} ${state} with ${row.taskId}`);
    }
    if (row.doubtful && !['pending', 'submitting', 'uncertain'].includes(state)) {
      throw new Error(`row_state_doubtful: ${row.id} ${state}`);
    }
    if (state === 'submitting' && (row.attemptId === null || row.deadline === null)) {
      throw new Error(`row_state_in_flight: ${row.id}`);
    }
  }

  #known<T>(one: T | undefined): T {
    if (one === undefined) throw new Error('a foreign key points nowhere');
    return one;
  }
}

function copied<K, V extends object>(map: ReadonlyMap<K, V>): Map<K, V> {
  const copy = new Map<K, V>();
  for (const [key, value] of map) copy.set(key, { ...value });
  return copy;
}
