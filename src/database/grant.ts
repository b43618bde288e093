type Release = () => void;

interface Waiting {
  resolve: (release: Release) => void;
  reject: (reason: unknown) => void;
}

/** The right to use something of which there is one: held by one at a time, handed on first come, first served. */
export class Grant {
  #held = false;
  #closed: Error | undefined;
  readonly #waiting = new Set<Waiting>();

  /** Resolves with the function that gives it back, which may be called twice. */
  take(): Promise<Release> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#held) return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
    return Promise.resolve(this.#hold());
  }

  /** Everybody who waits, and who comes later, is turned away with `reason`. The holder keeps it. */
  close(reason: Error): void {
    this.#closed = reason;
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
  }

  #hold(): Release {
    this.#held = true;
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      this.#held = false;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next.resolve(this.#hold());
    };
  }
}
