import type { Outcome } from '../../core/outcome.ts';
import type { SameKey } from '../../core/retry-policy.ts';
import type { State } from '../../core/states.ts';

export interface Result {
  attemptId: string;
  outcome: Outcome;
  /** When a row that goes back to pending may be tried again; ignored for other outcomes. */
  waitMs: number;
  /** Attempts after which a row that was provably not sent is exhausted. */
  maxAttempts: number;
  /** Permission to send a row again although its outcome is unknown. Without it, the row is uncertain. */
  sameKey?: SameKey;
}

/** The result for the row. `moved` false: the attempt had been recorded before, or a newer one decides. */
export interface Recorded {
  attemptId: string;
  state: State;
  moved: boolean;
  surplus: boolean;
  /** Its task id was known before, from another attempt of the row. */
  known: boolean;
  /** The provider is stopped now, for all workers. */
  halted: boolean;
}

/** What an attempt keeps of its answer, as JSON for `ANSWER`. */
export function toJson(results: readonly Result[]): string {
  return JSON.stringify(results.map(answerOf));
}

/** The columns of `toJson`. */
export const ANSWER = `attempt_id uuid, kind text, phase text, http_status int, code text, message text, request_id text,
         headers text, task_id text, query_url text, body text`;

function answerOf({ attemptId, outcome }: Result): Record<string, unknown> {
  const { evidence } = outcome;
  return {
    attempt_id: attemptId,
    kind: outcome.kind,
    phase: evidence.phase,
    http_status: evidence.httpStatus,
    code: storable(evidence.code),
    message: storable(evidence.message),
    request_id: storable(evidence.requestId),
    headers: evidence.headers === undefined ? undefined : JSON.stringify(evidence.headers),
    task_id: outcome.kind === 'accepted' ? storable(outcome.taskId) : undefined,
    query_url: outcome.kind === 'accepted' ? storable(outcome.queryUrl) : undefined,
    body: storable(evidence.body),
  };
}

/** Postgres text holds neither NUL nor lone surrogates; an answer may. A record must never fail over that. */
export function storable(text: string): string;
export function storable(text: string | undefined): string | undefined;
export function storable(text: string | undefined): string | undefined {
  return text?.toWellFormed().replaceAll('\0', '\uFFFD');
}
