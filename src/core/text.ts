/** Control characters, and the marks that reorder what a terminal shows. */
// oxlint-disable-next-line no-control-regex -- control characters are what is being removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\s]+/g;

/** One line for a person, at most `limit` UTF-16 units, safe to print and to store. */
export function oneLine(text: string, limit = 300): string {
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
