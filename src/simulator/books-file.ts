import { writeFileSync } from 'node:fs';
import type { Books } from './books.ts';

/** The books as they are asked for: `list.csv`, `list.json`, `bill.csv`, `bill.json`. */
export const BOOK_FILES = ['list.csv', 'list.json', 'bill.csv', 'bill.json'] as const;
export type BookFile = (typeof BOOK_FILES)[number];

const COLUMNS = {
  list: [
    ...(['id', 'task_id', 'status', 'model', 'duration', 'prompt', 'created_at', 'finished_at'] as const),
    ...(['fail_reason', 'request_id'] as const),
  ],
  bill: ['id', 'time', 'type', 'task_id', 'request_id', 'model', 'duration', 'amount', 'currency'],
} as const;

/** Piece by piece, so that a list of a million tasks is not built up as one string. */
export function* bookText(books: Books, file: BookFile): Generator<string> {
  const [book, format] = file.split('.') as ['list' | 'bill', 'csv' | 'json'];
  const lines: readonly object[] = books[book];
  if (format === 'csv') {
    yield `${COLUMNS[book].join(',')}\r\n`;
    for (const line of lines)
      yield csvLine(COLUMNS[book].map((column) => (line as Record<string, unknown>)[column]));
    return;
  }
  // As gateways wrap a list.
  yield `{"object":"list","total":${lines.length},"data":[`;
  for (const [index, line] of lines.entries()) yield `${index === 0 ? '' : ','}\n${JSON.stringify(line)}`;
  yield '\n]}\n';
}

export function contentType(file: BookFile): string {
  return file.endsWith('.csv') ? 'text/csv; charset=utf-8' : 'application/json; charset=utf-8';
}

/** In the format that the path ends in; CSV if it ends in neither. */
export function writeBook(books: Books, book: 'list' | 'bill', path: string): void {
  const format = path.toLowerCase().endsWith('.json') ? 'json' : 'csv';
  writeFileSync(path, [...bookText(books, `${book}.${format}`)].join(''));
}

function csvLine(cells: readonly unknown[]): string {
  const quoted = cells.map((cell) => {
    const text = cell === null || cell === undefined ? '' : `${cell as string | number}`;
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${quoted.join(',')}\r\n`;
}
