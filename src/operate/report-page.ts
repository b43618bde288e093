import { barChart, legend, lineChart, type Bar } from '../core/charts.ts';
import { html, NOTHING, type Html } from '../core/html.ts';
import { formatAmount, formatMoney } from '../core/money/money.ts';
import { STATES, type State } from '../core/states.ts';
import { oneLine } from '../core/text.ts';
import { formatCount, formatDuration, formatUtc } from '../core/units.ts';
import { transaction, type Database } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readCosts, type Cost } from '../ledger/money/costs.ts';
import type { Ending } from '../ledger/read/batch-numbers.ts';
import { readCourse, readLatencies, type CoursePoint, type LatencyGroup } from '../ledger/read/course.ts';
import { readFailures, type FailureGroup } from '../ledger/read/failures.ts';
import { formatPart, formatSums, sumCosts } from './cost.ts';
import { factList, htmlDocument, type Fact } from './document.ts';
import { formatCause } from './failure-steps.ts';
import { formatMs, rateOf, type Report } from './report.ts';

/** What the page shows beside the report. */
export interface ReportExtras {
  course: CoursePoint[];
  latencies: LatencyGroup[];
  failures: FailureGroup[];
  costs: Cost[];
}

export async function readReportExtras(db: Database, batch: Batch): Promise<ReportExtras> {
  return transaction(db, async (session) => {
    await session.query('set transaction isolation level repeatable read, read only');
    return {
      course: await readCourse(session, batch.id),
      latencies: await readLatencies(session, batch.id),
      failures: await readFailures(session, { batchId: batch.id, since: null }),
      costs: await readCosts(session, { batchId: batch.id, since: null, by: ['model'], zone: 'UTC' }),
    };
  });
}

type Provider = Pick<Batch, 'origin' | 'profile' | 'createdAt'>;

/** A batch for the person who paid for it, as one file. */
export function reportPage(seen: Report, provider: Provider, extras: ReportExtras, now: Date): string {
  const { course, latencies, failures, costs } = extras;
  return htmlDocument(
    `${seen.batch} · vidbatch report`,
    html`<h1>${seen.batch}</h1>
      <p class="soft">What was sent, how it ended and what it cost, as of ${formatUtc(now)}.</p>
      ${receiptOf(seen, costs)} ${factList(factsOf(seen, provider))} ${courseOf(course)} ${statesOf(seen)}
      ${latencyOf(seen, latencies)} ${endingsOf(seen.endings)} ${costOf(costs)} ${failuresOf(failures)}`,
  );
}

function receiptOf(seen: Report, costs: readonly Cost[]): Html {
  const { rows, taskIds, counts, tasks, surplus, remade } = seen;
  const count = (n: number, look: 'bad' | 'warning'): Html =>
    n === 0 ? html`0` : html`<span class="${look}">${formatCount(n)}</span>`;
  const spent = formatSums(sumCosts(costs, ({ spent: amount }) => amount));
  const risk = formatSums(sumCosts(costs, ({ atRisk }) => atRisk));
  const facts: Fact[] = [
    ['Rows', formatCount(rows)],
    ['Task ids', formatCount(taskIds)],
    ['Videos completed', formatCount(tasks.byStatus['completed'] ?? 0)],
    ['Tasks failed', count(tasks.byStatus['failed'] ?? 0, 'bad')],
    ['Rows uncertain', count(counts.uncertain, 'warning')],
    ['Paid twice', count(surplus, 'bad')],
    ...(remade > 0 ? [['Paid again on purpose', formatCount(remade)] satisfies Fact] : []),
    ...(spent === '' ? [] : [['Spent', spent] satisfies Fact]),
    ...(risk === ''
      ? []
      : [['May have been paid, too', html`<span class="warning">${risk}</span>`] satisfies Fact]),
  ];
  return html`<h2>Receipt</h2>
    ${factList(facts)}`;
}

function factsOf(seen: Report, { origin, profile, createdAt }: Provider): Fact[] {
  const { calls, durationMs } = seen;
  const rate = rateOf(seen);
  return [
    ['Manifest', seen.source === '-' ? 'standard input' : seen.source],
    ['Provider', origin ?? 'none yet'],
    ['Profile', profile],
    ['Submitted', formatUtc(createdAt)],
    ...(calls.first === null ? [] : [['First request', formatUtc(calls.first)] satisfies Fact]),
    ...(calls.last === null ? [] : [['Last answer', formatUtc(calls.last)] satisfies Fact]),
    ...(durationMs === null ? [] : [['Took', formatDuration(durationMs)] satisfies Fact]),
    ...(rate === null ? [] : [['Task ids a second', rate.toFixed(1)] satisfies Fact]),
  ];
}

function courseOf(course: readonly CoursePoint[]): Html {
  const last = course.at(-1);
  if (last === undefined) return NOTHING;
  const lines = [
    { name: 'accepted', of: 'main', key: 'accepted' },
    { name: 'completed', of: 'good', key: 'completed' },
    { name: 'failed', of: 'bad', key: 'failed' },
  ] as const;
  const drawn = lines.filter(({ key }) => last[key] > 0);
  return html`<h2>Progress</h2>
    ${lineChart(
      'Rows accepted, videos completed and tasks failed, over time',
      drawn.map(({ name, of, key }) => ({
        name,
        of,
        points: course.map((point) => ({ x: point.at, y: point[key] })),
      })),
      { formatX: formatUtc, steps: true },
    )}
    ${legend(drawn.map(({ name, of, key }) => ({ name: `${name}: ${formatCount(last[key])}`, of })))}`;
}

