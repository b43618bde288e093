import { usageError } from '../core/errors.ts';

const CANDIDATES = [',', ';', '\t'] as const;

/** Records after the header that are compared. */
const SAMPLE_ROWS = 20;

/** A value of `--delimiter`: one character, `tab`, or `\t`. Throws a usage error for others. */
export function parseDelimiter(given: string): string {
  if (given === 'tab' || given === '\\t') return '\t';
  if (!/^[^"\r\n]$/u.test(given)) {
    throw usageError(
      'delimiter-invalid',
      `--delimiter ${JSON.stringify(given)}: not one character that can delimit cells`,
      'Allowed are one character other than a quote or a line break, or the word tab.',
    );
  }
  return given;
}

/** The first line `sep=;` by which a file tells Excel its delimiter. `length` counts its line break too. */
export function separatorLine(head: string): { delimiter: string; length: number } | undefined {
  const match = /^"?sep=([^\r\n"])"?(?:\r\n|\n|\r|$)/i.exec(head);
  return match?.[1] === undefined ? undefined : { delimiter: match[1], length: match[0].length };
}

/**
 * The delimiter that occurs most in the header, outside quotes. On a tie, the one for which most of the first rows have
 * the count of the header. A comma when the header has none.
 */
export function sniffDelimiter(head: string): string {
  const [header, ...rows] = countDelimiters(head);
  if (header === undefined) return ',';
  const most = Math.max(...header);
  if (most === 0) return ',';
  let best = -1;
  let winner: string = ',';
  for (const [index, candidate] of CANDIDATES.entries()) {
    if (header[index] !== most) continue;
    const agreeing = rows.filter((row) => row[index] === most).length;
    if (agreeing > best) {
      best = agreeing;
      winner = candidate;
    }
  }
  return winner;
}

/** For the header and the first rows: how often each candidate occurs outside quotes. */
function countDelimiters(head: string): number[][] {
  const lines = withoutQuoted(head)
    .split(/[\r\n]+/)
    .filter((line) => line !== '');
  return lines
    .slice(0, SAMPLE_ROWS + 1)
    .map((line) => CANDIDATES.map((candidate) => line.split(candidate).length - 1));
}

/** The text with the content of all quotes removed. */
export function withoutQuoted(text: string): string {
  return text.replaceAll(/"[^"]*(?:"|$)/g, '""');
}
