import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppJob, AppQueue } from '@bull-board/api/typings/app';
import type { App } from '../worker/app.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { glanceAt } from '../ledger/read/glance.ts';
import { pausedBatches } from '../ledger/send/lane.ts';
import type { Logger } from '../core/log.ts';
import { Parts } from '../operate/monitor/parts.ts';
import { rowOf } from '../worker/queue/queue.ts';
import { jobOfRow } from './job.ts';
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

  /** Queues as Bull Board is about to show them, with the ledger's word on them and on their jobs. */
  async queues(queues: readonly AppQueue[]): Promise<AppQueue[]> {
    const lanes = new Map(queues.map(({ name }) => [name, this.#scene?.shelf.find(name)?.batches ?? null]));
    const paused = await this.#ask((db) =>
      pausedBatches(
        db,
        [...lanes.values()].flatMap((ids) => ids ?? []),
      ),
    );
    const shown: AppQueue[] = [];
    for (const queue of queues) {
      const batches = lanes.get(queue.name) ?? null;
      const held =
        paused !== undefined &&
        (paused.all || (batches !== null && batches.every((id) => paused.batches.has(id))));
      shown.push({ ...queue, isPaused: queue.isPaused || held, jobs: await this.jobs(queue.jobs) });
    }
    return shown;
  }

  /** One question for all of them. While the ledger is away, jobs are shown as the queue has them. */
  async jobs(jobs: readonly AppJob[]): Promise<AppJob[]> {
    const ids = jobs.flatMap(({ data }) => rowOf(data) ?? []);
    const rows = ids.length === 0 ? undefined : await this.#ask((db) => glanceAt(db, ids));
    return jobs.map((job) => jobOfRow(job, rows?.get(rowOf(job.data) ?? 0)));
  }

  async #ask<T>(question: (db: Database) => Promise<T>): Promise<T | undefined> {
    if (this.#scene === undefined) return undefined;
    return question(this.#scene.db).catch((error: unknown) => {
      this.#options.log.warn(
        { event: 'board-ledger', error: messageOf(error) },
        'the ledger did not say how rows stand',
      );
      return undefined;
    });
  }
}
