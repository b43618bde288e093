/**
 * A reading that costs something. It is taken by one at a time, and again only when `share` times what it cost has
 * passed, so that it takes one `share`-th of the time at most, however many ask.
 */
export class Paced<T> {
  readonly #read: () => Promise<T>;
  readonly #share: number;
  readonly #leastMs: number;
  #known: { value: T; at: Date } | undefined;
  #until = 0;
  #reading: Promise<void> | undefined;

  constructor(read: () => Promise<T>, { share, leastMs }: { share: number; leastMs: number }) {
    this.#read = read;
    this.#share = share;
    this.#leastMs = leastMs;
  }

  /** The last value at once, if there is one, and a new one is fetched for those who come later. Never rejects. */
  async value(): Promise<{ value: T; at: Date } | undefined> {
    if (performance.now() >= this.#until) this.#reading ??= this.#take();
    if (this.#known === undefined) await this.#reading;
    return this.#known;
  }

  async #take(): Promise<void> {
    const started = performance.now();
    try {
      this.#known = { value: await this.#read(), at: new Date() };
    } catch {
      // Whoever asks is told by its absence; what was known is of a time that is over.
      this.#known = undefined;
    } finally {
      const cost = performance.now() - started;
      this.#until = performance.now() + Math.max(this.#leastMs, this.#share * cost);
      this.#reading = undefined;
    }
  }
}
