import { costOptions } from '../batch/budget.ts';
import { formatFault } from '../manifest/entry.ts';
import type { Config } from '../core/config.ts';
import { messageOf, VidbatchError } from '../core/errors.ts';
import { isOutage } from '../database/connection-errors.ts';
import { LATE_MS } from './due.ts';
import type { Database } from '../database/database.ts';
import {
  endRun,
  releaseRun,
  LEASE_MS,
  leaveRun,
  renewLease,
  recordMade,
  type TakenRun,
} from '../ledger/schedules/runs.ts';
import type { RunFlags } from '../ledger/schedules/schedules.ts';
import { parseMap } from '../manifest/columns.ts';
import { produce, type ProduceOptions, type Produced } from '../batch/producer.ts';
import { parseWindow } from '../core/time/window.ts';

export type RunResult =
  | { kind: 'made'; produced: Produced }
  | { kind: 'failed'; code: string; reason: string; error: unknown }
  | { kind: 'skipped' | 'missed'; reason: string }
  /** `left`: to a worker on another machine. `given-back`: to any worker. `lost`: another worker has it. */
  | { kind: 'left' | 'given-back' | 'lost' };

interface Making {
  config: Pick<Config, 'baseUrl' | 'models' | 'profile'>;
  /** This machine's name. */
  host: string;
  /** When it is aborted, the run is given back. */
  signal?: AbortSignal;
}

/** @throws VidbatchError exit 2 for a flag that cannot be understood. */
export async function optionsOf({
  map,
  window,
  prices,
  budget,
  ...flags
}: RunFlags): Promise<ProduceOptions> {
  return {
    ...flags,
    ...(map === undefined ? {} : { map: parseMap(map) }),
    ...(window === undefined ? {} : { window: parseWindow('--window', window) }),
    ...(await costOptions({
      ...(prices === undefined ? {} : { prices }),
      ...(budget === undefined ? {} : { budget }),
    })),
    // A schedule sends the same rows again on purpose.
    again: true,
  };
}

/**
 * Submits the manifest of a taken run as it is now. The rows and the state `made` are committed together: a worker that dies
 * before leaves nothing, and a worker that has lost the run commits nothing.
 */
export async function makeRun(db: Database, run: TakenRun, making: Making): Promise<RunResult> {
  const { schedule } = run;
  const obstacle = obstacleOf(run);
  if (obstacle !== undefined) {
    return (await endRun(db, run, obstacle.kind, obstacle)) ? obstacle : { kind: 'lost' };
  }
  const renewing = setInterval(() => void renewLease(db, run).catch(() => undefined), LEASE_MS / 3);
  let outcome: Produced | { error: unknown };
  let fault: string | undefined;
  try {
    outcome = await produce(db, schedule.manifest, {
      ...(making.config.profile === undefined ? {} : { profile: making.config.profile }),
      ...(await optionsOf(schedule.flags)),
      batch: run.batch,
      models: making.config.models,
      ...(making.config.baseUrl === undefined ? {} : { origin: making.config.baseUrl }),
      onProgress: () => making.signal?.throwIfAborted(),
      onFault: (one, name) => {
        if (one.severity === 'error') fault ??= formatFault(name, one);
      },
      alongside: (session, batch) => recordMade(session, run, batch.id),
    });
  } catch (error) {
    outcome = { error };
  } finally {
    clearInterval(renewing);
  }
  if (!('error' in outcome)) return { kind: 'made', produced: outcome };
  return failed(db, run, making, outcome.error, fault);
}

async function failed(
  db: Database,
  run: TakenRun,
  making: Making,
  error: unknown,
  fault: string | undefined,
): Promise<RunResult> {
  // The ledger is away, but it may have committed. The worker that takes the run after its lease finds out.
  if (isOutage(error)) throw error;
  const code = error instanceof VidbatchError ? error.code : 'UNEXPECTED';
  // With the first fault of the manifest, so that `schedule show` says what to correct.
  const reason = `${messageOf(error)}${fault === undefined || code !== 'INVALID_ROWS' ? '' : `; the first: ${fault}`}`;
  if (code === 'RUN_LOST') return { kind: 'lost' };
  if (making.signal?.aborted === true) {
    await releaseRun(db, run);
    return { kind: 'given-back' };
  }
  if (code === 'manifest-not-found') {
    const kind = await leaveRun(db, run, making.host, { code, reason });
    if (kind !== 'failed') return { kind };
  } else if (!(await endRun(db, run, 'failed', { code, reason }))) {
    return { kind: 'lost' };
  }
  return { kind: 'failed', code, reason, error };
}

function obstacleOf({
  before,
  schedule,
  lateMs,
  triggered,
}: TakenRun): { kind: 'skipped' | 'missed'; reason: string } | undefined {
  if (before !== null && schedule.overlap === 'skip') return { kind: 'skipped', reason: stillOpen(before) };
  // With `queue`, a run that waits is not late.
  if (schedule.missed === 'skip' && schedule.overlap !== 'queue' && !triggered && lateMs > LATE_MS)
    return { kind: 'missed', reason: `no worker was free for ${Math.floor(lateMs / 60_000)} minutes` };
  return undefined;
}

function stillOpen({ batch, open }: NonNullable<TakenRun['before']>): string {
  return open === 0
    ? `${batch} is not made yet`
    : `${batch} still has ${open === 1 ? '1 row' : `${open.toLocaleString('en')} rows`} to send`;
}
