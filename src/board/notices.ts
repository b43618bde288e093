import { makeSecret } from './access/credentials.ts';

/** How long a notice is shown. */
const LIFETIME_MS = 60_000;
const MOST = 100;

/**
 * What acts did, for the pages that are shown after them. A page is found by an id in its URL, so that no link of another
 * site can put its words on a page.
 */
export class Notices {
  readonly #kept = new Map<string, { lines: readonly string[]; until: number }>();

  /** Keeps the lines, and returns their id. */
  keep(lines: readonly string[], now = performance.now()): string {
    for (const [id, { until }] of this.#kept) {
      if (until < now || this.#kept.size >= MOST) this.#kept.delete(id);
    }
    const id = makeSecret();
    this.#kept.set(id, { lines, until: now + LIFETIME_MS });
    return id;
  }

  /** Empty for an id that is not known, or that has expired. */
  read(id: unknown, now = performance.now()): readonly string[] {
    const found = typeof id === 'string' ? this.#kept.get(id) : undefined;
    return found !== undefined && found.until >= now ? found.lines : [];
  }
}
