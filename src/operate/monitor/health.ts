import { messageOf } from '../../core/errors.ts';
import { within } from '../../core/within.ts';
import type { Queryable } from '../../database/database.ts';
import type { App } from '../../worker/app.ts';

/** What a worker needs. */
export const PARTS = ['ledger', 'queue'] as const;
export type Part = (typeof PARTS)[number];

/** Why a part does not answer; undefined when it does. */
export type Health = Record<Part, string | undefined>;

/** A part that takes longer counts as away, because probes wait one or two seconds. */
const ANSWER_MS = 1_500;

interface Asked {
  asking: Promise<string | undefined> | undefined;
  /** Since when it has always answered, by the monotonic clock; undefined: the last time it did not. */
  since: number | undefined;
}

/** Asks whether ledger and queue answer. Each gets one query at a time, even if many callers wait for it. */
export class HealthCheck {
  readonly #app: Pick<App, 'db' | 'store'>;
  readonly #asked: Record<Part, Asked> = {
    ledger: { asking: undefined, since: undefined },
    queue: { asking: undefined, since: undefined },
  };

  constructor(app: Pick<App, 'db' | 'store'>) {
    this.#app = app;
  }

  async ask(): Promise<Health> {
    const [ledger, queue] = await Promise.all(PARTS.map((part) => this.#askOne(part)));
    return { ledger, queue };
  }

  /** For how many milliseconds both parts have always answered; 0: one did not answer. */
  answeringMs(): number {
    const since = PARTS.map((part) => this.#asked[part].since ?? Infinity);
    return Math.max(0, performance.now() - Math.max(...since));
  }

  async #askOne(part: Part): Promise<string | undefined> {
    const asked = this.#asked[part];
    asked.asking ??= this.#ping(part)
      .then(() => undefined, reasonOf)
      .finally(() => (asked.asking = undefined));
    const reason = await within(ANSWER_MS, asked.asking, () => `no answer within ${ANSWER_MS / 1000} s`);
    asked.since = reason === undefined ? (asked.since ?? performance.now()) : undefined;
    return reason;
  }

  async #ping(part: Part): Promise<void> {
    const { db, store } = this.#app;
    if (part === 'ledger') await db.query('select 1');
    else if (store.kind === 'postgres') await (store.pool as unknown as Queryable).query('select 1');
    // A PING would wait in the client until the connection comes back.
    else if (store.redis.status !== 'ready') throw new Error(`not connected: ${store.redis.status}`);
    else await store.redis.ping();
  }
}

/** Connection errors of several addresses come as an AggregateError with an empty message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return messageOf(error) || 'it failed without a message';
}
