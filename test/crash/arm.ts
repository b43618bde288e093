/**
 * Preloaded into a real process (`NODE_OPTIONS=--import …`): at the n-th time that it reaches the point named in
 * VIDBATCH_TEST_POINT, it gets a signal there and then, with no chance to clean up.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Point } from '../../src/core/crash-points.ts';

export interface Armed {
  point: Point;
  /** Which time, from 1; 1. */
  time?: number;
  /** SIGSTOP: the process says `stopped at <point>` on stderr first. Default: SIGKILL. */
  signal?: 'SIGKILL' | 'SIGSTOP';
}

/** The environment in which a command meets its end at this point. */
export function armed({ point, time = 1, signal = 'SIGKILL' }: Armed): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(import.meta.filename).href}`,
    VIDBATCH_TEST_POINT: point,
    VIDBATCH_TEST_TIME: String(time),
    VIDBATCH_TEST_SIGNAL: signal,
  };
}

const { VIDBATCH_TEST_POINT: point, VIDBATCH_TEST_TIME, VIDBATCH_TEST_SIGNAL } = process.env;
if (point !== undefined) {
  let left = Number(VIDBATCH_TEST_TIME);
  subscribe(`vidbatch:${point}`, () => {
    left -= 1;
    if (left !== 0) return;
    writeSync(2, `${VIDBATCH_TEST_SIGNAL === 'SIGSTOP' ? 'stopped' : 'killed'} at ${point}\n`);
    process.kill(process.pid, VIDBATCH_TEST_SIGNAL);
  });
}
