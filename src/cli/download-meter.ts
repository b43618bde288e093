import { count, formatSize } from '../core/format.ts';
import { bar, Speed } from './progress.ts';
import type { Progress } from './progress.ts';

/** How far a download has come, over all passes. */
export class Meter {
  readonly #progress: Pick<Progress, 'show'>;
  readonly #speed = new Speed();
  #done = 0;
  #downloaded = 0;
  #total = 0;
  #bytes = 0;

  constructor(progress: Pick<Progress, 'show'>) {
    this.#progress = progress;
  }

  wanted(more: number): void {
    this.#total = this.#done + more;
  }

  bytes(more: number): void {
    this.#bytes += more;
    this.#show();
  }

  /** Of those that were fetched, or could not be, how many are there now. */
  get downloaded(): number {
    return this.#downloaded;
  }

  fetched(isThere: boolean): void {
    this.#done += 1;
    if (isThere) this.#downloaded += 1;
    // What completes during a pass is fetched in it, and was not counted before.
    this.#total = Math.max(this.#total, this.#done);
    this.#show();
  }

  waiting(outstanding: number): void {
    this.#progress.show(
      `${count(this.#done)} videos  ${formatSize(this.#bytes)}  ${count(outstanding)} rows may still complete`,
    );
  }

  #show(): void {
    const pace = {
      done: this.#done,
      total: this.#total,
      rate: this.#speed.measure(this.#done),
      noun: 'videos',
    };
    this.#progress.show(`${bar(pace)}  ${formatSize(this.#bytes)}`);
  }
}
