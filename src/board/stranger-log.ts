import type { Logger } from '../core/log.ts';

/** Lines a minute: a guesser writes no disk full. */
const LINES = 10;
const MINUTE_MS = 60_000;

interface Wrong {
  /** An IP address. */
  address: string;
  /** Wrong tries of this address so far. */
  wrong: number;
}

/** Tells of wrong tries: so many of a minute one by one, and of the others how many there were. */
export function strangerLog(
  log: Logger,
  now: () => number = () => performance.now(),
): (wrong: Wrong) => void {
  let since = -Infinity;
  let told = 0;
  let untold = 0;
  return ({ address, wrong }) => {
    if (now() - since >= MINUTE_MS) [since, told] = [now(), 0];
    told += 1;
    if (told > LINES) {
      untold += 1;
      return;
    }
    log.warn(
      { event: 'board-stranger', address, wrong, ...(untold > 0 ? { untold } : {}) },
      'a wrong name or password',
    );
    untold = 0;
  };
}
