import type { Disk } from './disk.ts';
import type { Random } from './random.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** What the sources under simulation find instead of the machine they run on. */
export interface Stage {
  scheduler: Scheduler;
  random: Random;
  /** Of the machine whose code runs. */
  disk: (owner: Owner) => Disk;
  /** Wall clock of the process whose code runs, in milliseconds. */
  wall: (owner: Owner) => number;
}

let current: Stage | undefined;

/** One run at a time: whatever is simulated from now on plays on this stage. */
export function enter(stage: Stage): void {
  current = stage;
}

/** The stage, and whose code runs on it. */
export function onStage(): Stage & { owner: Owner } {
  const owner = current?.scheduler.running;
  if (current === undefined || owner === undefined) throw new Error('nothing is being simulated');
  return { ...current, owner };
}
