export type Release = () => void;

interface Waiting {
  resolve: (release: Release) => void;
  reject: (reason: unknown) => void;
}

/** Held by one caller at a time. The others wait, first come, first served. */
export class Mutex {
  #held = false;
  #closed: Error | undefined;
  readonly #waiting = new Set<Waiting>();

  /** Resolves with the function that releases it, which may be called twice. */
  acquire(): Promise<Release> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#held) return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
    return Promise.resolve(this.#hold());
  }

  /** Rejects all waiting and later callers with `reason`. The holder keeps the mutex. */
  close(reason: Error): void {
    this.#closed = reason;
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
  }

  #hold(): Release {
    this.#held = true;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#held = false;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next.resolve(this.#hold());
    };
  }
}
