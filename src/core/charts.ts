import { html, NOTHING, type Html } from './html.ts';
import { formatCount } from './units.ts';
import { cutToWidth } from './width.ts';

/**
 * Charts as SVG, for pages with a strict content policy: no script and no style, only classes and attributes. A page
 * gives the classes their colours. Every number of a chart is also text in its page, because a picture alone does not
 * reach all readers.
 */

/** One value of a bar chart. */
export interface Bar {
  label: string;
  value: number;
  /** The value as a person reads it; without it, the number. */
  shown?: string;
  /** The class of its colour. */
  of: string;
}

const WIDTH = 640;
const BAR_HEIGHT = 20;
const BAR_STEP = 28;
const LABEL_WIDTH = 200;
const VALUE_WIDTH = 130;

/** Horizontal bars, one a line: label, bar, value. */
export function barChart(title: string, bars: readonly Bar[]): Html {
  const most = Math.max(0, ...bars.map(({ value }) => value));
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const drawn = bars.map(({ label, value, shown, of }, n) => {
    const middle = n * BAR_STEP + BAR_STEP / 2;
    // A small value must not look like none.
    const width = value <= 0 || most === 0 ? 0 : Math.max(2, round((room * value) / most));
    return html`<text
        class="label"
        x="${LABEL_WIDTH - 10}"
        y="${middle}"
        text-anchor="end"
        dominant-baseline="central"
        >${cutToWidth(label, 25)}</text
      ><rect
        class="bar ${of}"
        x="${LABEL_WIDTH}"
        y="${middle - BAR_HEIGHT / 2}"
        width="${width}"
        height="${BAR_HEIGHT}"
        rx="2"
      /><text class="value" x="${LABEL_WIDTH + width + 8}" y="${middle}" dominant-baseline="central"
        >${shown ?? formatCount(value)}</text
      >`;
  });
  return svg(title, bars.length * BAR_STEP, drawn);
}

/** A line of a line chart. Its points are in the order of `x`. */
export interface Line {
  name: string;
  points: readonly { x: number; y: number }[];
  /** The class of its colour. */
  of: string;
}

export interface Axes {
  /** The text below a value of `x`. */
  formatX: (x: number) => string;
  formatY?: (y: number) => string;
  /** Steps: a value holds until the next one, as a counter does. */
  steps?: true;
}

const HEIGHT = 220;
const LEFT = 70;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 28;

/** Lines over a shared axis, most often over time. */
export function lineChart(title: string, lines: readonly Line[], axes: Axes): Html {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return NOTHING;
  const { formatX, formatY = formatCount } = axes;
  const [from, to] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const top = niceTop(Math.max(...points.map(({ y }) => y)));
  const atX = (x: number): number =>
    round(LEFT + (to === from ? 0 : ((x - from) / (to - from)) * (WIDTH - LEFT - RIGHT)));
  const atY = (y: number): number => round(HEIGHT - BOTTOM - (y / top) * (HEIGHT - TOP - BOTTOM));
  const grid = [0, top / 2, top].map(
    (y) =>
      html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(y)}" y2="${atY(y)}" /><text
          class="axis"
          x="${LEFT - 8}"
          y="${atY(y)}"
          text-anchor="end"
          dominant-baseline="central"
          >${formatY(y)}</text
        >`,
  );
  const ends = to === from ? [from] : [from, to];
  const labels = ends.map(
    (x, n) =>
      html`<text class="axis" x="${atX(x)}" y="${HEIGHT - 8}" text-anchor="${n === 0 ? 'start' : 'end'}"
        >${formatX(x)}</text
      >`,
  );
  const drawn = lines.map(({ points: own, of, name }) => {
    const path = own
      .map(({ x, y }, n) =>
        n === 0
          ? `M${atX(x)} ${atY(y)}`
          : axes.steps === true
            ? `H${atX(x)}V${atY(y)}`
            : `L${atX(x)} ${atY(y)}`,
      )
      .join('');
    return html`<path class="line ${of}" d="${path}" fill="none"><title>${name}</title></path>`;
  });
  return svg(title, HEIGHT, [...grid, ...labels, ...drawn]);
}

/** What the colours of a chart mean, as text. */
export function legend(entries: readonly { name: string; of: string }[]): Html {
  return html`<ul class="legend">
    ${entries.map(
      ({ name, of }) =>
        html`<li>
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <rect class="bar ${of}" width="10" height="10" rx="2" /></svg
          >${name}
        </li>`,
    )}
  </ul>`;
}

function svg(title: string, height: number, drawn: readonly Html[]): Html {
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">
    ${drawn}
  </svg>`;
}

/** The next number of the form 1, 2 or 5 times a power of ten, so that the axis is easy to read. */
function niceTop(most: number): number {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}
