/** The soak can fail: with one guard of the program taken out, a plan that is aimed at it reports what broke. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { mutated } from '../mutation/mutate.ts';
import type { MutationName } from '../mutation/mutations.ts';
import type { Plan } from './plan.ts';
import { playRound } from './round.ts';
import type { RoundResult } from './round.ts';
import { openServices } from './services.ts';

const services = await openServices();
after(services.close);

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
const DEATHS: Plan = {
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

/** Two workers fall asleep for longer than their deadlines: one before it has sent, one after it was answered. */
const SLEEPERS: Plan = {
  ...CALM,
  manifests: [12],
  workers: 2,
  concurrency: 1,
  // Not the first row, which nobody overtakes.
  fates: [
    { point: 'claimed', time: 3, signal: 'SIGSTOP' },
    { point: 'answer-journaled', time: 3, signal: 'SIGSTOP' },
  ],
  steps: [
    { afterMs: 0, do: 'wait', until: 'every sleeper is asleep' },
    { afterMs: 0, do: 'hire' },
    { afterMs: 0, do: 'deadlines-pass', of: 'all' },
    { afterMs: 0, do: 'wait', until: 'as many rows are uncertain' },
    { afterMs: 0, do: 'call-not-sent' },
    { afterMs: 0, do: 'wait', until: 'all others were accepted' },
    { afterMs: 5_100, do: 'wake' },
  ],
};

function play(plan: Plan, broken?: MutationName): Promise<RoundResult> {
  return playRound({ plan, services, ...(broken === undefined ? {} : { broken: mutated(broken) }) });
}

describe('with every guard in place', () => {
  for (const [name, plan] of Object.entries({ DEATHS, SLEEPERS })) {
    it(`nothing is reported: ${name.toLowerCase()}`, async () => {
      assert.deepEqual((await play(plan)).violations, []);
    });
  }
});

const BROKEN: readonly (readonly [MutationName, Plan, RegExp])[] = [
  ['claim-without-compare', DEATHS, /^acceptedTwice: /],
  ['journal-without-answers', DEATHS, /^task id lost: /],
  ['journal-without-intents', DEATHS, /^acceptedTwice: /],
  ['uncertain-is-sent-again', DEATHS, /^acceptedTwice: /],
  ['record-forgets-task-id', SLEEPERS, /^(acceptedTwice|task id lost|forgotten): /],
  ['stale-sender-sends', SLEEPERS, /^acceptedTwice: /],
];

describe('with one guard taken out', () => {
  for (const [name, plan, expected] of BROKEN) {
    it(`the soak reports it: ${name}`, async () => {
      const { violations } = await play(plan, name);
      assert.ok(
        violations.some((violation) => expected.test(violation)),
        `${name}: ${JSON.stringify(violations, null, 2)}`,
      );
    });
  }
});
