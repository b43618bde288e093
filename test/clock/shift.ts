/**
 * Preloaded into a real process (`NODE_OPTIONS=--import …`): its wall clock is off from the start, or jumps when a named
 * point is reached or it gets SIGUSR2, as when the time is set; or its event loop stands still there. Its monotonic clock is left alone.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Point } from '../../src/core/crash-points.ts';

export interface Shift {
  /** Milliseconds by which the wall clock is ahead from the start. */
  aheadMs?: number;
  /** Where something happens, and which time, from 1; 1. Without a point: when the process gets SIGUSR2. */
  at?: Point;
  time?: number;
  /** Milliseconds by which the wall clock jumps there. */
  jumpMs?: number;
  /** Milliseconds for which the event loop stands still there. */
  blockMs?: number;
}

/** The environment of a command whose clock does that. */
export function shifted(shift: Shift): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(import.meta.filename).href}`,
    VIDBATCH_TEST_SHIFT: JSON.stringify(shift),
  };
}

const { VIDBATCH_TEST_SHIFT: text } = process.env;
if (text !== undefined) {
  const { aheadMs = 0, at, time = 1, jumpMs = 0, blockMs = 0 } = JSON.parse(text) as Shift;
  let offset = aheadMs;
  const now = (): number => real.now() + offset;
  const real = globalThis.Date;
  globalThis.Date = new Proxy(real, {
    construct: (target, given: [], made) =>
      Reflect.construct(target, given.length === 0 ? [now()] : given, made) as Date,
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
  let left = time;
  const happen = (where: string): void => {
    left -= 1;
    if (left !== 0) return;
    offset += jumpMs;
    if (blockMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
    writeSync(2, `shifted at ${where}\n`);
  };
  if (at === undefined) process.on('SIGUSR2', () => happen('SIGUSR2'));
  else subscribe(`vidbatch:${at}`, () => happen(at));
}
