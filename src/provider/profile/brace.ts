/** The most names that one pattern may stand for. */
const MOST_NAMES = 1000;

/**
 * The names of a pattern with alternatives in braces: `q3{p,t}{,-mix}` → `q3p`, `q3p-mix`, `q3t`, `q3t-mix`. Undefined if
 * the braces do not match, or for more than a thousand names.
 */
export function expandBraces(pattern: string): string[] | undefined {
  let names = [''];
  for (const [part] of pattern.matchAll(/\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (part === '{' || part === '}') return undefined;
    const choices = part.startsWith('{') ? part.slice(1, -1).split(',') : [part];
    names = names.flatMap((name) => choices.map((choice) => name + choice));
    if (names.length > MOST_NAMES) return undefined;
  }
  return names;
}

/** Whether a name fits a pattern in which `*` stands for any text. It takes time in proportion to the name's length. */
export function fits(name: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  if (others.length === 0) return name === pattern;
  const last = others.pop() ?? '';
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false;
  let from = first.length;
  for (const part of others) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= name.length - last.length;
}
