import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatCount } from '../../core/units.ts';
import type { Series, SeriesPoint } from '../../ledger/read/attempt-series.ts';
import { table, type Column } from '../table.ts';
import type { View } from '../view.ts';

const WIDTH = 240;
const HEIGHT = 48;

interface Chart {
  title: string;
  /** The one or two numbers of a step, the larger one last: the first is drawn over the last. */
  of: (point: SeriesPoint) => readonly (number | null)[];
  format: (value: number) => string;
  /** Values add up, and a line goes from step to step. */
  grows?: true;
}

/** What happened to a batch over time: four small charts, and their numbers as a table. */
export function charts(view: View, series: Series): Html {
  const [first] = series.points;
  const last = series.points.at(-1);
  if (first === undefined || last === undefined) return NOTHING;
  const spent = accumulated(series.points);
  const drawn = chartsOf(view, series).map((chart) => figure(view, chart, series, spent));
  return html`<section class="charts" aria-label="${view.say('Over time')}">
    ${drawn}
    ${
      series.sampled === 1
        ? NOTHING
        : html`<p class="soft">
            ${view.say('These numbers are estimates from one of {n} rows.', { n: formatCount(series.sampled) })}
          </p>`
    }
    <details>
      <summary>${view.say('The numbers of the charts')}</summary>
      ${numbers(view, series, spent)}
    </details>
  </section>`;
}

function chartsOf(view: View, { stepSeconds, currency, points }: Series): Chart[] {
  const aMinute = 60 / stepSeconds;
  const all: Chart[] = [
    {
      title: view.say('accepted rows a minute'),
      of: ({ accepted }) => [accepted * aMinute],
      format: formatRate,
    },
    {
      title: view.say('latency, p50 and p95'),
      of: ({ p50, p95 }) => [p50, p95],
      format: formatSeconds,
    },
    {
      title: view.say('429 answers a minute'),
      of: ({ throttled }) => [throttled * aMinute],
      format: formatRate,
    },
  ];
  if (currency !== null && points.some(({ spent }) => spent > 0)) {
    const unpriced = points.reduce((sum, point) => sum + point.unpriced, 0);
    all.push({
      title:
        unpriced === 0
          ? view.say('spent, {currency}', { currency })
          : view.say('spent, {currency}, without {rows} of unknown price', {
              currency,
              rows: view.count(unpriced, 'row'),
            }),
      of: ({ spent }) => [spent],
      format: formatAmount,
      grows: true,
    });
  }
  return all;
}

/** The points with what was spent until the end of their step. */
function accumulated(points: readonly SeriesPoint[]): SeriesPoint[] {
  let sum = 0;
  return points.map((point) => ({ ...point, spent: (sum += point.spent) }));
}

function figure(view: View, chart: Chart, series: Series, spent: readonly SeriesPoint[]): Html {
  const points = chart.grows === true ? spent : series.points;
  const values = points.map(chart.of);
  const most = Math.max(0, ...values.flat().map((value) => value ?? 0));
  const latest = (values.at(-1) ?? []).map((value) => (value === null ? '–' : chart.format(value)));
  const told =
    chart.grows === true
      ? chart.format(most)
      : view.say('last {last}, most {most}', { last: latest.join(' / '), most: chart.format(most) });
  return html`<figure>
    <figcaption>${chart.title}<br /><strong>${told}</strong></figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
      <line class="grid" x1="0" x2="${WIDTH}" y1="${HEIGHT - 0.5}" y2="${HEIGHT - 0.5}" />
      ${chart.grows === true ? area(series, values, most) : bars(series, values, most)}
    </svg>
    ${axis(series)}
  </figure>`;
}

/** Where the axis of time begins and ends. */
function axis(series: Series): Html {
  const from = series.points[0]?.at ?? 0;
  const to = from + stepsOf(series) * series.stepSeconds * 1000;
  return html`<p class="axis"><span>${formatTime(from)}</span> <span>${formatClock(to, from)} UTC</span></p>`;
}

/** The steps of the axis. It has twelve at least, so that a bar of a short batch is not as wide as its chart. */
function stepsOf({ points, stepSeconds }: Series): number {
  const from = points[0]?.at ?? 0;
  return Math.max(12, ((points.at(-1)?.at ?? from) - from) / (stepSeconds * 1000) + 1);
}

/** Where a step begins on the axis, and how wide it is. */
function placeOf(series: Series): { at: (point: SeriesPoint) => number; width: number } {
  const { points, stepSeconds } = series;
  const from = points[0]?.at ?? 0;
  const width = WIDTH / stepsOf(series);
  return { at: ({ at }) => ((at - from) / (stepSeconds * 1000)) * width, width };
}

function bars(series: Series, values: readonly (readonly (number | null)[])[], most: number): Html[] {
  const place = placeOf(series);
  return series.points.flatMap((point, n) =>
    // The largest one first, so that the smaller one is drawn over it.
    (values[n] ?? []).toReversed().map((value, nth, both) => {
      const height = most === 0 ? 0 : ((value ?? 0) / most) * HEIGHT;
      const kind = both.length === 2 && nth === 0 ? 'second' : 'first';
      return html`<rect
        class="${kind}"
        x="${round(place.at(point))}"
        y="${round(HEIGHT - height)}"
        width="${round(place.width * 0.86)}"
        height="${round(height)}"
      />`;
    }),
  );
}

function area(series: Series, values: readonly (readonly (number | null)[])[], most: number): Html {
  const place = placeOf(series);
  const steps = series.points.map((point, n) => {
    const y = round(HEIGHT - (most === 0 ? 0 : ((values[n]?.[0] ?? 0) / most) * (HEIGHT - 1)));
    return `H${round(place.at(point))}V${y}`;
  });
  const last = series.points.at(-1);
  const end = last === undefined ? 0 : round(place.at(last) + place.width);
  return html`<path class="first" d="M0 ${HEIGHT}${steps.join('')}H${end}V${HEIGHT}Z" />`;
}

function numbers(view: View, series: Series, spent: readonly SeriesPoint[]): Html {
  const aMinute = 60 / series.stepSeconds;
  const columns: Column<SeriesPoint>[] = [
    { title: 'from, UTC', of: ({ at }) => formatTime(at), kind: 'time' },
    {
      title: 'accepted rows a minute',
      of: ({ accepted }) => formatRate(accepted * aMinute),
      kind: 'number',
    },
    { title: 'p50', of: ({ p50 }) => (p50 === null ? '' : formatSeconds(p50)), kind: 'number' },
    { title: 'p95', of: ({ p95 }) => (p95 === null ? '' : formatSeconds(p95)), kind: 'number' },
    {
      title: '429 answers a minute',
      of: ({ throttled }) => formatRate(throttled * aMinute),
      kind: 'number',
    },
  ];
  const { currency } = series;
  if (currency !== null) {
    columns.push({
      title: 'spent',
      of: (point) => `${formatAmount(point.spent)} ${currency}`,
      kind: 'number',
    });
  }
  return table(view, columns, spent);
}

/** `2026-11-30 19:46` */
function formatTime(at: number): string {
  return new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}

/** `19:46`; on another day than the first moment, with its date. */
function formatClock(at: number, first: number): string {
  const text = formatTime(at);
  return text.slice(0, 10) === formatTime(first).slice(0, 10) ? text.slice(11) : text;
}

function formatRate(value: number): string {
  return value > 0 && value < 10 ? value.toFixed(1) : formatCount(Math.round(value));
}

function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

function formatAmount(value: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
