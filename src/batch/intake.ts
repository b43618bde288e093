import { randomUUID } from 'node:crypto';
import { writeStaged, type ReadRow } from './staging.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Database } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { assignKeys, beginImport, endImport, keepImport } from '../ledger/import/stage.ts';
import { countRows, findKnown, findSentOrWaiting, KnownRows, type ReadRows } from '../ledger/import/known.ts';
import type { Misfit } from '../ledger/money/budget.ts';
import type { Group } from '../ledger/import/outline.ts';
import { isOffPeak } from '../core/model.ts';
import { costOf, type Prices } from '../core/money/prices.ts';
import type { Mode } from '../provider/profile/mode.ts';
import type { GenerationRequest } from '../manifest/request/fields.ts';

/** Staged rows of a dead command are deleted after 15 minutes. A person may take longer to answer. */
const KEEP_MS = 60_000;

/**
 * Stages the rows of one manifest. A row that the batch already has unchanged is not staged: its id is remembered. The
 * rows of a plan whose batch does not exist yet are only counted. The import begins with the first staged row.
 */
export class Intake {
  readonly #db: Database;
  readonly #batch: Batch | undefined;
  readonly #importId = randomUUID();
  readonly #known = new KnownRows();
  /** Undefined: rows of a new batch are staged. */
  readonly fresh: FreshRows | undefined;
  readonly #planOnly: boolean;
  /** How many rows the batch has; undefined until it is counted. */
  #had: number | undefined;
  #staged = 0;
  #keeping: NodeJS.Timeout | undefined;
  #taking: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /**
   * `planOnly`: the rows are never merged. `countOnly`: their batch does not exist yet. `seconds`: of a row that names no
   * duration.
   */
  constructor(
    db: Database,
    batch: Batch | undefined,
    { planOnly, countOnly, seconds }: { planOnly: boolean; countOnly: boolean; seconds: number },
  ) {
    this.#db = db;
    this.#batch = batch;
    this.#planOnly = planOnly;
    this.fresh = countOnly ? new FreshRows(seconds) : undefined;
  }

  take(rows: readonly ReadRow[]): Promise<void> {
    // After a read error, `close` runs while the last chunk is still being written.
    if (this.#closing === undefined) this.#taking = this.#take(rows);
    return this.#taking;
  }

  async #take(rows: readonly ReadRow[]): Promise<void> {
    const others =
      this.#batch === undefined ? await this.#unsent(rows) : await this.#unknown(rows, this.#batch);
    if (others.length === 0) return;
    if (this.#staged === 0) await this.#begin();
    this.#staged += others.length;
    await writeStaged(this.#db, this.#importId, others);
    crashPoint('rows-staged');
  }

  /** After the last row: staged rows without an id get their numbers. */
  async finish(): Promise<ReadRows> {
    if (this.#staged > 0) await assignKeys(this.#db, this.#importId, this.#staged);
    crashPoint('keys-assigned');
    const settled = this.fresh === undefined ? 0 : this.fresh.rows - this.#staged;
    return { importId: this.#importId, staged: this.#staged, known: this.#known, fresh: settled };
  }

  /** Deletes the staged rows. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #begin(): Promise<void> {
    await beginImport(this.#db, this.#importId);
    crashPoint('import-begun');
    const keep = (): void => void keepImport(this.#db, this.#importId).catch(() => undefined);
    this.#keeping = setInterval(keep, KEEP_MS).unref();
  }

  async #end(): Promise<void> {
    await this.#taking.catch(() => undefined);
    clearInterval(this.#keeping);
    if (this.#keeping !== undefined) await endImport(this.#db, this.#importId);
    crashPoint('import-ended');
  }

  /** For a plan of a new batch: the rows whose content another batch has sent, or will send. */
  async #unsent(rows: readonly ReadRow[]): Promise<readonly ReadRow[]> {
    if (this.fresh === undefined) return rows;
    this.fresh.add(rows);
    const taken = await findSentOrWaiting(
      this.#db,
      rows.map(({ staged }) => staged.contentHash),
    );
    return rows.filter(({ staged }) => taken.has(staged.contentHash ?? ''));
  }

  async #unknown(rows: readonly ReadRow[], { id }: Batch): Promise<readonly ReadRow[]> {
    this.#had ??= await countRows(this.#db, id);
    // All rows of the batch have been seen: the rest is new.
    if (this.#known.count >= this.#had) return rows;
    const keyed = rows.filter(({ keyed }) => keyed).map(({ staged }) => staged);
    if (keyed.length === 0) return rows;
    const found = await findKnown(this.#db, id, keyed, !this.#planOnly);
    return rows.filter(({ staged }) => {
      const known = found.get(staged.position);
      if (known !== undefined) this.#known.add(known);
      return known === undefined;
    });
  }
}

function pricesOf(
  { model, toSend, seconds, shortest }: Group,
  prices: Prices,
): Pick<Group, 'stored' | 'least'> {
  const price = prices.get(model);
  if (price === undefined) return { stored: null, least: null };
  return {
    stored: { rows: toSend, cost: costOf(price, { videos: toSend, seconds }) },
    least: costOf(price, { videos: 1, seconds: shortest }),
  };
}

/** The rows of a batch that does not exist yet: all of them are new. Memory does not grow with their number. */
export class FreshRows {
  readonly #groups = new Map<string, Group>();
  readonly #models = new Map<string, { rows: number; line: number; key: string }>();
  readonly #seconds: number;
  #rows = 0;

  /** `seconds`: of a row that names no duration. */
  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  get rows(): number {
    return this.#rows;
  }

  /** By model and mode. */
  groups(prices: Prices): Group[] {
    return [...this.#groups.values()]
      .map((group) => ({ ...group, ...pricesOf(group, prices) }))
      .toSorted((a, b) => (`${a.model} ${a.mode}` < `${b.model} ${b.mode}` ? -1 : 1));
  }

  add(rows: readonly ReadRow[]): void {
    this.#rows += rows.length;
    for (const { row, staged } of rows) {
      if (row.request === undefined) continue;
      this.#count(row.request, row.mode);
      const { model } = row.request;
      const first = this.#models.get(model);
      if (first === undefined) this.#models.set(model, { rows: 1, line: staged.line, key: staged.keyBasis });
      else first.rows += 1;
    }
  }

  #count({ model, duration }: GenerationRequest, mode: Mode = 'text'): void {
    const key = `${model} ${mode}`;
    const seconds = duration ?? this.#seconds;
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
