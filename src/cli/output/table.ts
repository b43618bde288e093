import { cutToWidth, widthOf } from '../../core/width.ts';
import { plain, Styled, type Line } from './style.ts';

export type Cell = string | Styled;

export interface Column<Row> {
  title: string;
  /** Numbers are at the right. */
  right?: true;
  /** Its cells may be cut to this width, where the terminal is too narrow for the table. */
  least?: number;
  /** Where that is not enough, the column is left out, the highest number first. Without a number, it is always shown. */
  drop?: number;
  of: (row: Row) => Cell;
}

interface Shown {
  title: string;
  right: boolean;
  least: number;
  drop: number;
  cells: Cell[];
  width: number;
}

const GAP = 2;

/**
 * The lines of a table, with its titles. Columns that are empty in each row are left out. A table that is too wide gives
 * up what its columns allow, and names the columns that are left out for it.
 */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width = Infinity,
): Line[] {
  const all = columns
    .map(({ title, right = false, least, drop = 0, of }): Shown => {
      const cells = rows.map(of);
      const own = Math.max(widthOf(title), ...cells.map((cell) => widthOf(plain(cell))));
      return { title, right, least: Math.min(own, least ?? own), drop, cells, width: own };
    })
    .filter(({ cells }) => cells.some((cell) => plain(cell) !== ''));
  const shown = fitted(all, width);
  const lines = [null, ...rows.keys()].map((n): Line => {
    const cells = shown.map((column) =>
      n === null ? new Styled('heading', column.title) : (column.cells[n] ?? ''),
    );
    const last = cells.findLastIndex((cell) => plain(cell) !== '');
    return shown
      .slice(0, last + 1)
      .flatMap((column, at) => padded(cells[at] ?? '', column, { isFirst: at === 0, isLast: at === last }));
  });
  const left = all.filter((column) => !shown.some(({ title }) => title === column.title));
  const names = left.map(({ title }) => title).join(', ');
  return left.length === 0 ? lines : [...lines, new Styled('soft', `in a wider terminal also: ${names}`)];
}

/** The columns that fit, with the width that each one gets. */
function fitted(columns: readonly Shown[], width: number): Shown[] {
  let shown = columns.map((column) => ({ ...column }));
  for (;;) {
    const over = shown.reduce((sum, column) => sum + column.width + GAP, -GAP) - width;
    if (over <= 0) return shown;
    const slack = shown.reduce((sum, column) => sum + column.width - column.least, 0);
    const most = Math.max(0, ...shown.map(({ drop }) => drop));
    if (slack >= over || most === 0) {
      shrink(shown, Math.min(over, slack));
      return shown;
    }
    shown = shown.filter(({ drop }) => drop !== most);
  }
}

/** Takes columns away from the widest cells first. */
function shrink(shown: readonly Shown[], over: number): void {
  for (let n = 0; n < over; n += 1) {
    const spare = shown.filter((column) => column.width > column.least);
    const widest = Math.max(...spare.map((column) => column.width));
    const one = spare.find((column) => column.width === widest);
    if (one !== undefined) one.width -= 1;
  }
}

function padded(
  cell: Cell,
  { right, width }: Shown,
  { isFirst, isLast }: { isFirst: boolean; isLast: boolean },
): Cell[] {
  const text = cutToWidth(plain(cell), width);
  const space = ' '.repeat(width - widthOf(text));
  const shown = typeof cell === 'string' ? text : new Styled(cell.look, text);
  const gap = isFirst ? '' : ' '.repeat(GAP);
  if (right) return [gap + space, shown];
  return isLast ? [gap, shown] : [gap, shown, space];
}
