import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { App } from '../worker/app.ts';
import { messageOf } from '../core/errors.ts';
import { readBatchNames } from '../ledger/read/batch-numbers.ts';
import { listFeeders } from '../ledger/send/feeder.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import type { Logger } from '../core/log.ts';
import { batchesOfQueue, queueName, scheduleQueue } from '../worker/queue/name.ts';
import { openQueue } from '../worker/queue/queue.ts';
import type { ShownQueue } from './writes.ts';

/** A page that polls every few seconds in several tabs must not ask the ledger each time. */
const FRESH_MS = 2_000;
interface Book extends ShownQueue {
  adapter: BullMQAdapter;
}

type Shown = Pick<App, 'db' | 'store' | 'ledgerId'>;

/** The queues that Bull Board shows: the shared one, those of running `run`s, and that of the schedules. */
export class Shelf {
  readonly #app: Shown;
  readonly #log: Logger;
  readonly #readOnly: boolean;
  readonly #place: (adapters: readonly BullMQAdapter[]) => void;
  readonly #books = new Map<string, Book>();
  #shown: string[] = [];
  #fed: ReadonlySet<string> = new Set();
  #refreshing: Promise<void> | undefined;
  #freshUntil = 0;
  #closed = false;

  /** `place` is told all adapters that are to be shown, whenever they may have changed. */
  constructor(
    app: Shown,
    log: Logger,
    { readOnly, place }: { readOnly: boolean; place: (adapters: readonly BullMQAdapter[]) => void },
  ) {
    this.#app = app;
    this.#log = log;
    this.#readOnly = readOnly;
    this.#place = place;
  }

  /** A queue that is shown, by its name. */
  find(name: string): ShownQueue | undefined {
    return this.#pressable().includes(name) ? this.#books.get(name) : undefined;
  }

  /** Every queue that is shown. */
  queues(): ShownQueue[] {
    return this.#pressable().flatMap((name) => this.#books.get(name) ?? []);
  }

  /**
   * Whether a worker takes jobs from this queue; null: none is expected to, as where the schedules are shown.
   * `connected`: what the queue's store says; null: it cannot tell, and the ledger knows who feeds the queue.
   */
  hasWorkers(name: string, connected: boolean | null): boolean | null {
    return this.find(name) === undefined ? null : (connected ?? this.#fed.has(name));
  }

  /** Nothing is sent from where the schedules are shown, and nothing can be pressed there. */
  #pressable(): string[] {
    return this.#shown.filter((name) => name !== scheduleQueue(this.#app.ledgerId));
  }

  /** Looks for queues that came or went, at most every few seconds. Never rejects: the old ones stay. */
  refresh(): Promise<void> {
    if (this.#closed || performance.now() < this.#freshUntil) return Promise.resolve();
    this.#refreshing ??= this.#look()
      .catch((error: unknown) => {
        this.#log.warn(
          { event: 'board-queues', error: messageOf(error) },
          'cannot see which queues there are',
        );
      })
      .finally(() => {
        this.#freshUntil = performance.now() + FRESH_MS;
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#refreshing;
    this.#place([]);
    await Promise.all([...this.#books.keys()].map((name) => this.#drop(name)));
  }

  async #look(): Promise<void> {
    const { db, ledgerId } = this.#app;
    const fed = new Set((await listFeeders(db)).filter(({ alive }) => alive).map(({ queue }) => queue));
    this.#fed = fed;
    const shown = new Set([queueName(ledgerId, null), ...fed]);
    if ((await listSchedules(db)).length > 0) shown.add(scheduleQueue(ledgerId));
    const books = await Promise.all([...shown].map((name) => this.#open(name)));
    this.#shown = [...shown];
    this.#place(books.map(({ adapter }) => adapter));
    for (const name of this.#books.keys()) if (!shown.has(name)) await this.#drop(name);
  }

  async #open(name: string): Promise<Book> {
    const known = this.#books.get(name);
    if (known !== undefined) return known;
    const batches = batchesOfQueue(name, this.#app.ledgerId);
    const forSchedules = name === scheduleQueue(this.#app.ledgerId);
    const whose = batches === null ? 'all batches' : await this.#titleOf(batches);
    const queue = openQueue(this.#app.store, name, { skipMetasUpdate: true });
    queue.on('error', (error) =>
      this.#log.debug({ event: 'board-queue', queue: name, error: messageOf(error) }),
    );
    const adapter = new BullMQAdapter(queue, {
      readOnlyMode: this.#readOnly || forSchedules,
      displayName: forSchedules ? 'schedules' : whose,
      description: name,
    });
    const book = { queue, batches, adapter };
    this.#books.set(name, book);
    return book;
  }

  async #titleOf(batches: readonly number[]): Promise<string> {
    const named = await readBatchNames(this.#app.db, batches);
    return `run of ${named.map(({ name }) => name).join(', ')}`;
  }

  async #drop(name: string): Promise<void> {
    const book = this.#books.get(name);
    this.#books.delete(name);
    await book?.queue.close().catch(() => undefined);
  }
}
