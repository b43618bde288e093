import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';
import type { Outcome, OutcomeKind } from '../../core/outcome.ts';
import type { PollVerdict } from '../../core/poll-plan.ts';
import type { Blocked } from '../../ledger/send/blocked.ts';
import type { Polled } from '../../ledger/tasks/record-polls.ts';
import type { Verdict } from '../../worker/submit.ts';
import { Gauges, gaugesOf } from './gauges.ts';
import type { Survey } from './survey.ts';

/** Seconds. Most answers to a create take one or two; `--timeout` ends the others, by default after 120. */
const BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300];

const OUTCOMES = {
  accepted: 0,
  rejected: 0,
  throttled: 0,
  'not-sent': 0,
  invalid: 0,
  halted: 0,
  uncertain: 0,
} satisfies Record<OutcomeKind, 0>;

const REASONS = {
  unknown: 0,
  nothing: 0,
  busy: 0,
  'not-due': 0,
  'other-batch': 0,
  'other-provider': 0,
  paused: 0,
  cancelled: 0,
  stopped: 0,
  closed: 0,
  halted: 0,
  expired: 0,
  window: 0,
  budget: 0,
  throttled: 0,
  rate: 0,
  'in-flight': 0,
  alone: 0,
} satisfies Record<Blocked['reason'], 0>;

const POLLS = { said: 0, missed: 0, otherwise: 0, unanswered: 0 } satisfies Record<PollVerdict['kind'], 0>;

/**
 * What Prometheus reads. Every label has few values: states, outcomes, reasons, and the codes of halts and stops. No label
 * names a batch or a key.
 */
export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #registry = new Registry();
  readonly #attempts: Counter<'outcome'>;
  readonly #refused: Counter<'reason'>;
  readonly #throttled: Counter;
  readonly #polls: Counter<'outcome'>;
  readonly #latency: Histogram<'outcome'>;
  /** Monotonic. */
  #throttledUntil = 0;

  constructor(version: string) {
    const registers = [this.#registry];
    this.#attempts = new Counter({
      name: 'vidbatch_attempts_total',
      help: 'Attempts that this worker has recorded, by outcome',
      labelNames: ['outcome'],
      registers,
    });
    this.#refused = new Counter({
      name: 'vidbatch_claims_refused_total',
      help: 'Claims of this worker that got no row, by the reason',
      labelNames: ['reason'],
      registers,
    });
    this.#throttled = new Counter({
      name: 'vidbatch_throttled_seconds_total',
      help: 'Seconds for which the provider throttled this worker; a wait counts when it begins',
      registers,
    });
    this.#latency = new Histogram({
      name: 'vidbatch_provider_request_duration_seconds',
      help: 'From the call of the provider to the end of its answer, by outcome',
      labelNames: ['outcome'],
      buckets: BUCKETS,
      registers,
    });
    this.#polls = new Counter({
      name: 'vidbatch_polls_total',
      help: 'Polls of this worker, by result',
      labelNames: ['outcome'],
      registers,
    });
    for (const outcome of Object.keys(POLLS)) this.#polls.inc({ outcome }, 0);
    for (const outcome of Object.keys(OUTCOMES)) {
      this.#attempts.inc({ outcome }, 0);
      this.#latency.zero({ outcome });
    }
    for (const reason of Object.keys(REASONS)) this.#refused.inc({ reason }, 0);
    new Gauges(this.#registry).sayEach(
      'vidbatch_build_info',
      'The running version, as a label; the value is always 1',
      [{ labels: { version }, value: 1 }],
    );
    collectDefaultMetrics({ register: this.#registry });
  }

  readonly onVerdict = (verdict: Verdict): void => {
    if (verdict.kind === 'blocked') {
      const { reason, waitMs = 0 } = verdict.blocked;
      this.#refused.inc({ reason });
      if (reason === 'throttled') this.#throttleFor(waitMs);
      return;
    }
    this.#attempts.inc({ outcome: verdict.outcome.kind });
    if (verdict.outcome.kind === 'throttled') this.#throttleFor(verdict.waitMs);
  };

  readonly onPolled = ({ verdict }: Polled): void => {
    this.#polls.inc({ outcome: verdict.kind });
  };

  readonly onExchange = ({ kind }: Outcome, ms: number): void => {
    this.#latency.observe({ outcome: kind }, ms / 1000);
  };

  /** The exposition format, text 0.0.4. What the survey could not read is left out. */
  render(survey: Survey): Promise<string> {
    return Registry.merge([this.#registry, gaugesOf(survey)]).metrics();
  }

  /** Waits that overlap count once. */
  #throttleFor(ms: number): void {
    const now = performance.now();
    const until = Math.max(this.#throttledUntil, now + ms);
    this.#throttled.inc((until - Math.max(this.#throttledUntil, now)) / 1000);
    this.#throttledUntil = until;
  }
}
