import { contendersOf } from './race.ts';
import { whole, type RaceResult } from './report.ts';
import { spreadOf } from './statistics.ts';

/** What a row costs one contender: microseconds of CPU, by process. */
export interface Bar {
  title: string;
  rowsPerSecond: number;
  cpuUs: Record<string, number>;
}

const COLOURS: Record<string, string> = {
  process: '#3b6ea5',
  redis: '#c2523c',
  postgres: '#5b8a5a',
  endpoint: '#a8a8a8',
};
const WIDTH = 900;
const LABELS = 270;
const ROW = 34;
const TOP = 44;

/** The medians of all contenders, as bars. */
export function barsOf(results: readonly RaceResult[]): Bar[] {
  return results.flatMap(({ race, samples }) =>
    contendersOf(race).map((contender) => {
      const all = samples.get(contender) ?? [];
      const median = (of: (sample: (typeof all)[number]) => number): number => spreadOf(all.map(of)).median;
      const names = Object.keys(all[0]?.cpuUs ?? {});
      return {
        title: contender.title,
        rowsPerSecond: median((one) => one.rowsPerSecond),
        cpuUs: Object.fromEntries(names.map((name) => [name, median(({ cpuUs }) => cpuUs[name] ?? 0)])),
      };
    }),
  );
}

/** An SVG picture: a bar a contender, the cheapest row first. */
export function chartOf(bars: readonly Bar[]): string {
  const sorted = bars.toSorted((a, b) => totalOf(a) - totalOf(b));
  const most = Math.max(...sorted.map(totalOf));
  const perUs = (WIDTH - LABELS - 190) / most;
  const names = Object.keys(COLOURS).filter((name) => bars.some(({ cpuUs }) => (cpuUs[name] ?? 0) >= 1));
  const height = TOP + sorted.length * ROW + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<title>CPU microseconds a row, of all processes together</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...names.map((name, n) => legend(name, LABELS + n * 110)),
    ...sorted.map((bar, n) => barText(bar, TOP + n * ROW, perUs)),
    '</svg>',
    '',
  ].join('\n');
}

function totalOf({ cpuUs }: Bar): number {
  return Object.values(cpuUs).reduce((sum, us) => sum + us, 0);
}

function legend(name: string, x: number): string {
  const word = name === 'endpoint' ? 'target' : name;
  return `<rect x="${x}" y="12" width="12" height="12" fill="${COLOURS[name]}"/><text x="${x + 18}" y="23">${word}</text>`;
}

function barText(bar: Bar, y: number, perUs: number): string {
  let x = LABELS;
  const parts = Object.entries(bar.cpuUs).map(([name, us]) => {
    const width = us * perUs;
    const part = `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="22" fill="${COLOURS[name] ?? '#000000'}"/>`;
    x += width;
    return part;
  });
  const numbers = `${whole(totalOf(bar))} µs · ${whole(bar.rowsPerSecond)} rows/s`;
  return [
    `<text x="${LABELS - 10}" y="${y + 16}" text-anchor="end">${bar.title}</text>`,
    ...parts,
    `<text x="${(x + 8).toFixed(1)}" y="${y + 16}">${numbers}</text>`,
  ].join('');
}
