import { isOutage } from '../../database/connection-errors.ts';
import { messageOf } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { sayLimits, steerQuota, unsayLimits } from '../../ledger/send/quota.ts';
import { throttleBaseMs, type Limit } from '../../core/rate/rate-limits.ts';
import type { Logger } from '../../core/log.ts';

/** Stores the limits of a worker in the ledger, and finds an automatic rate. */
export interface QuotaKeeper {
  /** Milliseconds that all workers wait after a first 429. */
  throttleBaseMs(): number;
  /** A row was settled this many milliseconds after its claim was asked for. */
  settled(ms: number): void;
  /** The provider refused this attempt, and no worker sends for `stopMs`. */
  refused(attemptId: string, stopMs: number): Promise<void>;
  stop(): Promise<void>;
}

const STEER_MS = 500;
const SAY_MS = 10_000;

export function keepQuota(db: Database, origin: string, limits: readonly Limit[], log: Logger): QuotaKeeper {
  const finds = limits.some(({ intervalMs }) => intervalMs === 'auto');
  let perSecond: number | undefined;
  let lagMs: number | undefined;
  let saidAt = -Infinity;
  let told: string | undefined;
  let turn: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function say(): Promise<void> {
    saidAt = performance.now();
    const others = await sayLimits(db, origin, limits);
    const models = others.map((model) => model || 'all rows').join(', ');
    if (models !== '' && models !== told)
      log.warn(
        { event: 'limits-differ', models: others },
        `another worker uses other limits for ${models}: each worker uses its own, and counts the requests of all`,
      );
    told = models;
  }

  async function find(refused?: { attemptId: string; stopMs: number }): Promise<void> {
    const before = perSecond;
    perSecond = (await steerQuota(db, origin, { lagMs, ...(refused === undefined ? {} : { refused }) }))
      .perSecond;
    lagMs = undefined;
    if (refused === undefined || before === undefined || perSecond >= before) return;
    log.info(
      { event: 'rate-lowered', from: round(before), to: round(perSecond) },
      'the provider throttles: all workers go slower',
    );
  }

  async function look(): Promise<void> {
    if (performance.now() - saidAt > SAY_MS) await say();
    if (finds) await find();
  }

  /** One at a time. The next call makes up for one that fails. */
  function then(act: () => Promise<void>): Promise<void> {
    turn = turn.then(act).catch((error: unknown) => {
      log[isOutage(error) ? 'debug' : 'warn']({ event: 'quota-failed', error: messageOf(error) });
    });
    return turn;
  }

  if (limits.length > 0) {
    void then(look);
    timer = setInterval(() => void then(look), finds ? STEER_MS : SAY_MS);
  }
  return {
    throttleBaseMs: () => throttleBaseMs(finds ? perSecond : perSecondOfFixed(limits)),
    settled(ms) {
      lagMs = ms;
    },
    async refused(attemptId, stopMs) {
      if (finds) await then(() => find({ attemptId, stopMs }));
    },
    async stop() {
      clearInterval(timer);
      await (limits.length === 0 ? turn : then(() => unsayLimits(db, origin, limits)));
    },
  };
}

function perSecondOfFixed(limits: readonly Limit[]): number | undefined {
  const intervalMs = limits.find(({ model }) => model === '')?.intervalMs;
  return typeof intervalMs === 'number' ? 1000 / intervalMs : undefined;
}

function round(perSecond: number): number {
  return Number(perSecond.toPrecision(3));
}
