import { sizeTold } from '../size.ts';
import { count } from '../summary.ts';
import { bar, Speed } from './progress.ts';
import type { Progress } from './progress.ts';

/** How far a download has come, over all passes. */
export class Meter {
  readonly #progress: Progress;
  readonly #speed = new Speed();
  #done = 0;
  #total = 0;
  #bytes = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  wanted(more: number): void {
    this.#total = this.#done + more;
  }

  bytes(more: number): void {
    this.#bytes += more;
    this.#show();
  }

  fetched(): void {
    this.#done += 1;
    this.#show();
  }

  waiting(outstanding: number): void {
    this.#progress.show(
      `${count(this.#done)} videos  ${sizeTold(this.#bytes)}  ${count(outstanding)} rows may still complete`,
    );
  }

  #show(): void {
    const pace = {
      done: this.#done,
      total: this.#total,
      rate: this.#speed.measure(this.#done),
      noun: 'videos',
    };
    this.#progress.show(`${bar(pace)}  ${sizeTold(this.#bytes)}`);
  }
}
