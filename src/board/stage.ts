import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppQueue } from '@bull-board/api/typings/app';
import type { App } from '../worker/app.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { readPausedBatches } from '../ledger/read/batch-numbers.ts';
import type { Logger } from '../core/log.ts';
import { Parts } from '../operate/monitor/parts.ts';
import { jobOf } from './job.ts';
import { pausesOf } from './pauses.ts';
import { Reading } from './reading.ts';
import { Shelf } from './shelf.ts';
import type { Pauses } from './writes.ts';

/** What the pages are made from now: everything of one open app. */
export interface Scene {
  db: Database;
  reading: Reading;
  shelf: Shelf;
  pauses: Pauses;
  parts: Parts;
  /** Where things are stored, for people. */
  place: string;
}

export interface StageOptions {
  log: Logger;
  /** The provider of this configuration. */
  origin: string | undefined;
  readOnly: boolean;
  /** Who presses the buttons, for the trail. */
  who: string;
}

/**
 * Between the listener, which stays, and the app, which may change: an embedded folder passes to another holder when
 * the process that held it ends.
 */
export class Stage {
  readonly #options: StageOptions;
  #scene: Scene | undefined;
  place: (adapters: readonly BullMQAdapter[]) => void = () => undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** Leaves the app that was shown, without closing it, and shows this one; `undefined`: none for now. */
  async show(app: App | undefined): Promise<void> {
    const old = this.#scene;
    this.#scene = undefined;
    await old?.shelf.close();
    if (app === undefined) return;
    const { log, origin, readOnly, who } = this.#options;
    this.#scene = {
      db: app.db,
      reading: new Reading(app.db, origin),
      shelf: new Shelf(app, log, { readOnly, place: (adapters) => this.place(adapters) }),
      pauses: pausesOf(app.db, who),
      parts: new Parts(app),
      place: `ledger: ${app.storage.ledger} · queue: ${app.storage.queue}`,
    };
  }

  /** @throws VidbatchError `LEDGER_AWAY` while no app is shown. */
  scene(): Scene {
    if (this.#scene !== undefined) return this.#scene;
    throw new VidbatchError(
      'LEDGER_AWAY',
      'the process that held the ledger has ended; opening it again in a moment',
    );
  }

  /** That the queue does not answer, and why; undefined: it does. */
  async queueAway(): Promise<string | undefined> {
    const reason = (await this.#scene?.parts.ask())?.queue;
    if (reason === undefined) return undefined;
    return `the queue does not answer (${reason}): no new row is sent meanwhile, and no row is lost. Start the queue again; the ledger fills it`;
  }

  async refresh(): Promise<void> {
    await this.#scene?.shelf.refresh();
  }

  /** Queues as Bull Board is about to show them, with the ledger's word on whether they are paused, and have workers. */
  async queues(queues: readonly AppQueue[]): Promise<AppQueue[]> {
    const shelf = this.#scene?.shelf;
    const batchesOf = new Map(queues.map(({ name }) => [name, shelf?.find(name)?.batches ?? null]));
    const paused = await this.#ask((db) =>
      readPausedBatches(
        db,
        [...batchesOf.values()].flatMap((ids) => ids ?? []),
      ),
    );
    const shown: AppQueue[] = [];
    for (const queue of queues) {
      const batches = batchesOf.get(queue.name) ?? null;
      // A pause of everything stops rows, not schedules.
      const held =
        paused !== undefined &&
        shelf?.find(queue.name) !== undefined &&
        (paused.all || (batches !== null && batches.every((id) => paused.batches.has(id))));
      shown.push({
        ...queue,
        isPaused: queue.isPaused || held,
        hasWorkers: shelf?.hasWorkers(queue.name, queue.hasWorkers) ?? null,
        jobs: queue.jobs.map(jobOf),
      });
    }
    return shown;
  }

  async #ask<T>(question: (db: Database) => Promise<T>): Promise<T | undefined> {
    if (this.#scene === undefined) return undefined;
    return question(this.#scene.db).catch((error: unknown) => {
      this.#options.log.warn(
        { event: 'board-ledger', error: messageOf(error) },
        'the ledger did not say what is paused',
      );
      return undefined;
    });
  }
}
