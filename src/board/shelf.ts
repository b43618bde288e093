import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { App } from '../worker/app.ts';
import { messageOf } from '../core/errors.ts';
import { listLanes, namedBatches, newestBatches } from '../ledger/send/lane.ts';
import { listSchedules } from '../ledger/schedule.ts';
import type { Logger } from '../core/log.ts';
import { laneOf, openQueue, scheduleLane } from '../worker/queue/queue.ts';
import type { Lane } from './writes.ts';

/** A page that polls every few seconds in several tabs must not ask the ledger each time. */
const FRESH_MS = 2_000;
/** A `run` that has ended has no lane any more, but people come to look at its jobs just then. */
const RECENT_BATCHES = 10;
/** Ended runs that are kept on the shelf; more are in the ledger, and on nobody's mind. */
const MOST_ENDED = 20;

interface Book extends Lane {
  adapter: BullMQAdapter;
}

type Shown = Pick<App, 'db' | 'store' | 'ledgerId'>;

/**
 * The queues that Bull Board shows: the shared lane, the lanes of running `run`s, and those of ended ones that still
 * hold jobs.
 */
export class Shelf {
  readonly #app: Shown;
  readonly #log: Logger;
  readonly #readOnly: boolean;
  readonly #place: (adapters: readonly BullMQAdapter[]) => void;
  /** By lane; an ended run without jobs is known, and not shown. */
  readonly #books = new Map<string, Book>();
  #shown: string[] = [];
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
  find(name: string): Lane | undefined {
    return this.#lanesShown().includes(name) ? this.#books.get(name) : undefined;
  }

  /** Every queue that is shown. */
  lanes(): Lane[] {
    return this.#lanesShown().flatMap((name) => this.#books.get(name) ?? []);
  }

  /** Nothing is sent from where the schedules are shown, and nothing can be pressed there. */
  #lanesShown(): string[] {
    return this.#shown.filter((name) => name !== scheduleLane(this.#app.ledgerId));
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
    await Promise.all([...this.#books.keys()].map((lane) => this.#drop(lane)));
  }

  async #look(): Promise<void> {
    const { db, ledgerId } = this.#app;
    const shared = laneOf(ledgerId, null);
    const running = new Set([shared, ...(await listLanes(db))]);
    if ((await listSchedules(db)).length > 0) running.add(scheduleLane(ledgerId));
    const recent = (await newestBatches(db, RECENT_BATCHES)).map(({ id }) => laneOf(ledgerId, [id]));
    const ended = [...new Set([...recent, ...this.#shown])].filter((lane) => !running.has(lane));
    const shown = [...running];
    for (const lane of ended.slice(0, MOST_ENDED)) {
      if (await this.#holdsJobs(lane)) shown.push(lane);
    }
    const books = await Promise.all(shown.map((lane) => this.#open(lane)));
    this.#shown = shown;
    this.#place(books.map(({ adapter }) => adapter));
    const known = new Set([...shown, ...recent]);
    for (const lane of this.#books.keys()) if (!known.has(lane)) await this.#drop(lane);
  }

  async #holdsJobs(lane: string): Promise<boolean> {
    const { queue } = await this.#open(lane);
    const counts = await queue.getJobCounts();
    return Object.values(counts).some((jobs) => jobs > 0);
  }

  async #open(lane: string): Promise<Book> {
    const known = this.#books.get(lane);
    if (known !== undefined) return known;
    const batches = this.#batchesOf(lane);
    const forSchedules = lane === scheduleLane(this.#app.ledgerId);
    const whose = batches === null ? 'all batches' : await this.#titleOf(batches);
    const queue = openQueue(this.#app.store, lane, { skipMetasUpdate: true });
    queue.on('error', (error) => this.#log.debug({ event: 'board-queue', lane, error: messageOf(error) }));
    const adapter = new BullMQAdapter(queue, {
      readOnlyMode: this.#readOnly || forSchedules,
      displayName: forSchedules ? 'schedules' : whose,
      description: lane,
    });
    const book = { queue, batches, adapter };
    this.#books.set(lane, book);
    return book;
  }

  #batchesOf(lane: string): number[] | null {
    const prefix = `${laneOf(this.#app.ledgerId, null)}-run-`;
    return lane.startsWith(prefix) ? lane.slice(prefix.length).split('-').map(Number) : null;
  }

  async #titleOf(batches: readonly number[]): Promise<string> {
    const named = await namedBatches(this.#app.db, batches);
    return `run of ${named.map(({ name }) => name).join(', ')}`;
  }

  async #drop(lane: string): Promise<void> {
    const book = this.#books.get(lane);
    this.#books.delete(lane);
    await book?.queue.close().catch(() => undefined);
  }
}
