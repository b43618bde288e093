import type { ReadRow } from './staging.ts';
import type { Misfit } from '../ledger/money/budget.ts';
import type { Group } from '../ledger/import/outline.ts';
import { isOffPeak } from '../core/model.ts';
import { DEFAULT_SECONDS } from '../core/money/prices.ts';
import type { Prices } from '../core/money/prices.ts';
import type { Mode } from '../manifest/request.ts';
import type { GenerationRequest } from '../manifest/request/fields.ts';

/** The rows of a batch that does not exist yet: all of them are new. Memory does not grow with their number. */
export class FreshRows {
  readonly #groups = new Map<string, Group>();
  readonly #models = new Map<string, { rows: number; line: number; key: string }>();
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** By model and mode. */
  get groups(): Group[] {
    return [...this.#groups.values()].toSorted((a, b) =>
      `${a.model} ${a.mode}` < `${b.model} ${b.mode}` ? -1 : 1,
    );
  }

  add(rows: readonly ReadRow[]): void {
    this.#rows += rows.length;
    for (const { row, staged } of rows) {
      if (row.request === undefined) continue;
      this.count(row.request, row.mode);
      const { model } = row.request;
      const first = this.#models.get(model);
      if (first === undefined) this.#models.set(model, { rows: 1, line: staged.line, key: staged.keyBasis });
      else first.rows += 1;
    }
  }

  count({ model, duration }: GenerationRequest, mode: Mode = 'text'): void {
    const key = `${model} ${mode}`;
    const seconds = duration ?? DEFAULT_SECONDS;
    const group = this.#groups.get(key);
    if (group === undefined) {
      const one = { fresh: 1, known: 0, changed: 0, toSend: 1, seconds, shortest: seconds };
      this.#groups.set(key, { model, mode, offPeak: isOffPeak(model), ...one, stored: null, least: null });
      return;
    }
    group.fresh += 1;
    group.toSend += 1;
    group.seconds += seconds;
    group.shortest = Math.min(group.shortest, seconds);
  }

  /** The first row that cannot be under a budget in this currency, as the ledger would find it. */
  misfit(prices: Prices, currency: string): Misfit | undefined {
    const others = [...this.#models]
      .map(([model, first]) => ({ ...first, model, currency: prices.get(model)?.currency ?? null }))
      .filter((one) => one.currency !== currency);
    const unpriced = others.filter((one) => one.currency === null);
    const alike = unpriced.length > 0 ? unpriced : others;
    const [first] = alike.toSorted(
      (a, b) => (a.currency ?? '').localeCompare(b.currency ?? '') || a.line - b.line,
    );
    return first && { ...first, rows: alike.reduce((sum, { rows }) => sum + rows, 0) };
  }
}
