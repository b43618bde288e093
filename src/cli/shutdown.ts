import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import { formatCount, formatDuration, parseDuration } from '../core/units.ts';
import type { Logger } from '../core/log.ts';
import { within } from '../core/within.ts';
import type { Schedules } from '../schedule/schedule.ts';
import type { App } from '../worker/app.ts';
import type { Sending } from '../worker/sending.ts';
import { flag } from './flags.ts';
import type { WorkFlags } from './flags.ts';
import type { Interrupt } from './signals.ts';

export interface ShutdownFlags extends WorkFlags {
  shutdownTimeout?: string;
}

/** Beyond the HTTP timeout: to write an answer down and to record it. */
const MARGIN_MS = 15_000;
/** Connections to a server that is away are not said goodbye to for longer. */
const CLOSING_MS = 3_000;

export function shutdownFlag(command: Command): Command {
  return flag(
    command,
    '--shutdown-timeout <duration>',
    'after SIGTERM, for what is in flight to end and be recorded (default: --timeout and 15s)',
  );
}

export const SHUTDOWN_HELP = `
The first SIGTERM, SIGINT or SIGHUP takes no more rows, and ends when those in flight are recorded; a second SIGTERM or
SIGINT ends at once. A closed terminal sends SIGHUP; under nohup it is ignored.
After --shutdown-timeout the process leaves rows behind unrecorded and ends with 5: what was answered is read from the
journal at the next start, the rest is uncertain after its deadline. Whoever kills it later than that must wait longer:
in Kubernetes, terminationGracePeriodSeconds (30 unless set) has to be over --shutdown-timeout by 10 s or more, so 145
for the default of 135 s; the same holds for stop_grace_period of compose and TimeoutStopSec of systemd.`;

export function shutdownMs(flags: ShutdownFlags, { timeoutMs }: { timeoutMs: number }): number {
  const { shutdownTimeout } = flags;
  return shutdownTimeout === undefined
    ? timeoutMs + MARGIN_MS
    : parseDuration('--shutdown-timeout', shutdownTimeout);
}

/**
 * What starts, or undefined when the signal comes before: a start may wait for a ledger that is locked, or read a million
 * lines of journals. Nothing is in flight yet, and all of it can be interrupted; what starts too late is closed at once.
 */
export async function startUnlessStopped<T extends { close: () => Promise<unknown> }>(
  starting: Promise<T>,
  interrupt: Interrupt,
): Promise<T | undefined> {
  const started = await Promise.race([starting, interrupt.happened.then(() => undefined)]);
  if (started === undefined)
    void starting.then(
      (late) => late.close(),
      () => undefined,
    );
  return started;
}

/**
 * Ends the sending within this time. Returns how many rows it leaves unrecorded, after saying so. `tell`: a person who
 * may wait for minutes, and is told for what.
 */
export async function endSending(
  sending: Pick<Sending, 'close'> & { worker: Pick<Sending['worker'], 'id' | 'inFlight'> },
  timeoutMs: number,
  log: Logger,
  tell?: (line: string) => void,
): Promise<number> {
  const worker = sending.worker.id;
  const inFlight = sending.worker.inFlight();
  log.info(
    { event: 'stopping', worker, inFlight, timeoutMs },
    'taking no more rows; a second signal ends at once',
  );
  if (inFlight > 0) {
    const calls = inFlight === 1 ? '1 open call' : `${formatCount(inFlight)} open calls`;
    tell?.(`waiting for ${calls}, ${formatDuration(timeoutMs)} at the most`);
  }
  const rows = await sending.close(timeoutMs);
  if (rows === 0) {
    log.info({ event: 'stopped', worker }, 'stopped');
    return rows;
  }
  log.error(
    { event: 'left', worker, rows, exitCode: EXIT.uncertainRows },
    `the shutdown timeout is over: ${formatCount(rows)} ${rows === 1 ? 'row is' : 'rows are'} left unrecorded; ` +
      'what was answered is in the journal, the rest is uncertain after its deadline; exit code 5',
  );
  return rows;
}

/** A run that is not made by then is given back, or its lease ends: nothing of it is committed. */
export async function endSchedules(schedules: Schedules): Promise<void> {
  await within(CLOSING_MS, schedules.stop(), () => undefined);
}

/** Closes what is open, without waiting for a server that is away: the process ends next. */
export async function closeSoon(app: App): Promise<void> {
  await within(CLOSING_MS, app.close(), () => undefined);
}
