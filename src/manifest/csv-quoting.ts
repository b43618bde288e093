/** `ends`: the begin of the next record would be a guess. */
interface QuoteFlaw {
  severity: 'error' | 'warning';
  rule: string;
  message: string;
  ends: boolean;
}

/**
 * Judges the quotes of one record, which csv-parse accepts everywhere. In an unquoted cell, a quote is a quote, as in
 * spreadsheets. After text behind a closing quote, or a quote after spaces, the cell may continue: the file is refused.
 */
export function quoteFlaw(text: string, delimiter: string): QuoteFlaw | undefined {
  let literal = false;
  for (const cell of cellsOf(text, delimiter)) {
    const broken = breach(cell);
    if (broken !== undefined) {
      const ends = (text.split('"').length - 1) % 2 === 1;
      const rest = ends ? '; this row and the rest of the file could not be read' : '';
      return { severity: 'error', rule: 'csv-quote', message: `${broken}${rest}`, ends };
    }
    literal ||= !cell.startsWith('"') && cell.includes('"');
  }
  if (!literal) return undefined;
  const message =
    'a quote within a cell that is not quoted is read as a quote; to be sure, quote the cell and write "" for a quote';
  return { severity: 'warning', rule: 'quote-in-cell', message, ends: false };
}

/** The cells with their quotes; after its closing quote, a cell continues to the next delimiter. */
function* cellsOf(text: string, delimiter: string): Generator<string, void, void> {
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (at === from && text[at] === '"') at = closing(text, at);
    else if (text.startsWith(delimiter, at)) {
      yield text.slice(from, at);
      from = at + delimiter.length;
      at = from - 1;
    }
  }
  yield text.slice(from).replace(/[\r\n]+$/, '');
}

/** The index of the quote that closes the one at `at`. */
function closing(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 2)) {
    if (text[end + 1] !== '"') return end;
  }
  return text.length;
}

function breach(cell: string): string | undefined {
  if (cell.startsWith('"') && closing(cell, 0) < cell.length - 1) {
    return 'text after the closing quote of a cell; a quote within a quoted cell is written ""';
  }
  return /^\s+"/.test(cell)
    ? 'a space before the quote that opens a cell; remove it, or quote the whole cell and write "" for a quote'
    : undefined;
}
