const LONGEST = 80;

/**
 * A value for a message: text quoted and cut to 80 characters, numbers and booleans as they are, other values by their kind.
 * Control characters and lone surrogates are escaped, so the result can be printed and stored.
 */
export function excerpt(value: unknown): string {
  if (typeof value === 'string') return `"${escaped(value)}"`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a value of type ${typeof value}`;
}

/** The same with the type: `the text "5"`, `the number 5`, `an array`. */
export function typedExcerpt(value: unknown): string {
  if (typeof value === 'string') return `the text ${excerpt(value)}`;
  return typeof value === 'number' || typeof value === 'boolean'
    ? `the ${typeof value} ${excerpt(value)}`
    : excerpt(value);
}

/** The name of a column, cut and escaped like an excerpt, but without quotes. */
export function columnLabel(column: string): string {
  return escaped(column);
}

function escaped(text: string): string {
  // Two code units a character are enough; a whole data URI need not be split.
  const characters = Array.from(text.slice(0, 2 * LONGEST + 1));
  const cut = characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : text;
  return JSON.stringify(cut)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replaceAll('\\\\', '\\')
    .replaceAll(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Control characters, and the marks that reorder what a terminal shows. */
// oxlint-disable-next-line no-control-regex -- control characters are what is being removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\s]+/g;

/** Most texts: visible ASCII, with single spaces between words. */
const PLAIN = /^[!-~]+(?: [!-~]+)*$/;

/** One line for a person, at most `limit` UTF-16 units, safe to print and to store. */
export function oneLine(text: string, limit = 300): string {
  if (text.length <= limit && PLAIN.test(text)) return text;
  const line = text.replace(UNPRINTABLE, ' ').trim();
  return (
    line.length <= limit ? line : `${line.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`
  ).toWellFormed();
}

/** The first `length` UTF-16 units and an ellipsis. It never cuts a surrogate pair in two. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** At most `bytes` bytes of UTF-8, without NUL, which Postgres refuses to store. */
export function storable(text: string, bytes: number): string {
  const clean = text.toWellFormed().replaceAll('\0', '\ufffd');
  const encoded = Buffer.from(clean);
  if (encoded.length <= bytes) return clean;
  // A character cut in two decodes as up to three replacement characters.
  return encoded
    .subarray(0, bytes)
    .toString()
    .replace(/\ufffd{1,3}$/, '');
}

/** The word as a shell takes it, so that a person can copy a printed command. */
export function quoted(word: string): string {
  return /^[\w.:/@%+,=-][\w.:/@%+,=#-]*$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The text as a cell of CSV (RFC 4180). */
export function csvCell(text: string, delimiter = ','): string {
  const needsQuotes = text.includes('"') || text.includes(delimiter) || /[\r\n]|^\s|\s$/.test(text);
  return needsQuotes ? `"${text.replaceAll('"', '""')}"` : text;
}

/** `U+200B` */
export function formatCodePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** `nightly, spring, summer and 12 more` */
export function formatFirst(names: readonly string[], most = 3): string {
  const more = names.length - most;
  return `${names.slice(0, most).join(', ')}${more > 0 ? ` and ${more.toLocaleString('en')} more` : ''}`;
}
