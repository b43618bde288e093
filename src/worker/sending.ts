import { frequent } from '../database/database.ts';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from './app.ts';
import { putOffPeakUnder } from '../ledger/send/window-change.ts';
import type { Config } from '../core/config.ts';
import { usageError } from '../core/errors.ts';
import { journalFolder, openJournal } from './journal/journal.ts';
import { readRemainingWork, type RemainingWork } from '../ledger/send/remaining-work.ts';
import { foreignJournals, foreignRefusal } from './journal/foreign.ts';
import { armProbe, clockSkewMs, ensureProvider, openHalts } from '../ledger/send/provider.ts';
import { checkModels, sorted, type Limit, type ModelNames } from '../core/rate/rate-limits.ts';
import { limitsWith } from './rate/profile-limits.ts';
import type { Polled } from '../ledger/tasks/record-polls.ts';
import { createLog, type Logger } from '../core/log.ts';
import { untilLedgerAnswers } from '../database/outage.ts';
import { crashPoint } from '../core/crash-points.ts';
import { HASTY_PLAN, POLL_PLAN } from '../core/poll-plan.ts';
import { startPolling, unaskedPlaces, type Polling, type PollLimits } from '../results/poll/polling.ts';
import { createProvider, type Provider } from '../provider/client.ts';
import type { Outcome } from '../core/outcome.ts';
import { queueName } from './queue/name.ts';
import { rememberedProfiles, type RememberedProfiles } from '../provider/profile/remembered.ts';
import type { Profile } from '../provider/profile/schema.ts';
import { findProfilesOf } from '../ledger/profiles.ts';
import type { Verdict } from './submit.ts';
import { beginsSending, recall } from './recall.ts';
import type { Window } from '../core/time/window.ts';
import { modelsOf } from '../provider/profile/models.ts';
import { checkKey } from './speaker.ts';
import { startWorker, type RunningWorker } from './worker.ts';
import { configuredProfile } from '../provider/profile/load.ts';
import { requireTarget } from '../provider/target.ts';

export interface WorkLimits extends PollLimits {
  /** Open calls of this worker; 8. */
  concurrency: number;
  /** Tries of a row that is known not to have been accepted; 5. */
  maxAttempts: number;
  /** Milliseconds for one whole answer; 120,000. Short ones leave rows uncertain. */
  timeoutMs: number;
  /** Rows in the queue at a time, at most; 1000. */
  queueDepth: number;
  /** Limits of all workers together; undefined: no limits. */
  limits?: readonly Limit[];
}

export const DEFAULTS: WorkLimits = {
  concurrency: 8,
  maxAttempts: 5,
  timeoutMs: 120_000,
  queueDepth: 1000,
  pollConcurrency: 4,
};

export interface SendingOptions {
  /** Only rows of these batches; null: of all. */
  batches: readonly number[] | null;
  /** The window of off-peak rows for all workers of this ledger from now on; null: none; undefined: as it is. */
  offPeakWindow?: Window | null;
  /** Default: warnings and worse, on stderr. */
  log?: Logger;
  /** Called after each row that was settled, and when the rows of a batch are blocked. */
  onVerdict?: (verdict: Verdict) => void;
  /** Called after each call of the provider, with the milliseconds that it took. */
  onExchange?: (outcome: Outcome, ms: number) => void;
  /** Called after each query about a task. */
  onPolled?: (polled: Polled) => void;
}

/** A worker with its provider. */
export interface Sending {
  readonly worker: RunningWorker;
  /** Where its task ids belong. */
  readonly origin: string;
  /**
   * Takes no more rows, finishes what is in flight, records it. After `timeoutMs` (default: however long it takes) it
   * resolves with the number of rows that are not recorded: leave the app open then, or end the process. Idempotent.
   */
  close(timeoutMs?: number): Promise<number>;
}

/** The most that one row needs in the journal: its intent, and an answer with headers and a body cut to 4 KiB, escaped. */
const JOURNAL_BYTES = 32 * 1024;

/** A deadline is by the database's clock, and a dispatch by this machine's: the clocks must agree. */
const MOST_SKEW_MS = 5_000;

/**
 * Starts sending rows. A provider that is still halted is probed with one row at a time.
 * @throws VidbatchError exit 2 without a provider, with a bad key, or when the clocks disagree.
 */
