import { messageOf, VidbatchError } from '../../core/errors.ts';
import { within } from '../../core/within.ts';

/** `skipped`: it could not be checked, for a reason outside of it. */
export type Status = 'ok' | 'warning' | 'failed' | 'skipped';

/** One line of the doctor's report. */
export interface Check {
  /** Stable, for scripts: `redis-eviction`. */
  check: string;
  status: Status;
  /** The finding, in one line, without any secret. */
  what: string;
  /** What to do about it. */
  hint: string | null;
}

export function ok(check: string, what: string): Check {
  return { check, status: 'ok', what, hint: null };
}

export function warning(check: string, what: string, hint: string): Check {
  return { check, status: 'warning', what, hint };
}

export function failed(check: string, what: string, hint: string): Check {
  return { check, status: 'failed', what, hint };
}

/** An error of the configuration. */
export function misconfigured(check: string, error: unknown): Check {
  const hint = error instanceof VidbatchError ? error.hint : undefined;
  return failed(check, messageOf(error), hint ?? 'See .env.example.');
}

/** Undefined for what cannot be parsed: the check of the configuration says why. */
export function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

/** The subject cannot be used. The error says why. */
export function refused(check: string, { message, hint }: VidbatchError): Check {
  return failed(check, message, hint ?? 'The other checks may show the cause.');
}

export function skipped(check: string, what: string): Check {
  return { check, status: 'skipped', what, hint: null };
}

/**
 * The result of `work`, or an error after `ms` milliseconds. Then the signal tells `work` to end, and the caller does
 * not wait for it.
 */
export async function withLimit<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  try {
    return await within(ms, work(over.signal), () => {
      throw new Error(`no answer within ${ms / 1000} s`);
    });
  } finally {
    over.abort();
  }
}

/** The checks of one subject. An error becomes one failed check, so that the checks of the other subjects still run. */
export async function checkSubject(
  check: string,
  ms: number,
  work: (signal: AbortSignal) => Promise<Check[]>,
): Promise<Check[]> {
  try {
    return await withLimit(ms, work);
  } catch (error) {
    return [refused(check, error instanceof VidbatchError ? error : new VidbatchError('', messageOf(error)))];
  }
}

/** The time of the fastest of five requests, in milliseconds: a single request may have waited for something else. */
export async function latencyOf(ask: () => Promise<unknown>): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY;
  for (let times = 0; times < 5; times += 1) {
    const began = performance.now();
    await ask();
    quickest = Math.min(quickest, performance.now() - began);
  }
  return quickest;
}
