/** A character that takes two columns of a terminal: Chinese, Japanese, Korean, full-width forms, emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** The columns that a text takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

export interface Column<Row> {
  title: string;
  /** Numbers stand at the right. */
  right?: true;
  of: (row: Row) => string;
}

/** The lines of a table, with its titles. Columns that are empty in each row are left out. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const shown = columns
    .map(({ title, right, of }) => ({ right, cells: [title, ...rows.map(of)] }))
    .filter(({ cells }) => cells.slice(1).some((cell) => cell !== ''));
  const padded = shown.map(({ right, cells }) => {
    const widths = cells.map(widthOf);
    const most = Math.max(...widths);
    return cells.map((cell, n) => {
      const space = ' '.repeat(most - (widths[n] ?? 0));
      return right === true ? space + cell : cell + space;
    });
  });
  return [...Array(rows.length + 1).keys()].map((n) =>
    padded
      .map((cells) => cells[n] ?? '')
      .join('  ')
      .trimEnd(),
  );
}
