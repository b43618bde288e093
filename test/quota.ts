import { steer, unknownQuota } from '../src/core/rate/auto-rate.ts';
import type { Random } from './simulation/random.ts';

/** How providers count. Each takes the moment in milliseconds and the quota of that moment, a second. */
export const QUOTAS: Record<string, () => (at: number, perSecond: number) => boolean> = {
  'a sliding second'() {
    let taken: number[] = [];
    return (at, perSecond) => {
      taken = taken.filter((one) => one > at - 1000);
      return taken.length < perSecond && taken.push(at) > 0;
    };
  },
  'each second of the clock'() {
    let second = -1;
    let taken = 0;
    return (at, perSecond) => {
      if (Math.floor(at / 1000) !== second) [second, taken] = [Math.floor(at / 1000), 0];
      return (taken += 1) <= perSecond;
    };
  },
  'a bucket of a second'() {
    let [tokens, filled] = [Infinity, 0];
    return (at, perSecond) => {
      tokens = Math.min(perSecond, tokens + ((at - filled) / 1000) * perSecond);
      filled = at;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    };
  },
  'a leaking bucket of two'() {
    let free = 0;
    return (at, perSecond) => {
      if (free > at + 2000 / perSecond) return false;
      free = Math.max(free, at) + 1000 / perSecond;
      return true;
    };
  },
};

export interface Course {
  allows: (at: number, perSecond: number) => boolean;
  /** Seconds, and the quota meanwhile. */
  phases: readonly (readonly [seconds: number, perSecond: number])[];
  random: Random;
  /** There and back, in milliseconds. */
  lagMs?: number;
  /** What the provider asks for when it refuses. */
  retryAfterMs?: number;
  /** By which requests come late, in milliseconds: at the most. */
  jitterMs?: number;
}

const STEP_MS = 5;
const AHEAD_MS = 150;

/** Sends by the rate that is found, for as long as there are phases: what was used of the quota, and refused of the calls. */
export function course({ allows, phases, random, lagMs = 100, retryAfterMs = 0, jitterMs = 5 }: Course): {
  used: number;
  refused: number;
} {
  const quotas = phases.flatMap(([seconds, perSecond]) => Array.from({ length: seconds }, () => perSecond));
  let known = unknownQuota(0);
  let [nextSlot, sent, calls, accepted, stoppedUntil, level] = [0, 0, 0, 0, 0, 0];
  let waiting: { slot: number; claimedAt: number }[] = [];
  let answers: { at: number; claimedAt: number; ok: boolean }[] = [];
  for (let now = 0; now < quotas.length * 1000; now += STEP_MS) {
    for (const { claimedAt, ok } of answers.filter(({ at }) => at <= now)) {
      if (ok) level = 0;
      else {
        const isNew = claimedAt >= known.cutAt;
        level += isNew ? 1 : 0;
        const backoff =
          Math.min(1000, 2000 / known.perSecond) * 2 ** Math.max(0, level - 1) * (0.5 + random.next() / 2);
        const stopMs = Math.max(retryAfterMs, backoff);
        if (isNew) stoppedUntil = Math.max(stoppedUntil, now + stopMs);
        known = steer(known, { at: now, sent, lagMs: lagMs + AHEAD_MS, refusal: { isNew, stopMs } });
      }
    }
    answers = answers.filter(({ at }) => at > now);
    if (now % 500 === 0) known = steer(known, { at: now, sent, lagMs: lagMs + AHEAD_MS });
    nextSlot = Math.max(nextSlot, now);
    while (nextSlot <= (now < stoppedUntil ? -1 : now + AHEAD_MS)) {
      const slot = nextSlot;
      waiting.push({ slot, claimedAt: now });
      nextSlot = slot + 1000 / known.perSecond;
      sent += 1;
    }
    for (const { claimedAt } of waiting.filter(({ slot }) => slot <= now)) {
      const at = now + lagMs / 2 + random.next() ** 4 * jitterMs;
      const ok = allows(at, quotas[Math.floor(at / 1000)] ?? quotas.at(-1) ?? 0);
      calls += 1;
      accepted += ok ? 1 : 0;
      answers.push({ at: at + lagMs / 2, claimedAt, ok });
    }
    waiting = waiting.filter(({ slot }) => slot > now);
  }
  return { used: accepted / quotas.reduce((sum, one) => sum + one, 0), refused: (calls - accepted) / calls };
}
