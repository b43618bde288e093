import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppQueue } from '@bull-board/api/typings/app';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Database } from '../database/database.ts';
import { readPausedBatches } from '../ledger/read/batch-numbers.ts';
import { HealthCheck } from '../operate/monitor/survey.ts';
import type { App } from '../worker/app.ts';
import { createPauseActions } from './buttons.ts';
import type { PauseActions } from './buttons.ts';
import { PageData } from './page-data.ts';
import { formatJob, QueueList } from './queue-list.ts';

/** Everything that the pages need of one open app. */
export interface OpenedApp {
  db: Database;
  data: PageData;
  queueList: QueueList;
  pauses: PauseActions;
  health: HealthCheck;
  /** Where ledger and queue are stored, for people. */
  place: string;
}

interface AppContextOptions {
  log: Logger;
  /** The provider of this configuration. */
  origin: string | undefined;
  readOnly: boolean;
  /** The name in the event log for a person who uses the buttons. */
  who: string;
}

/**
 * Connects the HTTP server, which stays, with the app, which may change: another process takes an embedded folder when
 * the process that held it ends.
 */
export class AppContext {
  readonly #options: AppContextOptions;
  #opened: OpenedApp | undefined;
  /** Sets the queues that Bull Board shows. */
  setQueues: (adapters: readonly BullMQAdapter[]) => void = () => undefined;

  constructor(options: AppContextOptions) {
    this.#options = options;
  }

  /** Shows this app from now on; `undefined`: none for now. It does not close the old app. */
  async show(app: App | undefined): Promise<void> {
    const old = this.#opened;
    this.#opened = undefined;
    await old?.queueList.close();
    if (app === undefined) return;
    const { log, origin, readOnly, who } = this.#options;
    this.#opened = {
      db: app.db,
      data: new PageData(app.db, origin),
      queueList: new QueueList(app, log, { readOnly, setQueues: (adapters) => this.setQueues(adapters) }),
      pauses: createPauseActions(app.db, who),
      health: new HealthCheck(app),
      place: `ledger: ${app.storage.ledger} · queue: ${app.storage.queue}`,
    };
  }

  /** @throws VidbatchError `LEDGER_AWAY` while no app is shown. */
  opened(): OpenedApp {
    if (this.#opened !== undefined) return this.#opened;
    throw new VidbatchError(
      'LEDGER_AWAY',
      'the process that held the ledger has ended; the board opens it again in a moment',
    );
  }

  /** Why the queue does not answer; undefined: it does. */
  async queueAway(): Promise<string | undefined> {
    const reason = (await this.#opened?.health.ask())?.queue;
    if (reason === undefined) return undefined;
    return `the queue does not answer (${reason}): no new row is sent meanwhile, and no row is lost. Start the queue again; workers fill it from the ledger`;
  }

  async refresh(): Promise<void> {
    await this.#opened?.queueList.refresh();
  }

  /** Adds what the ledger knows to Bull Board's queues: whether they are paused, and whether they have workers. */
  async withLedgerState(queues: readonly AppQueue[]): Promise<AppQueue[]> {
    const queueList = this.#opened?.queueList;
    const batchesOf = new Map(queues.map(({ name }) => [name, queueList?.find(name)?.batches ?? null]));
    const paused = await this.#readPaused([...batchesOf.values()].flatMap((ids) => ids ?? []));
    const shown: AppQueue[] = [];
    for (const queue of queues) {
      const batches = batchesOf.get(queue.name) ?? null;
      // A pause of everything stops rows, but not schedules.
      const isPaused =
        paused !== undefined &&
        queueList?.find(queue.name) !== undefined &&
        (paused.all || (batches !== null && batches.every((id) => paused.batches.has(id))));
      shown.push({
        ...queue,
        isPaused: queue.isPaused || isPaused,
        hasWorkers: queueList?.hasWorkers(queue.name, queue.hasWorkers) ?? null,
        jobs: queue.jobs.map(formatJob),
      });
    }
    return shown;
  }

  async #readPaused(
    batches: readonly number[],
  ): Promise<Awaited<ReturnType<typeof readPausedBatches>> | undefined> {
    if (this.#opened === undefined) return undefined;
    return readPausedBatches(this.#opened.db, batches).catch((error: unknown) => {
      this.#options.log.warn(
        { event: 'board-ledger', error: messageOf(error) },
        'the ledger did not say which batches are paused',
      );
      return undefined;
    });
  }
}
