const LONGEST = 80;

/**
 * A value for a message: text quoted and cut to 80 characters, numbers and booleans as they are, anything else by its
 * kind. Control characters and lone surrogates are escaped, so that it can be printed and stored.
 */
export function excerpt(value: unknown): string {
  if (typeof value === 'string') return `"${escaped(value)}"`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a value of type ${typeof value}`;
}

/** The same, naming the type: `the text "5"`, `the number 5`, `an array`. */
export function typedExcerpt(value: unknown): string {
  if (typeof value === 'string') return `the text ${excerpt(value)}`;
  return typeof value === 'number' || typeof value === 'boolean'
    ? `the ${typeof value} ${excerpt(value)}`
    : excerpt(value);
}

/** The name of a column, cut and escaped like an excerpt, but not quoted. */
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
