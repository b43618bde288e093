import { messageOf } from '../core/errors.ts';

/** How often it looks, and after which time pages count as old although nothing was written: ages and forecasts change. */
const LOOK_MS = 1_000;
const QUIET_MS = 5_000;
/** A look may take at most one tenth of the time. */
const SHARE = 10;

/**
 * Finds out that pages may show something new. It looks once for all listeners, however many there are, and not at all
 * without a listener.
 */
export class ChangeWatch {
  readonly #look: () => Promise<string>;
  readonly #listeners = new Set<(version: number) => void>();
  #timer: NodeJS.Timeout | undefined;
  #mark: string | undefined;
  #changedAt = 0;
  #version = 0;

  /** `look` returns another text after a change. */
  constructor(look: () => Promise<string>) {
    this.#look = look;
  }

  /** It grows with each change that was seen. */
  get version(): number {
    return this.#version;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Returns a function that ends the listening. */
  listen(listener: (version: number) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  #start(): void {
    // No page is open that could show something older.
    this.#mark = undefined;
    this.#after(0);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #after(ms: number): void {
    const timer = setTimeout(() => void this.#turn(timer), ms);
    this.#timer = timer;
  }

  async #turn(timer: NodeJS.Timeout): Promise<void> {
    const started = performance.now();
    const mark = await this.#look().catch((error: unknown) => `cannot look: ${messageOf(error)}`);
    // All listeners may have left during this look, and new ones may have started a timer of their own.
    if (this.#timer !== timer) return;
    const ended = performance.now();
    if (this.#mark !== undefined && (mark !== this.#mark || ended - this.#changedAt >= QUIET_MS))
      this.#tell();
    else if (this.#mark === undefined) this.#changedAt = ended;
    this.#mark = mark;
    this.#after(Math.max(LOOK_MS, SHARE * (ended - started)));
  }

  #tell(): void {
    this.#version += 1;
    this.#changedAt = performance.now();
    for (const listener of this.#listeners) listener(this.#version);
  }
}
