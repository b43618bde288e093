/**
 * What one POST told us. The kinds and what follows from each are the table of the design; only `throttled`
 * and `not-sent` carry `retry`, so a re-send of anything else does not compile.
 */
export type Outcome = Accepted | Rejected | Throttled | NotSent | Halted | Uncertain;

export type OutcomeKind = Outcome['kind'];

/** What is kept of an answer, for people and for reconciliation. Contains no secret. */
export interface Evidence {
  /** HTTP status, when an answer's head arrived. */
  httpStatus?: number;
  /** The provider's own code for the error, else ours, for example `ECONNREFUSED`, `fail_to_fetch_task/CreditInsufficient`. */
  code?: string;
  /** One line for a person. */
  message?: string;
  /** The raw answer body, at most 64 KiB, the API key redacted. */
  body?: string;
  /** Request id headers as sent by the provider or a proxy. */
  requestId?: string;
  /** The answer's headers when its head arrived, names in lower case: at most 4 KiB as JSON, without cookies. */
  headers?: Readonly<Record<string, string>>;
  /** How far the exchange is known to have come. */
  phase: 'connecting' | 'sending' | 'sent' | 'answering' | 'answered';
}

export interface Accepted {
  kind: 'accepted';
  taskId: string;
  /** The provider's status in the answer, as it was written. */
  providerStatus?: string;
  evidence: Evidence;
}

/** Refused for what the row says: never sent again without a person. */
export interface Rejected {
  kind: 'rejected';
  evidence: Evidence;
}

/** Refused for now, known not to be accepted. Costs no attempt. */
export interface Throttled {
  kind: 'throttled';
  retry: { afterMs?: number };
  evidence: Evidence;
}

/** Provably not accepted: it never left this process, or the provider says so. Costs an attempt. */
export interface NotSent {
  kind: 'not-sent';
  retry: { afterMs?: number };
  evidence: Evidence;
}

/** Refused for who we are or where we knock: every row would be. Stops the provider for all workers. */
export interface Halted {
  kind: 'halted';
  evidence: Evidence;
}

/** Nobody can know whether the provider accepted. Never sent again by itself. */
export interface Uncertain {
  kind: 'uncertain';
  evidence: Evidence;
}

/** The provider, as the heart sees it. */
export interface Provider {
  /** Where task ids of this provider belong to: scheme, host, port and path of the base URL, without `/v1`. */
  readonly origin: string;
  /**
   * One POST of `body` (the exact JSON text) and nothing else: no retry, no redirect. Never throws: whatever
   * happens is an outcome. `mayLeave` is asked when nothing but the write to the socket is left to do: a process may
   * have been stopped while it connected.
   */
  create(body: string, options: { idempotencyKey: string; mayLeave?: () => boolean }): Promise<Outcome>;
  /** Asks for one task. Never throws. `signal`: nobody waits for the answer any more. */
  query(taskId: string, options?: { signal?: AbortSignal }): Promise<TaskReport>;
  close(): Promise<void>;
}

/** One answer to "how is this task". `transient` says nothing about the task: ask again later. */
export type TaskReport =
  | {
      kind: 'task';
      status: 'queued' | 'in_progress' | 'completed' | 'failed' | 'unknown';
      /** As the provider wrote it. */
      rawStatus: string;
      /** 0-100. */
      progress?: number;
      resultUrl?: string;
      /** When that URL dies, in milliseconds since the epoch, where the answer or the URL itself says so. */
      urlExpiry?: { at: number; by: 'answer' | 'url' };
      failReason?: string;
      body: string;
    }
  | { kind: 'missing'; body: string }
  | {
      kind: 'transient';
      /** `refused`: for who asks or where, so that every task would be. */
      trouble: 'throttled' | 'refused' | 'broken';
      message: string;
      afterMs?: number;
    };
