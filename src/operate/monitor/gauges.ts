import { Gauge, Registry } from 'prom-client';
import { formatAmount, type Amount } from '../../core/money/money.ts';
import type { Cost } from '../../ledger/money/costs.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import { SOON } from '../../ledger/tasks/tasks.ts';
import { PARTS } from './health.ts';
import type { Survey } from './survey.ts';

interface Sample {
  labels?: Record<string, string>;
  value: number;
}

/** Numbers of one moment. A number that is not known is left out. */
export class Gauges {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  say(name: string, help: string, value: number | undefined): void {
    this.sayEach(name, help, value === undefined ? [] : [{ value }]);
  }

  sayBy(label: string, name: string, help: string, values: Record<string, number> = {}): void {
    const samples = Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
    this.sayEach(name, help, samples);
  }

  sayEach(name: string, help: string, samples: readonly Sample[]): void {
    const [first] = samples;
    if (first === undefined) return;
    const labelNames = Object.keys(first.labels ?? {});
    const gauge = new Gauge({ name, help, labelNames, registers: [this.#registry] });
    for (const { labels = {}, value } of samples) gauge.set(labels, value);
  }
}

/** What a survey found, for Prometheus. */
export function gaugesOf(survey: Survey): Registry {
  const registry = new Registry();
  const gauges = new Gauges(registry);
  const up = Object.fromEntries(PARTS.map((part) => [part, survey.health[part] === undefined ? 1 : 0]));
  gauges.sayBy(
    'part',
    'vidbatch_up',
    '1: this part answers; the values of a part that does not answer are left out',
    up,
  );
  sayRows(gauges, survey);
  sayTrouble(gauges, survey);
  sayMoney(gauges, survey);
  sayLimits(gauges, survey);
  sayWorkers(gauges, survey);
  return registry;
}

function sayRows(gauges: Gauges, { rows, tasks, dying, queue }: Survey): void {
  gauges.sayBy('state', 'vidbatch_rows', 'Rows of all batches, as they were last counted', rows?.value);
  gauges.say(
    'vidbatch_rows_counted_timestamp_seconds',
    'When vidbatch_rows was counted; many rows are counted less often',
    rows === undefined ? undefined : rows.at.getTime() / 1000,
  );
  gauges.sayBy(
    'state',
    'vidbatch_tasks',
    'Tasks of all batches by their last status; otherwise: the provider changed the final status',
    tasks?.value && { ...tasks.value },
  );
  gauges.say(
    'vidbatch_dying_videos',
    `Completed videos that are not downloaded, and whose URLs expire within ${SOON.words}`,
    dying,
  );
  gauges.sayBy('state', 'vidbatch_queue_jobs', 'Jobs of the queue that all `work` share', queue?.value);
}

/** What needs a person. */
function sayTrouble(gauges: Gauges, { trouble, oldestPendingSeconds }: Survey): void {
  gauges.say(
    'vidbatch_uncertain_rows',
    'Rows that may have been paid and wait for a person',
    trouble?.uncertain,
  );
  gauges.say('vidbatch_surplus_task_ids', 'Second task ids of rows: paid twice', trouble?.paidTwice);
  gauges.say(
    'vidbatch_oldest_pending_age_seconds',
    'Since the oldest pending row came in or was first tried; 0: none is pending',
    oldestPendingSeconds,
  );
  gauges.sayBy(
    'code',
    'vidbatch_open_halts',
    'Providers at which nothing is sent, by the code of the reason',
    trouble && countByCode(trouble.halts),
  );
  gauges.sayBy(
    'code',
    'vidbatch_stopped_batches',
    'Batches that stopped themselves (a canary, a share of failures), by the code of the reason',
    trouble && countByCode(trouble.stopped),
  );
  gauges.say(
    'vidbatch_failing_schedules',
    'Schedules whose latest run could not make its batch',
    trouble?.failedSchedules.length,
  );
  gauges.say(
    'vidbatch_notifications_given_up',
    'Notifications that did not reach their URL in any try of the last days',
    trouble?.untold.reduce((sum, { notices }) => sum + notices, 0),
  );
}

function sayMoney(gauges: Gauges, { costs = [] }: Survey): void {
  const samples = (of: (cost: Cost) => Amount): Sample[] =>
    costs.flatMap((cost) => {
      const { currency, model } = cost;
      if (currency === null) return [];
      return { labels: { currency, model: model ?? 'unknown' }, value: Number(formatAmount(of(cost))) };
    });
  gauges.sayEach(
    'vidbatch_spent',
    'What accepted rows cost by their prices',
    samples(({ spent }) => spent),
  );
  gauges.sayEach(
    'vidbatch_at_risk',
    'What uncertain rows may have cost',
    samples(({ atRisk }) => atRisk),
  );
}

function sayLimits(gauges: Gauges, { limits = [] }: Survey): void {
  const byModel = (valueOf: (limit: LimitInForce) => number | null): Record<string, number> =>
    Object.fromEntries(
      limits.flatMap((limit) => {
        const value = valueOf(limit);
        return value === null ? [] : [[limit.model ?? 'all', value]];
      }),
    );
  gauges.sayBy(
    'model',
    'vidbatch_rate_limit_per_second',
    'Requests a second that all workers together may send, given or found, by model',
    byModel(({ perSecond }) => perSecond),
  );
  gauges.sayBy(
    'model',
    'vidbatch_task_limit',
    'Tasks that may run at the provider at a time, by model',
    byModel(({ maxInFlight }) => maxInFlight),
  );
  gauges.sayBy(
    'model',
    'vidbatch_limited_tasks',
    'Places of vidbatch_task_limit that are taken, by model',
    byModel(({ inFlight }) => inFlight),
  );
}

function sayWorkers(gauges: Gauges, { workers, worker, draining }: Survey): void {
  gauges.sayBy(
    'state',
    'vidbatch_workers',
    'Workers of this ledger; gone: killed within the last day, or without the ledger',
    workers && {
      alive: workers.filter(({ alive }) => alive).length,
      gone: workers.filter(({ alive }) => !alive).length,
    },
  );
  gauges.say('vidbatch_draining', '1: this worker was told to stop and takes no more rows', draining ? 1 : 0);
  gauges.say(
    'vidbatch_in_flight_rows',
    'Rows that this worker is claiming, sending or recording',
    worker?.inFlight(),
  );
  gauges.say('vidbatch_journal_bytes', "Length of this worker's journal", worker?.journal().bytes);
  gauges.say(
    'vidbatch_journal_full',
    '1: the disk has no room for the journal, and nothing is sent',
    worker && (worker.journal().full ? 1 : 0),
  );
}

/** A provider's code may be any text. A label is short and has few characters. */
const LONGEST_CODE = 60;

function countByCode(all: readonly { code: string | null }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { code } of all) {
    const label = (code ?? 'unknown').replaceAll(/[^\w.:-]/g, '_').slice(0, LONGEST_CODE);
    counts[label] = (counts[label] ?? 0) + 1;
  }
  return counts;
}
