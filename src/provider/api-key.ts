import { usageError } from '../core/errors.ts';

/** @throws usageError for a key that cannot be sent in a header; the error does not show it. */
export function checkApiKey(key: string): void {
  if (key === '') throw usageError('api-key', 'the API key is empty');
  const at = key.search(/[^\x21-\x7e]/);
  if (at === -1) return;
  throw usageError(
    'api-key',
    `the API key has a space, a line break or a character outside ASCII at position ${at + 1} of ${key.length}`,
    'Give the key alone, without "Bearer" and without quotes.',
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
 * Removes the key from a text, also if it is escaped as in JSON, URLs or HTML, or encoded in base64. A text may be cut off, so
 * the beginning of the key at its end is removed, too. Without a key, it leaves each text as it is.
 */
export function redactor(key: string | undefined): (text: string) => string {
  if (key === undefined) return (text) => text;
  const forms = [Array.from(key, spellings), ...encodings(key).map((code) => Array.from(code, digit))];
  const whole = new RegExp(forms.map((form) => form.join('')).join('|'), 'g');
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

/** Shorter base64 could come from any text. */
const SHORTEST_CODE = 12;

/** The three base64 forms of the key inside a longer text, without the characters that it shares with other bytes. */
function encodings(key: string): string[] {
  return [0, 1, 2]
    .map((before) => {
      const code = Buffer.from(' '.repeat(before) + key).toString('base64');
      return code.slice(Math.ceil((8 * before) / 6), Math.floor((8 * (before + key.length)) / 6));
    })
    .filter((code) => code.length >= SHORTEST_CODE);
}

/** Base64 for URLs uses two other characters. */
function digit(char: string): string {
  const other = { '+': '-', '/': '_' }[char];
  return other === undefined ? spellings(char) : `(?:${spellings(char)}|${other})`;
}

function anyCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/** Shorter beginnings of the key could be the end of any word. */
const SHORTEST_TAIL = 8;

function withoutTail(text: string, key: string): string {
  if (!text.includes(key.slice(0, SHORTEST_TAIL))) return text;
  for (let length = key.length - 1; length >= SHORTEST_TAIL; length--) {
    if (text.endsWith(key.slice(0, length))) return text.slice(0, -length) + REDACTED;
  }
  return text;
}
