import { usageError } from '../core/errors.ts';

/**
 * Refuses a key that could not travel in a header, without showing it.
 * @throws usageError
 */
export function checkApiKey(key: string): void {
  if (key === '') throw usageError('api-key', 'the API key is empty');
  const at = key.search(/[^\x21-\x7e]/);
  if (at === -1) return;
  throw usageError(
    'api-key',
    `the API key has a space, a line break or a character outside ASCII at position ${at + 1} of ${key.length}`,
    'give the key alone, without "Bearer" and without quotes',
  );
}

export const REDACTED = '[API key]';

const NAMED: Readonly<Record<string, string>> = {
  '&': 'amp',
  '"': 'quot',
  "'": 'apos',
  '<': 'lt',
  '>': 'gt',
};

/**
 * Takes the key out of a text, also where each of its characters may be escaped as in JSON, URLs or HTML; and a
 * beginning of it at the very end, where an answer was cut off.
 */
export function redactor(key: string): (text: string) => string {
  const whole = new RegExp(Array.from(key, spellings).join(''), 'g');
  return (text) => withoutTail(text.replace(whole, REDACTED), key);
}

function spellings(char: string): string {
  const code = char.charCodeAt(0);
  const hex = anyCase(code.toString(16).padStart(2, '0'));
  const named = NAMED[char] === undefined ? '' : `&${NAMED[char]};|`;
  const literal = `\\x${code.toString(16)}`;
  // The escapes first: "%" alone would leave the rest of its own "%25" behind.
  return `(?:${named}%${hex}|\\\\u00${hex}|&#0*${code};|&#[xX]0*${hex};|\\\\{0,3}${literal})`;
}

function anyCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/** A key cut short is still half a secret; fewer than eight characters of it are an ordinary word's ending. */
const SHORTEST_TAIL = 8;

function withoutTail(text: string, key: string): string {
  for (let length = key.length - 1; length >= SHORTEST_TAIL; length--) {
    if (text.endsWith(key.slice(0, length))) return text.slice(0, -length) + REDACTED;
  }
  return text;
}
