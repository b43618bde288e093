import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { formatDuration, parseDuration, plural } from '../core/units.ts';
import { within } from '../core/within.ts';
import type { Schedules } from '../schedule/schedule.ts';
import type { App } from '../worker/app.ts';
import type { Sending } from '../worker/sending.ts';
import { flag, type WorkFlags } from './flags/flags.ts';
import type { Interrupt } from './signals.ts';

export interface ShutdownFlags extends WorkFlags {
  shutdownTimeout?: string;
}

/** Added to the HTTP timeout: the time to write an answer to the journal and to record it. */
const MARGIN_MS = 15_000;
/** The longest wait for closing a connection to a server that is away. */
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
journal at the next start, the rest is uncertain after its deadline. A supervisor must wait longer before it kills the
process: in Kubernetes, terminationGracePeriodSeconds (30 unless set) has to be over --shutdown-timeout by 10 s or more,
so 145 for the default of 135 s; the same holds for stop_grace_period of compose and TimeoutStopSec of systemd.`;

export function shutdownMs(flags: ShutdownFlags, { timeoutMs }: { timeoutMs: number }): number {
  const { shutdownTimeout } = flags;
  return shutdownTimeout === undefined
    ? timeoutMs + MARGIN_MS
    : parseDuration('--shutdown-timeout', shutdownTimeout);
}

/**
 * The result of `starting`, or undefined if a signal comes first: a start may wait for a locked ledger, or read a
 * million journal lines. Nothing is in flight yet, so everything may be interrupted. If `starting` resolves after the
 * signal, its result is closed at once.
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
 * Ends the sending within this time. Returns the number of rows that it leaves unrecorded. `print`: a person watches, and
 * reads what the command waits for.
 */
export async function endSending(
  sending: Pick<Sending, 'close'> & { worker: Pick<Sending['worker'], 'id' | 'inFlight'> },
  timeoutMs: number,
  log: Logger,
  print?: (line: string) => void,
): Promise<number> {
  const worker = sending.worker.id;
  const inFlight = sending.worker.inFlight();
  log.info(
    { event: 'stopping', worker, inFlight, timeoutMs },
    inFlight === 0 ? 'taking no more rows' : 'taking no more rows; a second signal ends at once',
  );
  if (inFlight > 0)
    print?.(`waiting for ${plural(inFlight, 'open call')}, ${formatDuration(timeoutMs)} at the most`);
  const rows = await sending.close(timeoutMs);
  if (rows === 0) {
    log.info({ event: 'stopped', worker }, 'stopped');
    return rows;
  }
  log.error(
    { event: 'left', worker, rows, exitCode: EXIT.uncertainRows },
    `the shutdown timeout is over: ${plural(rows, 'row is', 'rows are')} left unrecorded; ` +
      'what was answered is in the journal, the rest is uncertain after its deadline; exit code 5',
  );
  return rows;
}

/** A run that is not made in time is given back, or its lease ends. Nothing of it is committed. */
export async function endSchedules(schedules: Schedules): Promise<void> {
  await within(CLOSING_MS, schedules.stop(), () => undefined);
}

/** Closes the app without waiting long for a server that is away: the process ends next. */
export async function closeSoon(app: App): Promise<void> {
  await within(CLOSING_MS, app.close(), () => undefined);
}
