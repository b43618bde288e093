import type { Database } from '../../database/database.ts';
import type { Config } from '../../core/config.ts';
import type { Limit } from '../../core/rate/rate-limits.ts';
import { POLL_TIMEOUT_MS, startPoller, type PollerOptions } from './poller.ts';
import { askerOf } from '../../provider/asker.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { createProvider } from '../../provider/client.ts';
import { within } from '../../core/within.ts';
import { requireTarget } from '../../provider/target.ts';

export interface PollLimits {
  /** The most polls that are open at a time. Open calls do not count. 0: this worker polls no task. */
  pollConcurrency: number;
  /** Milliseconds between two polls of all workers together; undefined: no limit. */
  pollIntervalMs?: number;
}

/**
 * Says that `limits` count tasks and this worker never asks whether they have ended; undefined: no warning is needed.
 */
export function unaskedPlaces({
  limits = [],
  pollConcurrency,
}: {
  limits?: readonly Limit[] | undefined;
  pollConcurrency: number;
}): string | undefined {
  if (pollConcurrency > 0 || limits.every(({ inFlight }) => inFlight === undefined)) return undefined;
  return '--max-in-flight counts tasks until they are known to have ended, and --poll-concurrency 0 polls no task: places become free only while another worker or `vidbatch reconcile --watch` polls';
}

/** A task without an answer is polled again later, so nothing waits for this answer. */
const POLLER_ENDS_MS = 3_000;

/** A poller with its provider. */
export interface Polling {
  hurry: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Polls tasks over its own connections, so that no poll delays a paid call. */
export function startPolling(
  { db }: { db: Database },
  config: Config,
  { pollConcurrency, pollIntervalMs }: PollLimits,
  how: Pick<PollerOptions, 'batches' | 'log' | 'plan'> & { onPolled: PollerOptions['onPolled'] | undefined },
): Polling {
  if (pollConcurrency === 0) return { hurry: () => Promise.resolve(), stop: () => Promise.resolve() };
  const { onPolled, ...rest } = how;
  const provider = createProvider({
    ...requireTarget(config),
    codes: config.codes,
    timeoutMs: POLL_TIMEOUT_MS,
    connections: pollConcurrency,
  });
  const poller = startPoller({
    db,
    provider: askerOf(provider, rememberedProfiles(db)),
    concurrency: pollConcurrency,
    intervalMs: pollIntervalMs,
    timeoutMs: POLL_TIMEOUT_MS,
    ...rest,
    ...(onPolled === undefined ? {} : { onPolled }),
  });
  return {
    hurry: () => poller.hurry(),
    async stop() {
      await within(POLLER_ENDS_MS, poller.stop(), () => undefined);
      await provider.close();
    },
  };
}
