import { VERSION } from '../../core/version.ts';
import { within } from '../../core/within.ts';
import type { App } from '../../worker/app.ts';
import type { RunningWorker } from '../../worker/worker.ts';
import { startProbe, type Address, type Reasons } from './http.ts';
import { Metrics } from './metrics.ts';
import { HealthCheck } from './health.ts';
import { Surveyor } from './survey.ts';

/** Probes and metrics of one worker, over HTTP. */
export interface Monitor {
  readonly url: string;
  /** The worker reports its events to these metrics. */
  readonly metrics: Pick<Metrics, 'onVerdict' | 'onExchange' | 'onPolled'>;
  /** The worker has started: it is ready from now on. */
  watch(worker: Watched): void;
  /** The worker was told to stop: it is alive, but no longer ready. */
  drain(): void;
  close(): Promise<void>;
}

/** What the monitor reads of a worker. */
type Watched = Pick<RunningWorker, 'inFlight' | 'journal' | 'feederIdleMs'>;

/** A turn of the feeder takes milliseconds. One minute without a turn is a hang, if ledger and queue answer. */
const STUCK_MS = 60_000;
const CLOSING_MS = 1_000;

/**
 * Listens at once, so that probes see a worker that is still reading its journals.
 * @throws VidbatchError exit 1 when it cannot listen there.
 */
export async function startMonitor(
  app: Pick<App, 'db' | 'store' | 'ledgerId'>,
  address: Address,
  { stuckMs = STUCK_MS } = {},
): Promise<Monitor> {
  const metrics = new Metrics(VERSION);
  const health = new HealthCheck(app);
  const surveyor = new Surveyor(app, health);
  let worker: Watched | undefined;
  let draining = false;

  /** A server that is away is not a reason: restarting all workers would only make rows in flight uncertain. */
  async function alive(): Promise<Reasons> {
    const idleMs = worker?.feederIdleMs() ?? 0;
    if (idleMs < stuckMs || draining) return [];
    await health.ask();
    if (health.answeringMs() < stuckMs) return [];
    return [`feeder: no turn for ${Math.round(idleMs / 1000)} s, while ledger and queue answer`];
  }

  async function ready(): Promise<Reasons> {
    const { ledger, queue } = await health.ask();
    return [
      ...(worker === undefined ? ['worker: starting'] : []),
      ...(draining ? ['worker: draining'] : []),
      ...(ledger === undefined ? [] : [`ledger: ${ledger}`]),
      ...(queue === undefined ? [] : [`queue: ${queue}`]),
    ];
  }

  const closeSurveyor = (): Promise<void> =>
    within(
      CLOSING_MS,
      surveyor.close().catch(() => undefined),
      () => undefined,
    );
  try {
    const probe = await startProbe(address, {
      alive,
      ready,
      metrics: async () => ({
        type: metrics.contentType,
        text: await metrics.render(await surveyor.look(worker, draining)),
      }),
    });
    return {
      url: probe.url,
      metrics,
      watch: (started) => (worker = started),
      drain: () => (draining = true),
      async close() {
        await probe.close();
        await closeSurveyor();
      },
    };
  } catch (error) {
    await closeSurveyor();
    throw error;
  }
}