const LOOKS: Readonly<Record<State, string>> = {
  pending: 'other',
  submitting: 'other',
  submitted: 'main',
  uncertain: 'warning',
  rejected: 'bad',
  exhausted: 'bad',
  invalid: 'bad',
  cancelled: 'other',
  abandoned: 'warning',
};

function statesOf({ counts, tasks }: Report): Html {
  const states = STATES.filter((state) => counts[state] > 0);
  const statuses = Object.entries(tasks.byStatus);
  const ofTask = (status: string): string =>
    status === 'completed' ? 'good' : status === 'failed' || status === 'missing' ? 'bad' : 'other';
  return html`<h2>Rows by state</h2>
    ${barChart(
      'Rows by state',
      states.map((state) => ({ label: state, value: counts[state], of: LOOKS[state] })),
    )}
    ${
      statuses.length === 0
        ? NOTHING
        : html`<h2>Tasks by the provider's status</h2>
            ${barChart(
              "Tasks by the provider's status",
              statuses.map(([status, n]) => ({ label: status, value: n, of: ofTask(status) })),
            )}`
    }`;
}

function latencyOf({ calls, tasks }: Report, groups: readonly LatencyGroup[]): Html {
  if (calls.latency === null) return NOTHING;
  const { p50, p90, p99, max } = calls.latency;
  const bars = groups.map(({ belowMs, calls: n }, at): Bar => {
    const before = groups[at - 1]?.belowMs;
    const label =
      belowMs === null
        ? before == null
          ? 'any time'
          : `${formatMs(before)} or more`
        : `below ${formatMs(belowMs)}`;
    return { label, value: n, of: 'main' };
  });
  return html`<h2>Latency of calls</h2>
    ${barChart('Answered calls by latency', bars)}
    <p>
      Half of the calls ended within ${formatMs(p50)}, 90 % within ${formatMs(p90)}, 99 % within
      ${formatMs(p99)}, the slowest after ${formatMs(max)}.
    </p>
    ${
      tasks.times === null
        ? NOTHING
        : html`<p>
            Half of the videos were known to be ready ${formatMs(tasks.times.p50)} after their acceptance, 90
            % after ${formatMs(tasks.times.p90)}.
          </p>`
    }`;
}

function endingsOf(endings: readonly Ending[]): Html {
  if (endings.length === 0) return NOTHING;
  const look = (outcome: string | null): string =>
    outcome === 'accepted' ? 'good' : outcome === 'uncertain' || outcome === null ? 'warning' : 'bad';
  return html`<h2>Outcomes of calls</h2>
    ${barChart(
      'Outcomes of calls',
      endings.map(({ outcome, errorCode, calls }) => ({
        label: [outcome ?? 'no answer recorded', errorCode].filter((part) => part !== null).join(' '),
        value: calls,
        of: look(outcome),
      })),
    )}`;
}

function costOf(costs: readonly Cost[]): Html {
  const known = costs.filter(({ currency }) => currency !== null);
  const unpriced = costs.reduce((sum, { currency, rows }) => sum + (currency === null ? rows : 0), 0);
  if (known.length === 0)
    return html`<h2>Cost</h2>
      <p>The prices of these rows are not known to vidbatch.</p>`;
  return html`<h2>Cost</h2>
    ${barChart(
      'Spent, by model',
      known.map((cost) => ({
        label: cost.model ?? 'unknown model',
        value: Number(formatAmount(cost.spent)),
        shown: formatMoney({ amount: cost.spent, currency: cost.currency ?? '' }),
        of: 'main',
      })),
    )}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>model</th>
            <th class="number">rows</th>
            <th class="number">spent</th>
            <th class="number">in flight</th>
            <th class="number">may have been paid</th>
            <th class="number">billed</th>
          </tr>
        </thead>
        <tbody>
          ${known.map(
            (cost) =>
              html`<tr>
                <td>${cost.model ?? 'unknown'}</td>
                <td class="number">${formatCount(cost.rows)}</td>
                <td class="number">${formatPart(cost, cost.spent)}</td>
                <td class="number">${formatPart(cost, cost.inFlight)}</td>
                <td class="number">${formatPart(cost, cost.atRisk)}</td>
                <td class="number">${formatPart(cost, cost.billed)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="soft">
      Amounts are by the prices that the rows were sent with. Billed amounts are those of the provider's
      bills, as far as they were
      read.${unpriced === 0 ? '' : ` The price of ${formatCount(unpriced)} more rows is not known.`}
    </p>`;
}

function failuresOf(failures: readonly FailureGroup[]): Html {
  if (failures.length === 0)
    return html`<h2>Failures</h2>
      <p>No row and no task failed.</p>`;
  return html`<h2>Failures</h2>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th class="number">rows</th>
            <th>what</th>
            <th>cause</th>
            <th>model</th>
            <th>last</th>
            <th>for example</th>
          </tr>
        </thead>
        <tbody>
          ${failures.map(
            ({ rows, kind, code, httpStatus, reason, model, last, examples }) =>
              html`<tr>
                <td class="number">${formatCount(rows)}</td>
                <td>${kind === 'task' ? 'task failed' : kind}</td>
                <td>
                  ${formatCause({ code, httpStatus })}
                  ${reason === null || reason === code ? NOTHING : html`<div class="soft">${oneLine(reason, 300)}</div>`}
                </td>
                <td>${model ?? 'unknown'}</td>
                <td>${formatUtc(last)}</td>
                <td>${examples.join(', ')}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}
