import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppQueue } from '@bull-board/api/typings/app';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Database } from '../database/database.ts';
import { readPausedBatches } from '../ledger/read/batch-numbers.ts';
import { readChangeMark } from '../ledger/read/change-mark.ts';
import { HealthCheck } from '../operate/monitor/health.ts';
import type { App } from '../worker/app.ts';
import { Notices } from './notices.ts';
import { createPauseActions, type PauseActions } from './buttons.ts';
import { ChangeWatch } from './change-watch.ts';
import { liveReads } from './live-reads.ts';
import { PageData } from './page-data.ts';
import { formatJob, QueueList } from './queue-list.ts';
import type { Away } from './standing.ts';

/** Everything that the pages need of one open app. */
export interface OpenedApp {
  db: Database;
  ledgerId: string;
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
  /** The path under which browsers see the board, without a slash at its end. */
  publicPath: string;
  /** The name in the event log for a person who uses the buttons. */
  who: string;
  /** The token that each form of a page carries. */
  formToken: string;
}

/**
 * Connects the HTTP server, which stays, with the app, which may change: another process takes an embedded folder when
 * the process that held it ends.
 */
export class AppContext {
  readonly #options: AppContextOptions;
  #opened: OpenedApp | undefined;
  /** When the board first saw that the queue does not answer; undefined: it answers. */
  #awaySince: Date | undefined;
  /** Whether open pages show something old. */
  readonly watch = new ChangeWatch(() => this.#mark());
  /** What acts did, for the pages that are shown after them. */
  readonly notices = new Notices();
  /** Sets the queues that Bull Board shows. */
  setQueues: (adapters: readonly BullMQAdapter[]) => void = () => undefined;

  constructor(options: AppContextOptions) {
    this.#options = options;
  }

  /** The next page shows the ledger as it is now. */
  forget(): void {
    this.#opened?.data.forget();
  }

  get readOnly(): boolean {
    return this.#options.readOnly;
  }

  get origin(): string | undefined {
    return this.#options.origin;
  }

  get who(): string {
    return this.#options.who;
  }

  get formToken(): string {
    return this.#options.formToken;
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
      ledgerId: app.ledgerId,
      data: new PageData(liveReads(app.db, this.watch), origin),
      queueList: new QueueList(app, log, { readOnly, setQueues: (adapters) => this.setQueues(adapters) }),
      pauses: createPauseActions(app.db, who),
      health: new HealthCheck(app),
      place: `ledger: ${app.storage.ledger} · queue: ${app.storage.queue}`,
    };
  }

  /** Where ledger and queue are stored, for people; undefined while no ledger is open. */
  get place(): string | undefined {
    return this.#opened?.place;
  }

  /** @throws VidbatchError `LEDGER_AWAY` while no app is shown. */
  opened(): OpenedApp {
    if (this.#opened !== undefined) return this.#opened;
    throw new VidbatchError(
      'LEDGER_AWAY',
      'the process that held the ledger has ended; the board opens it again in a moment',
    );
  }

  /** Why the queue does not answer, and since when; undefined: it does. */
  async queueAway(): Promise<Away | undefined> {
    const why = (await this.#opened?.health.ask())?.queue;
    if (why === undefined) {
      this.#awaySince = undefined;
      return undefined;
    }
    const since = (this.#awaySince ??= new Date());
    const reason = `the queue does not answer (${why}): no new row is sent meanwhile, and no row is lost. Start the queue again; workers fill it from the ledger`;
    return { reason, since };
  }

  /** How many things need a person. Rejects if the ledger does not answer. */
  async countAttention(): Promise<number> {
    return (await this.opened().data.attention()).length;
  }

  async #mark(): Promise<string> {
    const queueIsAway = (await this.queueAway()) !== undefined;
    return `${queueIsAway} ${this.#opened === undefined ? '' : await readChangeMark(this.#opened.db)}`;
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
        jobs: queue.jobs.map((job) => formatJob(job, this.#options.publicPath)),
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
