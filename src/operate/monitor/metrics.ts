import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { formatAmount } from '../../core/money/money.ts';
import type { Amount } from '../../core/money/money.ts';
import type { Outcome, OutcomeKind } from '../../core/outcome.ts';
import type { PollVerdict } from '../../core/poll-plan.ts';
import type { Cost } from '../../ledger/money/costs.ts';
import type { Blocked } from '../../ledger/send/blocked.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import type { Polled } from '../../ledger/tasks/record-polls.ts';
import type { Verdict } from '../../worker/submit.ts';
import { PARTS } from './survey.ts';
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

/** A provider's code may be any text. A label is short and has few characters. */
const LONGEST_CODE = 60;

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
    gauge(this.#registry, 'vidbatch_build_info', 'The running version, as a label; the value is always 1', [
      { labels: { version }, value: 1 },
    ]);
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
    return Registry.merge([this.#registry, surveyed(survey)]).metrics();
  }

  /** Waits that overlap count once. */
  #throttleFor(ms: number): void {
    const now = performance.now();
    const until = Math.max(this.#throttledUntil, now + ms);
    this.#throttled.inc((until - Math.max(this.#throttledUntil, now)) / 1000);
    this.#throttledUntil = until;
  }
}

function surveyed(survey: Survey): Registry {
  const { health, rows, tasks, standing, limits, queue, workers, worker, draining, costs = [] } = survey;
  const registry = new Registry();
  const say = (name: string, help: string, value: number | undefined): void => {
    if (value !== undefined) gauge(registry, name, help, [{ value }]);
  };
  const sayBy = (
    name: string,
    help: string,
    label: string,
    values: Record<string, number> | undefined,
  ): void => {
    const samples = Object.entries(values ?? {}).map(([key, value]) => ({ labels: { [label]: key }, value }));
    if (samples.length > 0) gauge(registry, name, help, samples);
  };
  const up = Object.fromEntries(PARTS.map((part) => [part, health[part] === undefined ? 1 : 0]));
  sayBy(
    'vidbatch_up',
    '1: this part answers; the values of a part that does not answer are left out',
    'part',
    up,
  );
  say('vidbatch_draining', '1: this worker was told to stop and takes no more rows', draining ? 1 : 0);
  sayBy('vidbatch_rows', 'Rows of all batches, as they were last counted', 'state', rows?.value);
  say(
    'vidbatch_rows_counted_timestamp_seconds',
    'When vidbatch_rows was counted; many rows are counted less often',
    rows === undefined ? undefined : rows.at.getTime() / 1000,
  );
  sayBy(
    'vidbatch_tasks',
    'Tasks of all batches by their last status; otherwise: the provider changed the final status',
    'state',
    tasks?.value && { ...tasks.value },
  );
  say('vidbatch_uncertain_rows', 'Rows that may have been paid and wait for a person', standing?.uncertain);
  say('vidbatch_surplus_task_ids', 'Second task ids of rows: paid twice', standing?.surplus);
  say(
    'vidbatch_oldest_pending_age_seconds',
    'Since the oldest pending row came in or was first tried; 0: none is pending',
    standing?.oldestPendingSeconds,
  );
  sayBy(
    'vidbatch_open_halts',
    'Providers at which nothing is sent, by the code of the reason',
    'code',
    standing && byLabel(standing.halts),
  );
  sayBy(
    'vidbatch_stopped_batches',
    'Batches that stopped themselves (a canary, a share of failures), by the code of the reason',
    'code',
    standing && byLabel(standing.stopped),
  );
  say(
    'vidbatch_failing_schedules',
    'Schedules whose latest run could not make its batch',
    standing?.failingSchedules,
  );
  sayBy(
    'vidbatch_workers',
    'Workers of this ledger; gone: killed within the last day, or without the ledger',
    'state',
    workers && {
      alive: workers.filter(({ alive }) => alive).length,
      gone: workers.filter(({ alive }) => !alive).length,
    },
  );
  const money = (name: string, help: string, of: (cost: Cost) => Amount): void => {
    const samples = costs.flatMap((cost) =>
      cost.currency === null
        ? []
        : [
            {
              labels: { currency: cost.currency, model: cost.model ?? 'unknown' },
              value: Number(formatAmount(of(cost))),
            },
          ],
    );
    if (samples.length > 0) gauge(registry, name, help, samples);
  };
  money('vidbatch_spent', 'What accepted rows cost by their prices', ({ spent }) => spent);
  money('vidbatch_at_risk', 'What uncertain rows may have cost', ({ atRisk }) => atRisk);
  const byModel = (value: (limit: LimitInForce) => number | null): Record<string, number> =>
    Object.fromEntries(
      (limits ?? []).flatMap((limit) => {
        const one = value(limit);
        return one === null ? [] : [[limit.model ?? 'all', one]];
      }),
    );
  sayBy(
    'vidbatch_rate_limit_per_second',
    'Requests a second that all workers together may send, given or found, by model',
    'model',
    byModel(({ perSecond }) => perSecond),
  );
  sayBy(
    'vidbatch_task_limit',
    'Tasks that may run at the provider at a time, by model',
    'model',
    byModel(({ maxInFlight }) => maxInFlight),
  );
  sayBy(
    'vidbatch_limited_tasks',
    'Places of vidbatch_task_limit that are taken, by model',
    'model',
    byModel(({ inFlight }) => inFlight),
  );
  sayBy('vidbatch_queue_jobs', 'Jobs of the queue that all `work` share', 'state', queue?.value);
  say(
    'vidbatch_in_flight_rows',
    'Rows that this worker is claiming, sending or recording',
    worker?.inFlight(),
  );
  say('vidbatch_journal_bytes', "Length of this worker's journal", worker?.journal().bytes);
  say(
    'vidbatch_journal_full',
    '1: the disk has no room for the journal, and nothing is sent',
    worker && (worker.journal().full ? 1 : 0),
  );
  return registry;
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  samples: readonly { labels?: Record<string, string>; value: number }[],
): void {
  const labelNames = Object.keys(samples[0]?.labels ?? {});
  const one = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const { labels = {}, value } of samples) one.set(labels, value);
}

function byLabel(halts: Record<string, number>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [code, n] of Object.entries(halts)) {
    const label = code.replaceAll(/[^\w.:-]/g, '_').slice(0, LONGEST_CODE);
    counts[label] = (counts[label] ?? 0) + n;
  }
  return counts;
}
