import type { Weather } from './weather.ts';
import type { ModelLedger } from './ledger/state.ts';
import type { Random } from './random.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** The database as a process sees it: statements take time, get lost, and are committed though their answer is lost. */
export class Connection {
  /** A statement of a connection that broke was committed after its client had given it up. */
  haunted = false;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #server: Server;

  constructor(server: Server, scheduler: Scheduler, random: Random, weather: Weather) {
    this.#server = server;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#weather = weather;
  }

  async run<T>(label: string, statement: (ledger: ModelLedger) => T): Promise<T> {
    await this.#scheduler.park(`${label} is sent`);
    if (this.#weather.ledgerAway || this.#random.chance(this.#weather.lostStatements)) {
      throw new Error('the connection broke before the statement');
    }
    let result: { value: T } | undefined;
    let fault: unknown;
    const isHaunting = this.#random.chance(this.#weather.hauntingStatements);
    const delayMs = isHaunting ? this.#random.below(30_000) : 0;
    this.#scheduler.later(this.#server.owner(), `${label} runs`, delayMs, () => {
      try {
        result = { value: this.#server.execute(statement) };
      } catch (error) {
        fault = error;
      }
    });
    if (isHaunting) {
      this.haunted = true;
      await this.#scheduler.park(`${label} breaks`);
      throw new Error('the connection broke while the statement was under way');
    }
    await this.#scheduler.park(`${label} is answered`, 0, () => result !== undefined || fault !== undefined);
    if (result === undefined) throw fault instanceof Error ? fault : new Error(String(fault));
    if (this.#random.chance(this.#weather.unansweredStatements)) {
      throw new Error('the connection broke before the answer');
    }
    return result.value;
  }
}

/** Runs statements one at a time, each whole or not at all. */
export interface Server {
  /** Whose turn it is when a statement runs. */
  readonly owner: () => Owner;
  readonly execute: <T>(statement: (ledger: ModelLedger) => T) => T;
}
