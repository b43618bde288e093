import type { Outcome } from './outcome.ts';

const HOUR_MS = 3_600_000;

declare const given: unique symbol;

/**
 * Permission to send an uncertain row again under its Idempotency-Key, because the provider honours the key: the user or
 * the profile says so. Only `sameKeyOf` makes one, so no other re-send of an uncertain row compiles.
 */
export interface SameKey {
  readonly [given]: true;
  /** No request leaves under a key that was first used longer ago than this. */
  readonly lifeMs: number;
}

/** How a profile treats idempotency keys. */
export interface KeyTerms {
  /** It is documented that a repeated key is answered with the first task. */
  honoured: boolean;
  /** Milliseconds for which the provider remembers a key. */
  lifetime?: number | undefined;
}

/** Providers keep a key for at least 24 hours, if nothing else is known. */
const USUAL_LIFETIME_MS = 24 * HOUR_MS;
/** A request may be on its way for minutes after it left: in a proxy, or at a provider that is busy. */
const TRAVEL_MS = 10 * 60_000;

/** Half of a lifetime leaves room for clocks and queues. */
function lifeOf(lifetimeMs: number): number {
  return Math.min(lifetimeMs / 2, lifetimeMs - TRAVEL_MS);
}

/**
 * `terms`: of the batch's profile. `none`: it sends no key. Then a row that goes again would be a second order, also if the
 * user says that the provider honours keys. A lifetime in the terms counts in each case.
 */
export function sameKeyOf(
  config: { providerIdempotent?: boolean },
  terms: KeyTerms | 'none' = { honoured: false },
): SameKey | undefined {
  if (terms === 'none' || !(terms.honoured || config.providerIdempotent === true)) return undefined;
  const lifeMs = lifeOf(terms.lifetime ?? USUAL_LIFETIME_MS);
  return lifeMs > 0 ? ({ lifeMs } as SameKey) : undefined;
}

/** The permission, unless the key is too old. `doubtMs` undefined: no earlier attempt may have been accepted. */
export function unlessTooOld(sameKey: SameKey | undefined, doubtMs: number | undefined): SameKey | undefined {
  return doubtMs === undefined || (sameKey !== undefined && doubtMs < sameKey.lifeMs) ? sameKey : undefined;
}

/**
 * When a row may be tried again: because the outcome allows it, or because the user permits it. Undefined: it may
 * not.
 */
export function retryOf(outcome: Outcome, sameKey?: SameKey): { afterMs?: number } | undefined {
  if (outcome.kind === 'throttled' || outcome.kind === 'not-sent') return outcome.retry;
  return outcome.kind === 'uncertain' && sameKey !== undefined ? {} : undefined;
}

/**
 * The wait before attempt `attempt + 1`, in milliseconds: exponential with full jitter, which spreads rows that failed
 * together. `attempt` counts from 1; `random` gives [0, 1).
 */
export function backoffMs(options: {
  attempt: number;
  random: () => number;
  baseMs?: number;
  capMs?: number;
}): number {
  const { attempt, random, baseMs = 1000, capMs = 60_000 } = options;
  const ceiling = Math.min(capMs, baseMs * 2 ** (Math.max(1, attempt) - 1));
  return Math.floor(random() * ceiling);
}

/**
 * How long all workers wait after a 429, in milliseconds: at least as long as the provider asked for, with jitter. `level`
 * counts throttled answers in a row, from 1. `baseMs`: the first wait.
 */
export function throttleMs(options: {
  level: number;
  retryAfterMs?: number | undefined;
  random: () => number;
  baseMs?: number;
}): number {
  const { level, retryAfterMs, random, baseMs = 1000 } = options;
  const ceiling = Math.min(60_000, baseMs * 2 ** (Math.max(1, level) - 1));
  const floor = Math.max(retryAfterMs ?? 0, ceiling / 2);
  return Math.floor(floor + random() * (ceiling / 2));
}

const NAMED_DAY = /^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[ ,]/i;
const ASCTIME = /^[a-z]{3} [a-z]{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/i;

/**
 * A `Retry-After` header (RFC 9110, 10.2.3: seconds or an HTTP date) in milliseconds from `now`, or undefined. At most one
 * hour: a wrong clock must not stop a batch for a year.
 */
export function parseRetryAfter(value: string, { now }: { now: number }): number | undefined {
  const text = value.trim();
  const seconds = /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
  const ms = seconds === undefined ? parseHttpDate(text) - now : seconds * 1000;
  return Number.isNaN(ms) ? undefined : Math.min(HOUR_MS, Math.max(0, Math.ceil(ms)));
}

/**
 * Milliseconds since the epoch, or NaN. `Date.parse` alone reads "5 apples" as a date, and asctime in the local zone.
 */
export function parseHttpDate(text: string): number {
  if (!NAMED_DAY.test(text)) return Number.NaN;
  return Date.parse(ASCTIME.test(text) ? `${text} GMT` : text);
}
