/**
 * The result of one POST. Only `throttled` and `not-sent` carry `retry`, so a re-send of anything else does not compile.
 */
export type Outcome = Accepted | Rejected | Throttled | NotSent | Halted | Uncertain | Invalid;

export type OutcomeKind = Outcome['kind'];

/** The part of an answer that is stored, for people and for reconciliation. Contains no secret. */
export interface Evidence {
  /** When the head of an answer arrived. */
  httpStatus?: number;
  /** The provider's code for the error (`fail_to_fetch_task/CreditInsufficient`), else ours (`ECONNREFUSED`). */
  code?: string;
  /** One line for a person. */
  message?: string;
  /** The body of the answer, at most 64 KiB, without the API key. */
  body?: string;
  /** Request ids from the headers of the provider or a proxy. */
  requestId?: string;
  /** Headers of the answer, names in lower case: at most 4 KiB as JSON, without cookies. */
  headers?: Readonly<Record<string, string>>;
  /** The last phase that the exchange certainly reached. */
  phase: 'connecting' | 'sending' | 'sent' | 'answering' | 'answered';
}

interface Judged<Kind extends string> {
  kind: Kind;
  evidence: Evidence;
}

export interface Accepted extends Judged<'accepted'> {
  taskId: string;
  /** The status of the task, in the provider's words. */
  providerStatus?: string;
  /** Where the provider says to ask for the task: path and query on its own origin. */
  queryUrl?: string;
  /** The provider says that this answer repeats an earlier one to the same idempotency key. */
  replayed?: true;
}

/** Refused for the content of the row. A person must act before it is sent again. */
type Rejected = Judged<'rejected'>;

/** Refused for now, and known not to be accepted. Costs no attempt. */
interface Throttled extends Judged<'throttled'> {
  retry: { afterMs?: number };
}

/** Provably not accepted: it never left this process, or the provider says so. Costs an attempt. */
export interface NotSent extends Judged<'not-sent'> {
  retry: { afterMs?: number };
}

/** It never left this process, and may be tried again at once. */
export function notSent(code: string, message: string): NotSent {
  return { kind: 'not-sent', retry: { afterMs: 0 }, evidence: { phase: 'connecting', code, message } };
}

/** Refused because of the key, the account or the URL, which affects every row. Stops the provider for all workers. */
type Halted = Judged<'halted'>;

/** It cannot be known whether the provider accepted. Never sent again by itself. */
export type Uncertain = Judged<'uncertain'>;

/** Codes of vidbatch itself. They say nothing about the provider. */
const OWN_REASONS = new Set([
  'NO_JOURNAL',
  'IN_DOUBT',
  'STALE_CLAIM',
  'NEVER_SENT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** The provider could not be reached: the name is unknown, the connection was refused, or TLS failed. */
export function isUnreached({ kind, evidence: { phase, code = '' } }: Outcome): boolean {
  return kind === 'not-sent' && phase === 'connecting' && !OWN_REASONS.has(code);
}

/** The provider was reached, with any result. */
export function isReached({ evidence }: Outcome): boolean {
  return evidence.phase !== 'connecting';
}

/** The check before sending found a broken rule: the row was not sent. */
type Invalid = Judged<'invalid'>;

/** The answer to a poll. `transient` says nothing about the task: ask again later. */
export type TaskReport =
  | {
      kind: 'task';
      status: 'queued' | 'in_progress' | 'completed' | 'failed' | 'unknown';
      /** In the provider's words. */
      rawStatus: string;
      /** 0-100. */
      progress?: number;
      /** The request must carry the key if `Provider.headersFor` says so. */
      resultUrl?: string;
      /** When that URL expires, in milliseconds since the epoch: the answer, the URL itself or the profile says so. */
      urlExpiry?: { at: number; by: 'answer' | 'url' | 'profile' };
      failReason?: string;
      /** What the task costs, if the answer tells it: a decimal number with all its digits. */
      cost?: { amount: string; unit: string };
      body: string;
    }
  | { kind: 'missing'; body: string }
  | {
      kind: 'transient';
      /** `refused`: because of the key or the URL, which affects every task. */
      trouble: 'throttled' | 'refused' | 'broken';
      message: string;
      afterMs?: number;
    };
