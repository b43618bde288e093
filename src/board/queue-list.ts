import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppJob } from '@bull-board/api/typings/app';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { readBatchNames } from '../ledger/read/batch-numbers.ts';
import { listSchedules } from '../ledger/schedules/schedules.ts';
import { listFeeders } from '../ledger/send/feeder.ts';
import type { App } from '../worker/app.ts';
import { chunkOf, type ChunkData, type TookRow } from '../worker/queue/chunk.ts';
import { batchesOfQueue, queueName, scheduleQueue } from '../worker/queue/name.ts';
import { openQueue } from '../worker/queue/queue.ts';
import type { ShownQueue } from './buttons.ts';
import { batchPath } from './url.ts';

/** Several open tabs poll every few seconds. They must not query the ledger each time. */
const FRESH_MS = 2_000;

interface OpenQueue extends ShownQueue {
  adapter: BullMQAdapter;
}

/** The queues that Bull Board shows: the shared queue, one for each active `run`, and the queue of the schedules. */
export class QueueList {
  readonly #app: Pick<App, 'db' | 'store' | 'ledgerId'>;
  readonly #log: Logger;
  readonly #readOnly: boolean;
  readonly #setQueues: (adapters: readonly BullMQAdapter[]) => void;
  readonly #open = new Map<string, OpenQueue>();
  #shown: string[] = [];
  #fed: ReadonlySet<string> = new Set();
  #refreshing: Promise<void> | undefined;
  #freshUntil = 0;
  #closed = false;

  /** `setQueues` gets all adapters to show, each time they may have changed. */
  constructor(
    app: Pick<App, 'db' | 'store' | 'ledgerId'>,
    log: Logger,
    { readOnly, setQueues }: { readOnly: boolean; setQueues: (adapters: readonly BullMQAdapter[]) => void },
  ) {
    this.#app = app;
    this.#log = log;
    this.#readOnly = readOnly;
    this.#setQueues = setQueues;
  }

  /** A queue that is shown and whose buttons work, by its name. */
  find(name: string): ShownQueue | undefined {
    return this.#withButtons().includes(name) ? this.#open.get(name) : undefined;
  }

  /** All of them. */
  queues(): ShownQueue[] {
    return this.#withButtons().flatMap((name) => this.#open.get(name) ?? []);
  }

  /**
   * Whether a worker takes jobs from this queue. Null: no worker should, as for the queue of the schedules.
   * `connected`: what the queue's store says. Null: the store cannot tell, so the ledger's list of feeders decides.
   */
  hasWorkers(name: string, connected: boolean | null): boolean | null {
    return this.find(name) === undefined ? null : (connected ?? this.#fed.has(name));
  }

  /** The queue of the schedules only shows them: nothing is sent from it, and its buttons do nothing. */
  #withButtons(): string[] {
    return this.#shown.filter((name) => name !== scheduleQueue(this.#app.ledgerId));
  }

  /** Looks for new and for removed queues, at most every two seconds. Never rejects: on an error the old list stays. */
  refresh(): Promise<void> {
    if (this.#closed || performance.now() < this.#freshUntil) return Promise.resolve();
    this.#refreshing ??= this.#update()
      .catch((error: unknown) => {
        this.#log.warn(
          { event: 'board-queues', error: messageOf(error) },
          'cannot read which queues there are',
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
    this.#setQueues([]);
    await Promise.all([...this.#open.keys()].map((name) => this.#closeQueue(name)));
  }

  async #update(): Promise<void> {
    const { db, ledgerId } = this.#app;
    const fed = new Set((await listFeeders(db)).filter(({ alive }) => alive).map(({ queue }) => queue));
    this.#fed = fed;
    const shown = new Set([queueName(ledgerId, null), ...fed]);
    if ((await listSchedules(db)).length > 0) shown.add(scheduleQueue(ledgerId));
    const queues = await Promise.all([...shown].map((name) => this.#openQueue(name)));
    this.#shown = [...shown];
    this.#setQueues(queues.map(({ adapter }) => adapter));
    for (const name of this.#open.keys()) if (!shown.has(name)) await this.#closeQueue(name);
  }

  async #openQueue(name: string): Promise<OpenQueue> {
    const known = this.#open.get(name);
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
    const opened = { queue, batches, adapter };
    this.#open.set(name, opened);
    return opened;
  }

  async #titleOf(batches: readonly number[]): Promise<string> {
    const named = await readBatchNames(this.#app.db, batches);
    return `run of ${named.map(({ name }) => name).join(', ')}`;
  }

  async #closeQueue(name: string): Promise<void> {
    const opened = this.#open.get(name);
    this.#open.delete(name);
    await opened?.queue.close().catch(() => undefined);
  }
}

/** A job as Bull Board shows it, with a link to its batch. Each row is a line of text, because Bull Board folds objects. */
export function formatJob(job: AppJob, publicPath: string): AppJob {
  if (isTick(job.data))
    return { ...job, externalUrl: { displayText: 'schedules', href: `${publicPath}/schedules` } };
  if (chunkOf(job.data) === undefined) return { ...job, name: `${job.name} · names no batch` };
  const { took, ...rest } = job.data as ChunkData;
  return {
    ...job,
    data: { ...rest, ...(Array.isArray(took) ? { took: took.map(formatTookRow) } : {}) },
    externalUrl: { displayText: 'batch in the ledger', href: `${publicPath}${batchPath(job.name)}` },
  };
}

function formatTookRow(row: Partial<TookRow> | null): string {
  return `${row?.key}: ${row?.prompt}`;
}

/** Whether the job mirrors the next tick of a schedule, which belongs to no batch. */
function isTick(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'schedule' in data && 'tick' in data;
}
