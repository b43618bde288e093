import { isPlainObject } from '../../core/json.ts';

type Members = Readonly<Record<string, unknown>>;

/** What a profile never takes from another one. */
const OWN = ['profile', 'name', 'about', 'extends'];

/**
 * A profile that extends another one, whole: objects are merged, and every other value replaces that of the base. `null`
 * takes a field out. A name that begins with `+` adds to the list of the base, in front of it.
 */
export function extended(base: Members, changes: Members): Members {
  const inherited = Object.fromEntries(Object.entries(base).filter(([name]) => !OWN.includes(name)));
  return merged(inherited, changes);
}

function merged(base: Members, changes: Members): Members {
  const result = new Map(Object.entries(base));
  for (const [written, value] of Object.entries(changes)) {
    const adds = written.startsWith('+');
    const name = adds ? written.slice(1) : written;
    const before = result.get(name);
    // What is no list has nothing to add to: the name stays as it is written, and is refused.
    if (adds && isPlainObject(before)) result.set(written, value);
    else if (adds) result.set(name, [value, before ?? []].flat());
    else if (value === null) result.delete(name);
    else result.set(name, isPlainObject(before) && isPlainObject(value) ? merged(before, value) : value);
  }
  return Object.fromEntries(result);
}
