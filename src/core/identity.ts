import { createHash } from 'node:crypto';
import { parse } from 'node:path';
import { excerpt, formatCodePoint } from './text.ts';
import { usageError } from './errors.ts';

/**
 * Canonical JSON (RFC 8785): sorted keys, no white space, no `undefined` properties. Throws TypeError for NaN, infinities,
 * lone surrogates and functions.
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
 * Hex SHA-256 of the request as it is sent: column order, `5` or `5.0`, and unsent columns make no difference. `readRequest`
 * and this function together are the normalisation `h1`. A change that gives the same row another hash would pay for known
 * rows again, and must be called `h2`.
 */
export function contentHash(request: object): string {
  return createHash('sha256').update(canonicalJson(request), 'utf8').digest('hex');
}

const HASH_KEY = /^h1:[0-9a-f]{64}#\d+$/;

/** Whether this key is made from the content of the row, and means nothing to a person. */
export function isHashKey(key: string): boolean {
  return HASH_KEY.test(key);
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

/** Joiners, direction marks, soft hyphens, variation selectors. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
const WHOLE_NUMBER = /^0*(\d+?)(?:\.0+)?$/;

/**
 * The same for all ids that a person or a spreadsheet may confuse: they differ only by case, width, normal form, invisible
 * characters or spaces, leading zeros, or a decimal point with zeros behind it.
 */
export function likenessOf(id: string): string {
  const plain = id
    .normalize('NFKC')
    .replaceAll(INVISIBLE, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
    // Neither direction alone joins all pairs.
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC');
  return plain.replace(WHOLE_NUMBER, '$1');
}

/**
 * The id for a message. What cannot be seen is shown as code points: invisible characters, as `x<U+200B>`, and the parts of a
 * character that was composed differently, as `cafe<U+0301>`.
 */
export function shownId(id: string): string {
  const visible = id.replaceAll(INVISIBLE, (character) => `<${formatCodePoint(character)}>`);
  if (visible === visible.normalize('NFC')) return visible;
  return Array.from(GRAPHEMES.segment(visible), ({ segment }) =>
    segment === segment.normalize('NFC') ? segment : shownParts(segment),
  ).join('');
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });

function shownParts(grapheme: string): string {
  const [first = '', ...rest] = grapheme;
  if (rest.length === 0) return `<${formatCodePoint(first)}>`;
  return first + rest.map((part) => `<${formatCodePoint(part)}>`).join('');
}
