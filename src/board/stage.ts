import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { App } from '../app.ts';
import { VidbatchError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { Reading } from './reading.ts';
import { Shelf } from './shelf.ts';

/** What the pages are made from now: everything of one open app. */
export interface Scene {
  reading: Reading;
  shelf: Shelf;
  /** Where things are stored, for people. */
  place: string;
}

/**
 * Between the listener, which stays, and the app, which may change: an embedded folder passes to another holder when
 * the process that held it ends.
 */
export class Stage {
  readonly #log: Logger;
  readonly #origin: string | undefined;
  #scene: Scene | undefined;
  place: (adapters: readonly BullMQAdapter[]) => void = () => undefined;

  constructor(log: Logger, origin: string | undefined) {
    this.#log = log;
    this.#origin = origin;
  }

  /** Leaves the app that was shown, without closing it, and shows this one; `undefined`: none for now. */
  async show(app: App | undefined): Promise<void> {
    const old = this.#scene;
    this.#scene = undefined;
    await old?.shelf.close();
    if (app === undefined) return;
    this.#scene = {
      reading: new Reading(app.db, this.#origin),
      shelf: new Shelf(app, this.#log, (adapters) => this.place(adapters)),
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

  async refresh(): Promise<void> {
    await this.#scene?.shelf.refresh();
  }
}
