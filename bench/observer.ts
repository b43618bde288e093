/**
 * `node --import bench/observer.ts …`: notes for whoever started this process what it took, between two points of the
 * program (`src/core/crash-points.ts`), and ends it when that one is gone.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';

export interface Observed {
  /** Milliseconds between the first time at the one point and the last time at the other. */
  spanMs: number;
  /** Milliseconds of CPU since the first point. */
  cpuMs: number;
  /** The most memory that was resident, in bytes. */
  peakBytes: number;
}

export interface Watch {
  file: string;
  from: string;
  to: string;
}

const { file, from, to } = JSON.parse(process.env['BENCH_WATCH'] ?? '{}') as Watch;
let begun: { at: number; cpu: NodeJS.CpuUsage } | undefined;
let endedAt = 0;

const onFirst = (): void => {
  begun = { at: performance.now(), cpu: process.cpuUsage() };
  // Once is enough: nobody listens while it is measured.
  unsubscribe(`vidbatch:${from}`, onFirst);
};
subscribe(`vidbatch:${from}`, onFirst);
subscribe(`vidbatch:${to}`, () => {
  endedAt = performance.now();
});

process.on('exit', () => {
  const { user, system } = process.cpuUsage(begun?.cpu);
  const observed: Observed = {
    spanMs: begun === undefined ? 0 : endedAt - begun.at,
    cpuMs: (user + system) / 1000,
    peakBytes: peak(),
  };
  writeFileSync(file, JSON.stringify(observed));
});

/** Of this program alone: what `getrusage` says may be of the process that started it. */
function peak(): number {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref();
