/** Requests since the simulator was started. The record is separate, and survives a restart. */
export interface StatsReport {
  /** Every POST to the right path. */
  creates: number;
  /** Accepted creates, also those of the record file. */
  accepted: number;
  /** Creates by status; `none`: the client got no status. */
  byStatus: Record<string, number>;
  /** Questions about a task. */
  queries: number;
  /** GETs of a result. */
  results: number;
  /** Requests to a path or with a method that the provider does not have. */
  elsewhere: number;
  /** Most creates that were open at the same moment. */
  maxConcurrent: number;
}

type Milestone = Partial<Pick<StatsReport, 'creates' | 'accepted' | 'queries' | 'results' | 'elsewhere'>>;

export class Stats {
  readonly #report: StatsReport;
  #open = 0;
  #waiters: { milestone: Milestone; resolve: () => void }[] = [];

  constructor(accepted: number) {
    const zero = { creates: 0, queries: 0, results: 0, elsewhere: 0, maxConcurrent: 0 };
    this.#report = { ...zero, accepted, byStatus: {} };
  }

  report(): StatsReport {
    return { ...this.#report, byStatus: { ...this.#report.byStatus } };
  }

  count(what: keyof Milestone): void {
    this.#report[what] += 1;
    const ready = this.#waiters.filter(({ milestone }) => this.#passed(milestone));
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }

  opened(): void {
    this.#open += 1;
    this.#report.maxConcurrent = Math.max(this.#report.maxConcurrent, this.#open);
  }

  closed(): void {
    this.#open -= 1;
  }

  answered(status: number | 'none'): void {
    const { byStatus } = this.#report;
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }

  /** Resolves when every given count is reached. */
  reached(milestone: Milestone): Promise<void> {
    if (this.#passed(milestone)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ milestone, resolve });
    });
  }

  #passed(milestone: Milestone): boolean {
    return Object.entries(milestone).every(([what, least]) => this.#report[what as keyof Milestone] >= least);
  }
}
