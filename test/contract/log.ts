import { createLog, type Logger } from '../../src/core/log.ts';

/** A log that a test can wait on. */
export interface Heard {
  log: Logger;
  lines: Record<string, unknown>[];
  /** Resolves with the first line of this event, also with one that has been written already. */
  event: (name: string) => Promise<Record<string, unknown>>;
}

export function hear(): Heard {
  const lines: Record<string, unknown>[] = [];
  const waiting: { name: string; resolve: (line: Record<string, unknown>) => void }[] = [];
  const log = createLog('debug', {
    write(text: string) {
      const line = JSON.parse(text) as Record<string, unknown>;
      lines.push(line);
      for (const { name, resolve } of waiting) if (line['event'] === name) resolve(line);
    },
  });
  return {
    log,
    lines,
    event: (name) => {
      const heard = lines.find((line) => line['event'] === name);
      if (heard !== undefined) return Promise.resolve(heard);
      return new Promise((resolve) => {
        waiting.push({ name, resolve });
      });
    },
  };
}
