import { usageError } from '../core/errors.ts';

const CANDIDATES = [',', ';', '\t'] as const;

/** How many records after the header are compared. */
const SAMPLE_ROWS = 20;

/**
 * The delimiter of a `--delimiter`: one character, or `tab`, or `\t`.
 * Throws a usage error for what cannot delimit.
 */
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
 * The delimiter that occurs most in the header, outside quotes; on a tie the one that as many of the first
 * rows have as often as the header; a comma when the header has none.
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
  const records: number[][] = [];
  let counts = CANDIDATES.map(() => 0);
  let quoted = false;
  let blank = true;
  const finish = (): void => {
    if (!blank) records.push(counts);
    counts = CANDIDATES.map(() => 0);
    blank = true;
  };
  for (const character of head) {
    if (records.length > SAMPLE_ROWS) break;
    if (character === '"') quoted = !quoted;
    if (!quoted && (character === '\n' || character === '\r')) {
      finish();
      continue;
    }
    blank = false;
    const index = quoted ? -1 : CANDIDATES.findIndex((candidate) => candidate === character);
    if (index !== -1) counts[index] = (counts[index] ?? 0) + 1;
  }
  if (records.length === 0) finish();
  return records;
}
