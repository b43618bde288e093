import { createHash } from 'node:crypto';
import { parse } from 'node:path';
import { excerpt } from './excerpt.ts';
import { usageError } from './errors.ts';

/**
 * A JSON value as RFC 8785 (JCS) writes it: keys sorted by UTF-16 code units, numbers as ECMAScript prints
 * them, no white space. Properties that are `undefined` are left out, as JSON.stringify does. Throws TypeError
 * for what JSON or the RFC cannot hold: NaN, infinities, lone surrogates, functions.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      // `<` on strings compares UTF-16 code units, which is the order of the RFC; localeCompare is not.
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${canonicalJson(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('a lone surrogate is not JSON');
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`a ${typeof value} is not JSON`);
  return text;
}

/**
 * Lower-case hex SHA-256 of the request in canonical form. The request is hashed as it would be sent, after
 * `readRequest`: the order of columns, `5` or `5.0`, and columns that are not sent make no difference. What
 * `readRequest` and this function do together is the normalisation `h1`: a change of either that gives the same
 * row another hash would pay for known rows again, and must be called `h2`.
 */
export function contentHash(request: object): string {
  return createHash('sha256').update(canonicalJson(request), 'utf8').digest('hex');
}

/** The batch's default name: the file's name without its last extension (`jobs/a.b.csv` → `a.b`). */
export function batchNameOf(path: string): string {
  return parse(path).name;
}

const LONGEST_NAME = 200;

/** Throws a usage error unless `name` can name a batch. */
export function checkBatchName(name: string): void {
  const problem = problemOfName(name);
  if (problem === undefined) return;
  throw usageError(
    'batch-name',
    `${excerpt(name)} cannot name a batch: ${problem}`,
    `Allowed: 1 to ${LONGEST_NAME} characters without "/", "\\", ":" and control characters. Name it with --batch.`,
  );
}

function problemOfName(name: string): string | undefined {
  if (name.trim() === '') return 'it is blank';
  if (name === '.' || name === '..') return 'it means a folder';
  if (/[/\\:]/.test(name)) return 'it contains "/", "\\" or ":"';
  if (/\p{Cc}/u.test(name)) return 'it contains a control character';
  if (!name.isWellFormed()) return 'it contains half a character (a lone surrogate)';
  const { length } = Array.from(name);
  return length > LONGEST_NAME ? `it has ${length} characters` : undefined;
}
