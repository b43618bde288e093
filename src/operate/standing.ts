import type { Gate } from './gates.ts';
import type { Pace, Summary } from './summary.ts';

/** What a batch does now, in one or two words. */
export type Standing =
  | 'sending'
  | 'waiting'
  | 'no worker'
  | 'closed'
  | 'paused'
  | 'cancelled'
  | 'halted'
  | 'stopped'
  | 'throttled'
  | 'budget used'
  | 'too late'
  | 'rendering'
  | 'not polled'
  | 'uncertain'
  | 'done';

/** What a person should think of it: rows move, a person must act, a person may have to act, nothing more happens. */
export const TONES = {
  sending: 'good',
  rendering: 'good',
  waiting: undefined,
  closed: 'bad',
  'no worker': 'bad',
  'not polled': 'warning',
  halted: 'bad',
  stopped: 'bad',
  uncertain: 'warning',
  paused: 'warning',
  'budget used': 'warning',
  'too late': 'warning',
  throttled: 'warning',
  done: 'soft',
  cancelled: 'soft',
} as const satisfies Record<Standing, 'good' | 'bad' | 'warning' | 'soft' | undefined>;

/** Undefined: rows may be sent in spite of this gate. */
const SHUT: Readonly<Record<Gate['gate'], Standing | undefined>> = {
  closed: 'closed',
  paused: 'paused',
  cancelled: 'cancelled',
  halted: 'halted',
  stopped: 'stopped',
  throttled: 'throttled',
  'other-provider': undefined,
  trying: undefined,
  window: 'waiting',
  'not-before': 'waiting',
  deadline: 'too late',
  budget: 'budget used',
};

/** These gates may concern some rows of a batch only, as does the pause of a model. */
const PARTIAL: ReadonlySet<Gate['gate']> = new Set(['window', 'not-before', 'throttled']);

type Seen = Pick<Summary, 'rows' | 'counts' | 'gates'> & Pick<Pace, 'rate' | 'fed'>;

/** `tasks`: how many tasks have no known end, and whether a process polls them. */
export function standingOf(
  { rows, counts, gates, rate, fed }: Seen,
  tasks: { open: number; polled: boolean },
): Standing {
  if (counts.pending + counts.submitting > 0) {
    for (const { gate, model } of gates) {
      const shut = SHUT[gate];
      const isPartial = PARTIAL.has(gate) || model !== undefined;
      if (shut !== undefined && !(isPartial && rate > 0)) return shut;
    }
    return fed ? 'sending' : 'no worker';
  }
  if (tasks.open > 0) return tasks.polled ? 'rendering' : 'not polled';
  if (counts.uncertain > 0) return 'uncertain';
  return rows > 0 && counts.cancelled === rows ? 'cancelled' : 'done';
}
