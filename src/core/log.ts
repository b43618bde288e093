import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger };

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Structured logs, one JSON object a line, on stderr: stdout belongs to data. Written synchronously, so that the
 * last line before a crash is there.
 */
export function createLog(level: LogLevel, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? standardError(),
  );
}

/** A line that cannot be written, as to a terminal that was closed, ends no worker; neither are later ones kept. */
function standardError(): DestinationStream {
  const destination = pino.destination({ dest: 2, sync: true });
  let broken = false;
  destination.on('error', () => (broken = true));
  return { write: (line) => void (broken || destination.write(line)) };
}
