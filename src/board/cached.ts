/** What the pages of a batch read may take at most one twentieth of the time. */
const SHARE = 20;

/** Answers, which can be forgotten. */
interface Cached<Key, Value> {
  (key: Key): Promise<Value>;
  forget: () => void;
}

/** Answers of `read`, each for `share` times as long as it took. Requests share one reading. */
export function cached<Key, Value>(
  read: (key: Key) => Promise<Value>,
  name: (key: Key) => number,
  share = SHARE,
): Cached<Key, Value> {
  const known = new Map<number, { value: Promise<Value>; until: number }>();
  const ask = (key: Key): Promise<Value> => {
    const found = known.get(name(key));
    const started = performance.now();
    if (found !== undefined && started < found.until) return found.value;
    const entry = { value: read(key), until: Infinity };
    known.set(name(key), entry);
    const expire = (): void => {
      const ended = performance.now();
      entry.until = ended + share * (ended - started);
    };
    entry.value.then(expire, () => known.delete(name(key)));
    return entry.value;
  };
  return Object.assign(ask, { forget: () => known.clear() });
}