export async function startSending(
  app: App,
  config: Config,
  limits: Partial<WorkLimits>,
  options: SendingOptions,
): Promise<Sending> {
  const target = requireTarget(config);
  const { log = createLog('warn'), onExchange, onPolled, offPeakWindow, ...rest } = options;
  const profiles = rememberedProfiles(app.db, config);
  const spoken = await profilesOf(app, config, options.batches, profiles);
  if (limits.limits !== undefined) checkModels(limits.limits, namesOf(config.models, spoken));
  const effective = { ...DEFAULTS, ...limits, limits: limitsWith(limits.limits ?? [], spoken) };
  for (const outage of app.outages) outage.logTo(log);
  const unasked = unaskedPlaces(effective);
  if (unasked !== undefined) log.warn({ event: 'places-unasked' }, unasked);
  await checkClock(app);
  const provider = createProvider({
    ...target,
    codes: config.codes,
    timeoutMs: effective.timeoutMs,
    connections: effective.concurrency,
  });
  try {
    await ensureProvider(app.db, provider.origin);
    if (offPeakWindow !== undefined) await putOffPeakUnder(app.db, offPeakWindow, log);
    await probeAfterHalt(app, provider.origin, log);
    const folder = journalFolder(config.dataDir);
    const foreign = await foreignJournals(app.db, folder, app.ledgerId);
    if (foreign.length > 0) throw foreignRefusal(foreign);
    await recall(app, config, effective, log);
    beginsSending(app);
    const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    const journal = await openJournal(
      folder,
      { ledger: app.ledgerId, worker: id, origin: provider.origin },
      { reserve: effective.concurrency * JOURNAL_BYTES, flushAnswers: config.databaseUrl === undefined },
    );
    let polling: Polling | undefined;
    const worker = await startWorker({
      id,
      journal,
      db: app.db,
      store: app.store,
      provider: onExchange === undefined ? provider : timed(provider, onExchange),
      ledgerId: app.ledgerId,
      queueName: queueName(app.ledgerId, options.batches),
      profiles,
      models: config.models,
      hasKey: config.apiKey !== undefined,
      log,
      ...effective,
      limits: sorted(effective.limits),
      onFull: () => void polling?.hurry(),
      ...rest,
    });
    // A limit on tasks at a time counts the tasks of all batches, and no other process may be polling them.
    const isCapped = effective.limits.some(({ inFlight }) => inFlight !== undefined);
    polling = startPolling(app, config, effective, {
      batches: isCapped ? null : options.batches,
      log,
      onPolled,
      plan: () => (worker.isFull() ? HASTY_PLAN : POLL_PLAN),
    });
    const stopPolling = polling.stop;
    return {
      worker,
      origin: provider.origin,
      async close(timeoutMs) {
        const [left] = await Promise.all([worker.stop(timeoutMs), stopPolling()]);
        if (left === 0) await provider.close();
        return left;
      },
    };
  } catch (error) {
    await provider.close();
    throw error;
  }
}

async function probeAfterHalt(app: App, origin: string, log: Logger): Promise<void> {
  if (!(await armProbe(app.db, origin))) return;
  crashPoint('probe-armed');
  const halt = (await openHalts(app.db)).find((one) => one.origin === origin);
  log.warn(
    { event: 'probing', reason: halt?.reason },
    'after a halt: one row at a time until one is accepted',
  );
}

/** The profiles of the rows to send. A worker for all batches takes the limits of the configured profile. */
async function profilesOf(
  { db }: App,
  config: Config,
  batches: readonly number[] | null,
  profiles: RememberedProfiles,
): Promise<Profile[]> {
  if (batches === null) return [configuredProfile(config)];
  const found: Profile[] = [];
  for (const id of await findProfilesOf(db, batches)) {
    const { profile } = await profiles.of(id);
    checkKey(profile, config.apiKey !== undefined);
    found.push(profile);
  }
  return found;
}

/** A limit may name a model that one of the profiles knows. */
function namesOf(models: readonly string[], profiles: readonly Profile[]): ModelNames {
  const each = profiles.map(modelsOf);
  return {
    names: [...new Set([...each.flatMap(({ names }) => names), ...models])],
    knows: (name) => models.includes(name) || each.some(({ entryOf }) => entryOf(name) !== undefined),
  };
}

function timed(provider: Provider, onExchange: (outcome: Outcome, ms: number) => void): Provider {
  return {
    ...provider,
    speaking: (profile) => timed(provider.speaking(profile), onExchange),
    async create(body, options) {
      const began = performance.now();
      const outcome = await provider.create(body, options);
      try {
        onExchange(outcome, performance.now() - began);
      } catch {
        // An error of the listener must not lose a task id.
      }
      return outcome;
    },
  };
}

async function checkClock(app: App): Promise<void> {
  const skew = await clockSkewMs(app.db);
  if (Math.abs(skew) <= MOST_SKEW_MS) return;
  throw usageError(
    'CLOCK_SKEW',
    `this machine's clock is ${(skew / 1000).toFixed(1)} s off the database's; at most 5 s are allowed`,
    'Synchronise both clocks (NTP), then start again.',
  );
}

/**
 * Waits until no row of these batches (null: of all batches) can be sent any more, and returns why. After the signal it
 * returns at once; then rows may be left (`work`).
 */
export async function untilDone(
  app: App,
  { origin }: Pick<Sending, 'origin'>,
  batches: readonly number[] | null,
  { signal, log = createLog('warn') }: { signal?: AbortSignal; log?: Logger } = {},
): Promise<RemainingWork> {
  for (;;) {
    const left = await untilLedgerAnswers(
      'work left',
      log,
      () => readRemainingWork(frequent(app.db), origin, batches),
      signal,
    );
    if (left !== 'work' || signal?.aborted === true) return left;
    await sleep(250, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}
