import { randomUUID } from 'node:crypto';
import { FreshRows } from './fresh-rows.ts';
import type { ReadRow } from './staging.ts';
import { crashPoint } from '../core/crash-points.ts';
import type { Database } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { assignKeys, stageRows } from '../ledger/import/merge-rows.ts';
import { countRows, findKnown, findSent, KnownRows } from '../ledger/import/known.ts';
import type { ReadRows } from '../ledger/import/known.ts';
import { beginImport, endImport, keepImport } from '../ledger/import/stage.ts';

/** Staged rows of a dead command are deleted after 15 minutes. A person may take longer to answer. */
const KEEP_MS = 60_000;

/**
 * Takes the rows of one manifest. Rows that the batch has as they are are only remembered. A plan of a batch that does
 * not exist yet only counts its rows. All others are staged: the import begins with the first of them.
 */
export class Intake {
  readonly #db: Database;
  readonly #batch: Batch | undefined;
  readonly #importId = randomUUID();
  readonly #known = new KnownRows();
  /** Undefined: rows of a new batch are staged. */
  readonly fresh: FreshRows | undefined;
  readonly #looks: boolean;
  /** How many rows the batch has; undefined until it is counted. */
  #had: number | undefined;
  #staged = 0;
  #keeping: NodeJS.Timeout | undefined;
  #taking: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** `looks`: the rows are for a plan, and never merged. `imagined`: of a batch that is not made. */
  constructor(
    db: Database,
    batch: Batch | undefined,
    { looks, imagined }: { looks: boolean; imagined: boolean },
  ) {
    this.#db = db;
    this.#batch = batch;
    this.#looks = looks;
    this.fresh = imagined ? new FreshRows() : undefined;
  }

  take(rows: readonly ReadRow[]): Promise<void> {
    // A file that cannot be read further ends the import while its last chunk is on its way.
    if (this.#closing === undefined) this.#taking = this.#take(rows);
    return this.#taking;
  }

  async #take(rows: readonly ReadRow[]): Promise<void> {
    const others =
      this.#batch === undefined ? await this.#unsent(rows) : await this.#unknown(rows, this.#batch);
    if (others.length === 0) return;
    if (this.#staged === 0) await this.#begin();
    this.#staged += others.length;
    await stageRows(
      this.#db,
      this.#importId,
      others.map(({ staged }) => staged),
    );
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

  /** Of a new batch that is only planned, the rows whose content another batch has sent. */
  async #unsent(rows: readonly ReadRow[]): Promise<readonly ReadRow[]> {
    if (this.fresh === undefined) return rows;
    this.fresh.add(rows);
    const sent = await findSent(
      this.#db,
      rows.map(({ staged }) => staged.contentHash),
    );
    return rows.filter(({ staged }) => sent.has(staged.contentHash ?? ''));
  }

  async #unknown(rows: readonly ReadRow[], { id }: Batch): Promise<readonly ReadRow[]> {
    this.#had ??= await countRows(this.#db, id);
    // All rows of the batch were met: the rest is new.
    if (this.#known.count >= this.#had) return rows;
    const keyed = rows.filter(({ keyed }) => keyed).map(({ staged }) => staged);
    if (keyed.length === 0) return rows;
    const found = await findKnown(this.#db, id, keyed, !this.#looks);
    return rows.filter(({ staged }) => {
      const known = found.get(staged.position);
      if (known !== undefined) this.#known.add(known);
      return known === undefined;
    });
  }
}
