import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';

/**
 * An engine is back once nothing has failed for so long after something worked: longer than any pause between two tries
 * of ours or of the drivers, so that one which comes and goes is one outage, told in two lines.
 */
const SETTLED_MS = 10_000;

/** Whether one engine, Redis or Postgres, is away: heard from all that use it, told once at its begin and once at its end. */
export class Outage {
  readonly #engine: 'ledger' | 'queue';
  readonly #name: string;
  readonly #settledMs: number;
  #log: Logger | undefined;
  #begun: { at: number; error: unknown; told: boolean } | undefined;
  #backAt: number | undefined;
  #settling: NodeJS.Timeout | undefined;
  #worked = false;
  #closed = false;

  /** `name`: as `Redis at localhost:6379`. */
  constructor(engine: 'ledger' | 'queue', name: string, settledMs = SETTLED_MS) {
    this.#engine = engine;
    this.#name = name;
    this.#settledMs = settledMs;
  }

  /** Until then it is only known. Who only asks, and waits for nothing, ends with its error instead. */
  tellTo(log: Logger): void {
    this.#log = log;
    this.#tell();
  }

  /** It has worked before. */
  get known(): boolean {
    return this.#worked;
  }

  get away(): boolean {
    return this.#begun !== undefined && this.#backAt === undefined;
  }

  failed(error: unknown): void {
    if (this.#closed || !this.#worked) return;
    clearTimeout(this.#settling);
    this.#backAt = undefined;
    this.#begun ??= { at: performance.now(), error, told: false };
    this.#tell();
  }

  worked(): void {
    this.#worked = true;
    if (this.#begun === undefined || this.#backAt !== undefined) return;
    this.#backAt = performance.now();
    this.#settling = setTimeout(() => this.#end(), this.#settledMs).unref();
  }

  /** Whatever breaks from now on was broken by us. */
  close(): void {
    clearTimeout(this.#settling);
    if (this.#backAt !== undefined) this.#end();
    this.#closed = true;
  }

  #tell(): void {
    if (this.#log === undefined || this.#begun === undefined || this.#begun.told) return;
    this.#begun.told = true;
    this.#log.warn(
      { event: `${this.#engine}-away`, error: messageOf(this.#begun.error) },
      `${this.#name} is away: what needs it waits`,
    );
  }

  #end(): void {
    const { at, told } = this.#begun ?? { at: 0, told: false };
    const afterMs = Math.round((this.#backAt ?? at) - at);
    this.#begun = undefined;
    this.#backAt = undefined;
    if (told) this.#log?.info({ event: `${this.#engine}-back`, afterMs }, `${this.#name} is back`);
  }
}
