import type { AcceptRecord } from './record.ts';
import type { Rules } from './rule.ts';
import type { Settings } from './settings.ts';
import type { Stats } from './stats.ts';
import type { Tasks } from './tasks.ts';
import type { Delays } from './wire.ts';

/** What the parts of one simulator share. */
export interface World {
  record: AcceptRecord;
  rules: Rules;
  tasks: Tasks;
  stats: Stats;
  delays: Delays;
  settings: () => Settings;
  /** All that is random follows from it. */
  seed: number;
  now: () => number;
}
