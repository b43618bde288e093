import { pino, type DestinationStream, type Logger } from 'pino';

export type { DestinationStream, Logger };

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * Structured logs on stderr, one JSON object a line. They are written synchronously, so the last line before a crash is
 * not lost.
 */
export function createLog(level: LogLevel, destination = standardError()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** After a failed write, lines are dropped: a closed terminal must not end a worker. */
export function standardError(): DestinationStream {
  const destination = pino.destination({ dest: 2, sync: true });
  let broken = false;
  destination.on('error', () => (broken = true));
  return { write: (line) => void (broken || destination.write(line)) };
}
