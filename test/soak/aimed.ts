import { mutated } from '../mutation/mutate.ts';
import type { MutationName } from '../mutation/mutations.ts';
import type { Plan } from './plan.ts';
import { playRound, type RoundResult } from './round.ts';
import type { Services } from './services.ts';

/** What rounds that are aimed at one guard have in common: nothing that they do not need. */
const CALM = {
  seed: 1,
  round: 0,
  storage: 'redis+postgres',
  timeoutMs: 4000,
  latency: { minMs: 20, maxMs: 40 },
  slowMs: 0,
  faults: [],
  end: { stop: 'SIGTERM', by: 'run', retry: false, settle: 0, misjudge: 0, verify: false },
} as const satisfies Partial<Plan>;

/** Workers die between sending and recording, answers are lost, and somebody presses every button of the dashboard. */
export const DEATHS: Plan = {
  ...CALM,
  manifests: [30],
  workers: 1,
  concurrency: 2,
  faults: ['reset-after-body:created=0.15'],
  fates: [
    { point: 'answer-journaled', time: 4 },
    { point: 'sent', time: 1 },
  ],
  steps: [
    { afterMs: 0, do: 'wait', until: 'every fate is met' },
    { afterMs: 0, do: 'wait', until: 'all others were accepted' },
    { afterMs: 0, do: 'duplicate-jobs' },
    { afterMs: 0, do: 'wait', until: 'no job waits' },
  ],
};

/** A worker falls asleep for longer than its deadline, between the answer and its record; another one judges it. */
export const SLEEPER: Plan = {
  ...CALM,
  manifests: [8],
  workers: 1,
  concurrency: 1,
  // Not the first row, which nobody overtakes.
  fates: [{ point: 'answer-journaled', time: 3, signal: 'SIGSTOP' }],
  steps: [
    { afterMs: 0, do: 'wait', until: 'every sleeper is asleep' },
    { afterMs: 0, do: 'deadlines-pass', of: 'all' },
    { afterMs: 0, do: 'hire' },
    { afterMs: 0, do: 'wait', until: 'as many rows are uncertain' },
    { afterMs: 0, do: 'wake' },
  ],
};

/** Plays it with this guard taken out. */
export function aim(services: Services, plan: Plan, broken?: MutationName): Promise<RoundResult> {
  return playRound({ plan, services, ...(broken === undefined ? {} : { broken: mutated(broken) }) });
}
