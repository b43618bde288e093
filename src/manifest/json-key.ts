interface Nesting {
  /** Keys so far; absent in a list. */
  keys?: Set<string>;
  /** The next string is a key. */
  atKey: boolean;
  /** The key that was read last, for the path. */
  last: string;
}

/**
 * The first key, as a dotted path, that an object in `text` has twice; `JSON.parse` would silently keep the
 * last value. `text` is valid JSON.
 */
export function duplicateKey(text: string): string | undefined {
  const open: Nesting[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const inner = open.at(-1);
    switch (text[at] ?? '') {
      case '{':
        open.push({ keys: new Set(), atKey: true, last: '' });
        break;
      case '[':
        open.push({ atKey: false, last: '[]' });
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (inner?.keys !== undefined) inner.atKey = true;
        break;
      case '"': {
        const end = stringEnd(text, at);
        if (inner?.keys !== undefined && inner.atKey) {
          inner.last = String(JSON.parse(text.slice(at, end + 1)));
          if (inner.keys.has(inner.last)) return open.map(({ last }) => last).join('.');
          inner.keys.add(inner.last);
          inner.atKey = false;
        }
        at = end;
        break;
      }
      default:
    }
  }
  return undefined;
}

/** Index of the quote that closes the string which opens at `start`; the text's length if none does. */
function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}
